"""What each command of `minit2i` does: `run_NAME` is given the arguments that parser.py understood.

Each looks at its files before it computes, so that a mistake is found in a second and not after an hour.
"""

import hashlib
import json
import os
import sys
import warnings
from pathlib import Path

import torch
from PIL import ImageOps

from minit2i import viz
from minit2i.autoencoder import false_colours
from minit2i.checkpoint import fingerprint, load_model, load_tokenizer
from minit2i.clip import Matcher
from minit2i.edit.compositing import SIDE, Letterbox
from minit2i.images import MAX_PIXELS, as_rgb, open_image, to_pil, to_tensor
from minit2i.samplers import Step
from minit2i.sketch.sketcher import Sketcher
from minit2i.text2image import TextToImage
from minit2i.tokenizer import words_of
from minit2i.upscaler import upscale
from minit2i.utils import InputError, data_file, device_of

from .shared import check_output, pictures_in, save, say_device, settings, shorten, show


def run_generate(args) -> None:
    out = check_output(args.out)
    outs = [out] if args.n == 1 else [out.with_stem(f"{out.stem}-{i + 1}") for i in range(args.n)]
    if args.n * args.best_of > 256:  # all are drawn at once
        raise InputError("-n times --best-of must be at most 256")
    if args.film:
        film_out = check_output(args.film, endings=(".gif", ".webp"))
        strip_out = check_output(film_out.with_suffix(".png"))
        if args.n * args.best_of > 1:
            raise InputError("--film shows how one picture is drawn: leave out -n and --best-of")
        if out in (film_out, strip_out):
            raise InputError(
                f"--film writes {film_out} and {strip_out}: name the picture differently with -o"
            )
    t2i = TextToImage.load(args.weights)
    prompt = conditioning(args.prompt, t2i)
    settings = {
        "seed": args.seed, "steps": args.steps, "guidance_scale": args.guidance, "sampler": args.sampler,
        "style": args.style,
    }  # fmt: skip
    if args.film:
        film = list(t2i.steps([prompt], **settings))
        save(to_pil(t2i.enlarge(t2i.decode(film[-1].x_prev), args.size))[0], out)
        write_film(film, t2i, film_out, strip_out)
        return
    pictures = t2i(prompt, n=args.n, size=args.size, best_of=args.best_of, **settings)
    for picture, path in zip(pictures, outs, strict=True):
        save(picture, path)


def conditioning(prompt: str, t2i: TextToImage) -> str:
    """The prompt, shortened to what there is room for; warns if no word of it is known."""
    prompt = shorten(prompt, t2i.tokenizer)
    if "words" in t2i.card and not set(t2i.card["words"]).intersection(words_of(prompt)):
        warnings.warn("there is no known word in the prompt: what to draw is left to chance", stacklevel=1)
    return prompt


def write_film(film: list[Step], t2i: TextToImage, path: Path, strip: Path) -> None:
    """Write what the denoiser saw beside what it guessed, moving and as a strip."""
    kinds = {
        "what the denoiser sees": lambda step: false_colours(step.x_t),
        "the same, decoded": lambda step: t2i.decode(step.x_t),
        "what it guesses, decoded": lambda step: t2i.decode(step.x_0_hat),
    }
    shown = [[to_pil(kind(step))[0] for kind in kinds.values()] for step in film]
    frames = [viz.grid(frame, side=256, captions=list(kinds)) for frame in viz.pick_frames(shown, 60)]
    viz.save_film(frames, path)
    print(path)
    some = viz.pick_frames(shown, 8)
    save(viz.grid([frame[row] for row in range(len(kinds)) for frame in some], columns=len(some)), strip)


def run_score(args) -> None:
    picture, matcher = open_image(args.image), load_matcher(args)
    scores = matcher.score(picture, [shorten(text, matcher.tokenizer) for text in args.captions])
    show([{"caption": text, "score": s} for text, s in zip(args.captions, scores, strict=True)], args.json)


def run_classify(args) -> None:
    picture, matcher = open_image(args.image), load_matcher(args)
    shares = matcher.classify(picture, [shorten(text, matcher.tokenizer) for text in args.labels])
    show([{"label": text, "probability": p} for text, p in zip(args.labels, shares, strict=True)], args.json)


def run_search(args) -> None:
    if not words_of(args.query):
        raise InputError("nothing was asked: say in words what to look for")
    from minit2i.world import datasets as data  # here, for an installed minit2i draws without the data

    out, matcher, cache = check_output(args.out), load_matcher(args), None
    if args.dir:
        names, pictures = pictures_in(Path(args.dir))
        print(
            "minit2i: this CLIP learnt from emoji and other drawings: expect little of photographs",
            file=sys.stderr,
        )
    else:
        rows = data.load(args.data)
        if args.data == "emoji":  # the style that no training saw, too
            from datasets import concatenate_datasets

            rows = concatenate_datasets([rows, data.load("emoji", "test")])
        columns = [rows[c] for c in ("name", "style") if c in rows.column_names] or [rows["caption"]]
        names = [", ".join(map(str, parts)) for parts in zip(*columns, strict=True)]
        pictures = rows["image"]
        cache = cache_file(args) if args.data in data.SETS else None
    found = matcher.search(shorten(args.query, matcher.tokenizer), pictures, args.k, cache)
    best = [i for i, _ in found]
    found = [{"name": names[i], "score": cosine} for i, cosine in found]
    show(found, args.json)
    captions = [f"{row['name']} {row['score']:.2f}" for row in found]
    sheet = viz.grid([ImageOps.fit(as_rgb(pictures[i]), (128, 128)) for i in best], captions=captions)
    save(sheet, out, silently=args.json)


def cache_file(args) -> Path:
    """Where the embeddings of a set are kept: with other weights or other data, under another name."""
    state = fingerprint("clip", args.weights) + data_file("SHA256SUMS").read_text()
    key = hashlib.sha256(state.encode()).hexdigest()[:16]
    folder = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(folder, "minit2i", f"{args.data}-{key}.safetensors")


def run_denoise(args) -> None:
    out, picture = check_output(args.out), open_image(args.image)
    t2i = TextToImage.load(args.weights)
    prompt, T = shorten(args.prompt, t2i.tokenizer), t2i.schedule.T
    x_0 = to_tensor(picture, size=t2i.size).to(device_of(t2i.denoiser))  # (1, 3, 64, 64)
    t = min(round(args.noise * T), T - 1)
    scale = 2 if prompt else 0
    steps = list(
        t2i.steps([prompt], args.seed, args.steps, guidance_scale=scale, start=(t2i.encode_pictures(x_0), t))
    )
    panels = to_pil(torch.cat([x_0, t2i.decode(steps[0].x_t), t2i.decode(steps[-1].x_prev)]))
    save(viz.grid(panels, side=256, captions=["original", f"noise of t = {t} of {T}", "denoised"]), out)


def run_upscale(args) -> None:
    out, picture = check_output(args.out), open_image(args.image)
    if 16 * picture.width * picture.height > MAX_PIXELS:
        raise InputError(f"{args.image}: too large, at most {MAX_PIXELS / 16e6} megapixels can be enlarged")
    model = load_model("upscaler", args.weights)
    save(to_pil(upscale(model, to_tensor(picture).to(device_of(model))))[0], out)


def run_vary(args) -> None:
    from . import editing  # here, for an installed minit2i draws without the data that editing needs

    editing.run_vary(args)


def run_edit(args) -> None:
    from . import editing  # as above

    editing.run_edit(args)


def run_extend(args) -> None:
    from . import editing  # as above

    editing.run_extend(args)


def run_sketch(args) -> None:
    out, drawing = check_output(args.out), open_image(args.drawing)
    sketcher = Sketcher.load(args.weights)
    prompt = conditioning(args.prompt, sketcher.t2i)
    if drawing.width != drawing.height:
        warnings.warn(f"{args.drawing} is no square: what is at its edges fills it up", stacklevel=1)
    x = to_tensor(Letterbox(drawing).square, size=sketcher.t2i.size)
    small = sketcher.draw(x, [prompt], args.strength, **settings(args))
    save(to_pil(sketcher.t2i.enlarge(small, SIDE))[0], out)


def run_video(args) -> None:
    from . import editing  # as above

    editing.run_video(args)


def run_describe(args) -> None:
    from . import talking  # as above

    talking.run_describe(args)


def run_ask(args) -> None:
    from . import talking  # as above

    talking.run_ask(args)


def run_chat(args) -> None:
    from . import talking  # as above

    talking.run_chat(args)


def run_evaluate(args) -> None:
    out = check_output(args.out)
    from minit2i.evaluate.report import evaluate, print_report  # here, for it takes long to import

    say_device()
    report, copies = evaluate(args.weights, n=args.n, seed=args.seed)
    save(copies, out, silently=True)
    print(json.dumps(report, indent=2)) if args.json else print_report(report)


def run_train(args) -> None:
    from . import training  # as above

    training.run_train(args)


def run_data(args) -> None:
    from minit2i.world import datasets as data  # here, as above

    rows = data.describe_sets()
    table = [f"{'name':<13} {'pictures':>8} {'MB':>5}  {'licences':<28} what it is"]
    for row in rows:
        count, licences = row["pictures"] or "any", ", ".join(row["licences"])
        table.append(f"{row['name']:<13} {count:>8} {row['bytes'] / 1e6:5.1f}  {licences:<28} {row['what']}")
    print(json.dumps(rows, indent=2) if args.json else "\n".join(table))


def load_matcher(args) -> Matcher:
    return Matcher(load_model("clip", args.weights), load_tokenizer(args.weights))
