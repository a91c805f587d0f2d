"""Every number that this project claims, measured in one go: `minit2i evaluate`.

Shares of right answers come with n and a 95 % Wilson interval; recall at k, distances and decibels with n
only. Nothing here is used to train, to tune or to choose.
"""

from collections.abc import Callable
from pathlib import Path

from PIL import Image

from minit2i.checkpoint import load_model, load_tokenizer
from minit2i.clip import Matcher
from minit2i.describe.chat import Chat
from minit2i.describe.evaluate import measure_captions
from minit2i.edit.editor import Editor
from minit2i.edit.evaluate import measure_edits, measure_seams
from minit2i.sketch.evaluate import measure_sketches
from minit2i.sketch.sketcher import Sketcher
from minit2i.text2image import TextToImage
from minit2i.utils import WEIGHTS, InputError
from minit2i.video.animator import Animator
from minit2i.video.evaluate import measure_video
from minit2i.world.batches import scene_pictures

from .autoencoder import measure_autoencoder
from .clip import measure_clip
from .clothes import measure_clothes
from .judge import QUESTIONS
from .scenes import measure_prompts, measure_scenes
from .shares import REAL_SEED
from .upscaler import measure_upscaler


def evaluate(folder: str | Path = WEIGHTS, n: int = 2000, seed: int = 0) -> tuple[dict, Image.Image]:
    """Measure the weights in `folder`, most figures with n pictures. Returns them and the copy check.

    Raises InputError if weights are missing or n is less than 2.
    """
    if n < 2:
        raise InputError(f"a distance between sets of pictures needs at least 2 of them, not {n}")
    t2i, clothes = TextToImage.load(folder), TextToImage.load(folder, "denoiser-fashion")
    judge, editor, sketcher = load_model("judge", folder), Editor.load(folder), Sketcher.load(folder)
    animator, chat = Animator.load(folder), Chat.load(folder)
    scenes, sheet = measure_scenes(t2i, judge, n, seed)
    real, _ = scene_pictures("held_out", n - n % 2, 64, seed=REAL_SEED)
    return {
        "n": n,
        "seed": seed,
        **scenes,
        "prompts": measure_prompts(t2i, judge, seed),
        "autoencoder": measure_autoencoder(load_model("autoencoder", folder), real),
        "fashion": measure_clothes(clothes, load_model("judge-fashion", folder), n, seed),
        "clip": measure_clip(Matcher(load_model("clip", folder), load_tokenizer(folder)), n),
        "upscaler": measure_upscaler(t2i.upscaler, max(1, n // 20)),
        "edits": measure_edits(editor, judge, max(1, n // 4), seed),
        "extended": measure_seams(editor, max(1, n // 40), seed),
        "sketches": measure_sketches(sketcher, editor, judge, max(50, n // 4), seed),
        "clips": measure_video(animator, judge, max(4, n // 4), seed),
        "told": measure_captions(chat, load_model("caption-blind", folder), judge, n, seed),
    }, sheet


def print_report(result: dict) -> None:
    """The same as a page to read."""

    def line(name: str, entry: dict) -> None:
        low, high = entry["interval"]
        interval = f"[{100 * low:.1f}, {100 * high:.1f}]"
        print(f"  {name:<48}{100 * entry['value']:6.1f} %   {interval}   n = {entry['n']}")

    print(f"Judged pictures, drawn from words (seed {result['seed']}); 95 % intervals")
    for group in ("held_out", "seen", "ceiling", "shuffled_prompts", "no_words"):
        for question in ("joint", *QUESTIONS) if group in ("held_out", "seen", "ceiling") else ("joint",):
            line(f"{group}.{question}", result[group][question])
    line("what people type: all that was stated", result["prompts"])
    gap = 100 * (result["seen"]["joint"]["value"] - result["held_out"]["joint"]["value"])
    print(f"  seen minus held out, joint        {gap:+6.1f} points")
    for name, entry in (("drawn, held out", result["fit"]), ("real pictures", result["fit_real"])):
        print(
            f"Fit, {name}: the nearest real scene is {entry['median']:.1f} dB away (median; 10th percentile "
            f"{entry['percentile_10']:.1f} dB), n = {entry['n']}"
        )
    shares = ", ".join(f"{style} {100 * part:.0f} %" for style, part in result["styles"].items())
    print(f"Styles of art drawn: {shares}")
    found = result["autoencoder"]
    print(
        f"Autoencoder: {found['psnr']:.1f} dB; without the channel that is missed least "
        f"{found['least_channel']:.1f} dB less; edges halfway between two latents {found['halfway']:.2f} of "
        f"those in the two, n = {found['n']}"
    )
    clothes = {f"guidance {scale}": entry for scale, entry in result["fashion"]["guidance"].items()}
    distances = {f"clothes, {name}": entry["frechet"] for name, entry in clothes.items()}
    for name, frechet in {"scenes": result["frechet"], **distances}.items():
        ratio = frechet["generated"] / max(frechet["real"], 1e-12)
        print(
            f"Fréchet distance, {name}: {frechet['generated']:.3f}; real against real {frechet['real']:.3f}"
            f" (ratio {ratio:.1f}), n = {frechet['n']}"
        )
    print("Clothes")
    for name, entry in clothes.items():
        line(f"class as asked, {name}", entry["accuracy"])
    line("ceiling (real test pictures)", result["fashion"]["ceiling"])
    print("CLIP")
    for name, entry in result["clip"].items():
        if "interval" in entry:
            line(name, entry)
        else:
            print(
                f"  {name:<34}R@1 {100 * entry['r_at_1']:.1f} %, R@10 {100 * entry['r_at_10']:.1f} %, "
                f"n = {entry['n']}"
            )
    print("Upscaler, x4")
    for name, entry in result["upscaler"].items():
        print(
            f"  {name:<10}PSNR {entry['psnr_ours']:.2f} dB (bicubic {entry['psnr_bicubic']:.2f}), "
            f"SSIM {entry['ssim_ours']:.4f} (bicubic {entry['ssim_bicubic']:.4f}), n = {entry['n']}"
        )
    print_edits(result, line)
    print("Pictures that follow crude drawings")
    for name, entry in result["sketches"].items():
        print(f"  {name}: boxes overlap {entry['overlap']:.3f} (mean), n = {entry['n']}")
        line("    class right", entry["animal"])
        line("    colour of the prompt, not the drawing", entry["colour_of_the_prompt"])
        line("    all right", entry["joint"])
    print_clips(result["clips"], line)
    print("Pictures put into words")
    for name, entry in result["told"].items():
        if name.startswith("kinds"):
            for kind, value in entry.items():
                line(name.replace("kinds", f"  question: {kind}"), value)
        else:
            line(name.replace("_", " "), entry)


def print_clips(clips: dict, line: Callable[[str, dict], None]) -> None:
    """How clips move, what they show, and how much they flicker."""
    print("Clips, of held-out pairs of animal and motion")
    for name, entry in clips.items():
        line(f"{name}: motion as said", entry["motion"])
        line(f"{name}: right in every frame", entry["every_frame"])
        notes = [f"right in {100 * entry['frames']:.1f} % of frames", f"flicker {entry['flicker']:.4f}"]
        notes.append(f"in the background {entry['background']:.4f}")
        if entry.get("fit"):
            notes.append(f"fit {entry['fit']['median']:.1f} dB (median), n = {entry['fit']['n']}")
        print(f"    {'; '.join(notes)}")


def print_edits(result: dict, line: Callable[[str, dict], None]) -> None:
    """What became of pictures in which one thing was to change."""
    print("Pictures edited: one thing changed, to a held-out combination")
    for name, entry in result["edits"].items():
        for part, says in (("edited", "what was asked"), ("kept", "all else"), ("joint", "both, and intact")):
            line(f"{name}: {says}", entry[part])
        notes = [f"moved elsewhere by {entry['moved_elsewhere']:.4f}"]
        if "known_pixels_changed" in entry:
            notes.append(f"known pixels changed: {entry['known_pixels_changed']}")
        if "fit" in entry:
            notes.append(f"fit {entry['fit']['median']:.1f} dB (median), n = {entry['fit']['n']}")
        print(f"    {'; '.join(notes)}")
    seam, n = result["extended"]["seam"], result["extended"]["n"]
    print(f"Pictures extended: the step across the seam is {seam:.2f} of those beside it, n = {n}")
