"""Does it work? Every number that this project claims, measured in one go: `minit2i evaluate`.

Shares come with n and a 95 % Wilson interval. Nothing here is used to train, to tune or to choose.
"""

import dataclasses
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from . import data, scenes, viz, weights
from .batches import emoji_art, fashion_pictures, on_backgrounds, scene_pictures, unit, unseen_emoji
from .clip import CLIP
from .judge import QUESTIONS, Judge, JudgeConfig, features, verdicts
from .metrics import frechet_distance, psnr, retrieval_at_k, ssim, wilson_interval
from .text2image import TextToImage
from .tokenizer import Tokenizer
from .upscaler import Upscaler, bicubic, degrade, upscale

# Seeds that no recipe uses, so that no picture measured here was trained on.
REAL_SEED, OTHER_SEED = 101, 102


def share(right: Tensor) -> dict:
    """(n,) bool -> its share with n and a 95 % interval."""
    n, k = len(right), int(right.sum())
    low, high = wilson_interval(k, n)
    return {"value": k / n, "n": n, "interval": [low, high]}


def draw_many(t2i: TextToImage, prompts: list[str], seed: int, what: str, **settings) -> Tensor:
    """Draw one picture a prompt, 50 at a time: (n, C, size, size) in [-1, 1]."""
    parts = [prompts[i : i + 50] for i in range(0, len(prompts), 50)]
    return torch.cat(
        [
            t2i.draw(part, seed=1000 * seed + i, **settings)
            for i, part in enumerate(tqdm(parts, desc=f"drawing {what}"))
        ]
    )


def attributes(judge: Judge, pictures: Tensor, asked: list[scenes.Scene]) -> dict:
    """The share of right answers to each question, and of pictures with all of them right."""
    return {question: share(right) for question, right in verdicts(judge, pictures, asked).items()}


def measure_scenes(t2i: TextToImage, judge: Judge, n: int, seed: int, sheet: Path | None) -> dict:
    """Are pictures from words what the words say? On combinations held out and seen, with baselines."""
    result, drawn, real = {}, {}, {}
    for split, name in (("held_out", "held_out"), ("train", "seen")):
        real[name], asked = scene_pictures(split, n, 64, seed=REAL_SEED)
        prompts = [scenes.full_caption(scene) for scene in asked]
        drawn[name] = draw_many(t2i, prompts, seed, f"{name} scenes")
        result[name] = attributes(judge, drawn[name], asked)
        if name == "held_out":
            # What a real picture scores (no generator can honestly score more) and what words are worth.
            result["ceiling"] = attributes(judge, unit(real[name]), asked)
            result["shuffled_prompts"] = attributes(judge, drawn[name], asked[1:] + asked[:1])
            few = asked[: max(1, n // 4)]
            without = draw_many(t2i, [""] * len(few), seed, "without words", guidance_scale=0)
            result["no_words"] = attributes(judge, without, few)
    # Both against other scenes than those that were asked for: with the same captions, chance differs less.
    others = features(judge, unit(scene_pictures("train", n, 64, seed=OTHER_SEED)[0]))
    result["frechet"] = {
        "generated": frechet_distance(features(judge, drawn["seen"]), others),
        "real": frechet_distance(features(judge, unit(real["seen"])), others),
        "n": n,
    }
    if sheet is not None:
        copy_check(drawn["held_out"][:16], scene_pictures("train", 40_000, 64, seed=1)[0]).save(sheet)
    return result


def copy_check(pictures: Tensor, training: Tensor):
    """Each picture above the training picture nearest to it (mean squared difference): is it a copy?"""
    small = torch.nn.functional.avg_pool2d(pictures, 4).flatten(1)
    others = torch.cat(
        [torch.nn.functional.avg_pool2d(unit(part), 4).flatten(1) for part in training.split(4096)]
    )
    nearest = unit(training[torch.cdist(small, others).argmin(dim=1)])
    columns = min(8, len(pictures))
    rows = [
        picture
        for i in range(0, len(pictures), columns)
        for picture in (*pictures[i : i + columns], *nearest[i : i + columns])
    ]
    return viz.grid(data.to_pil(torch.stack(rows)), columns, side=96)


def measure_fashion(t2i: TextToImage, judge: Judge, n: int, seed: int) -> dict:
    """Clothes from words: the class that an independent classifier sees, and the Fréchet distance."""
    pictures, captions, labels = fashion_pictures("test")
    names = dict(zip(labels.tolist(), captions, strict=True))
    asked = labels[:n]
    drawn = draw_many(t2i, [names[label] for label in asked.tolist()], seed, "clothes", guidance_scale=2.0)

    def answers(x: Tensor) -> Tensor:
        return torch.cat([judge(part)[0].argmax(1) for part in x.split(256)])

    real = unit(pictures)
    half = len(real) // 2
    with torch.no_grad():
        return {
            "accuracy": share(answers(drawn) == asked),
            "ceiling": share(answers(real) == labels),
            "frechet": {
                "generated": frechet_distance(features(judge, drawn), features(judge, real[half : half + n])),
                "real": frechet_distance(features(judge, real[:n]), features(judge, real[half : half + n])),
                "n": n,
            },
        }


@torch.no_grad()
def measure_clip(model: CLIP, words: Tokenizer, n: int) -> dict:
    """Can CLIP tell a caption from nearly the same one, find an emoji by its name, and name an animal?"""
    pictures, drawn = scene_pictures("held_out", n, 64, seed=REAL_SEED)
    embedded = torch.cat([model.embed_pictures(unit(part)) for part in pictures.split(256)])

    def texts(captions: list[str]) -> Tensor:
        return torch.cat(
            [model.embed_texts(words(captions[i : i + 512])) for i in range(0, len(captions), 512)]
        )

    own = (embedded * texts([scenes.full_caption(scene) for scene in drawn])).sum(1)
    result = {}
    for what, choices in (
        ("animal", scenes.ANIMALS),
        ("headwear", scenes.HEADWEAR),
        ("colour", scenes.COLOURS),
    ):
        swapped = [scenes.full_caption(_changed(scene, what, choices, i)) for i, scene in enumerate(drawn)]
        result[f"swap_{what}"] = share(own > (embedded * texts(swapped)).sum(1))
    names = texts([f"a {animal}" for animal in scenes.ANIMALS])
    answers = (embedded @ names.T).argmax(1)
    result["animal_naming"] = share(answers == torch.tensor([scenes.ANIMALS.index(s.animal) for s in drawn]))
    for style in scenes.STYLES:
        result[f"emoji_{style}"] = retrieval(model, words, style)
    return result


def _changed(scene: scenes.Scene, what: str, choices: tuple[str, ...], i: int) -> scenes.Scene:
    """The same scene with another animal, headwear or colour, each of the others in turn."""
    others = [choice for choice in choices if choice != getattr(scene, what)]
    return dataclasses.replace(scene, **{what: others[i % len(others)]})


@torch.no_grad()
def retrieval(model: CLIP, words: Tokenizer, style: str) -> dict:
    """Text to picture over all emoji of one style: is the right picture first, or among the first ten?"""
    art, entries = emoji_art(64, (style,))
    white = torch.cat(
        [on_backgrounds(part, torch.Generator().manual_seed(0), jitter=0.0) for part in art.split(256)]
    )
    pictures = torch.cat([model.embed_pictures(part) for part in white.split(256)])
    names = [entry["name"] for entry in entries]
    queries = torch.cat([model.embed_texts(words(names[i : i + 512])) for i in range(0, len(names), 512)])
    similarity, answer = queries @ pictures.T, torch.arange(len(names))
    return {
        "r_at_1": retrieval_at_k(similarity, answer, 1),
        "r_at_10": retrieval_at_k(similarity, answer, 10),
        "n": len(names),
    }


@torch.no_grad()
def measure_upscaler(model: Upscaler, n: int) -> dict:
    """PSNR and SSIM against bicubic: held-out scenes, emoji concepts and a photograph that it never saw."""
    large = unit(scene_pictures("held_out", n, 256, seed=REAL_SEED)[0])
    art, entries = emoji_art(128)
    emoji = on_backgrounds(art[unseen_emoji(entries)][:n], torch.Generator().manual_seed(0), jitter=0.0)
    cat = next(data.to_tensor(row["image"]) for row in data.load("photos") if row["name"] == "chelsea")
    cat = cat[:, :, : cat.shape[2] // 4 * 4, : cat.shape[3] // 4 * 4]
    result = {}
    for name, high in (("scenes", large), ("emoji", emoji), ("chelsea", cat)):
        ours, base = [], []
        for part in high.split(8):
            low = degrade(part, torch.Generator().manual_seed(0), p_clean=1)
            ours.append(upscale(model, low))
            base.append(bicubic(low, *part.shape[-2:]).clamp(-1, 1))
        result[name] = {
            f"{metric.__name__}_{who}": metric(torch.cat(pictures), high).mean().item()
            for metric in (psnr, ssim)
            for who, pictures in (("ours", ours), ("bicubic", base))
        }
        result[name]["n"] = len(high)
    return result


def evaluate(
    folder: str | Path = weights.WEIGHTS, n: int = 2000, seed: int = 0, sheet: str | Path | None = None
) -> dict:
    """Measure the weights in `folder`. n: pictures a figure. sheet: where to save the copy check.

    Raises InputError if weights are missing.
    """
    t2i, clothes = TextToImage.load(folder), TextToImage.load(folder, "denoiser-fashion")
    judge, judge_fashion = (
        weights.load(weights.find(f"{name}.safetensors", folder), Judge, JudgeConfig)
        for name in ("judge", "judge-fashion")
    )
    result = {"n": n, "seed": seed}
    result |= measure_scenes(t2i, judge, n, seed, Path(sheet) if sheet else None)
    result["fashion"] = measure_fashion(clothes, judge_fashion, n, seed)
    result["clip"] = measure_clip(t2i.clip, t2i.tokenizer, n)
    result["upscaler"] = measure_upscaler(t2i.upscaler, max(1, n // 20))
    return result


def print_report(result: dict) -> None:
    """The same as a page to read."""

    def line(name: str, entry: dict) -> None:
        low, high = entry["interval"]
        print(
            f"  {name:<34}{100 * entry['value']:6.1f} %   [{100 * low:.1f}, {100 * high:.1f}]   n = {entry['n']}"
        )

    print(f"Judged pictures, drawn from words (seed {result['seed']}); 95 % intervals")
    for group in ("held_out", "seen", "ceiling", "shuffled_prompts", "no_words"):
        for question in ("joint", *QUESTIONS) if group in ("held_out", "seen", "ceiling") else ("joint",):
            line(f"{group}.{question}", result[group][question])
    gap = 100 * (result["seen"]["joint"]["value"] - result["held_out"]["joint"]["value"])
    print(f"  seen minus held out, joint        {gap:+6.1f} points")
    for name, frechet in (("scenes", result["frechet"]), ("clothes", result["fashion"]["frechet"])):
        ratio = frechet["generated"] / max(frechet["real"], 1e-12)
        print(
            f"Fréchet distance, {name}: {frechet['generated']:.3f}; real against real {frechet['real']:.3f}"
            f" (ratio {ratio:.1f}), n = {frechet['n']}"
        )
    print("Clothes")
    line("class as asked", result["fashion"]["accuracy"])
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
