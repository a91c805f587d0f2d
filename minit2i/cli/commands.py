"""What each command of `minit2i` does: `run_NAME` is given the arguments that parser.py understood.

Each looks at its files before it computes, so that a mistake is found in a second and not after an hour.
"""

import contextlib
import json
import os
import shlex
import sys
from pathlib import Path

import safetensors.torch
import torch
from PIL import Image, ImageOps

from minit2i import viz
from minit2i.autoencoder import false_colours
from minit2i.checkpoint import NETWORKS, fingerprint, load_model, load_tokenizer, sha256
from minit2i.clip import Matcher
from minit2i.describe.chat import HELP, Chat, Turn, is_goodbye, plainly
from minit2i.edit import any_size
from minit2i.edit.compositing import SIDE, Letterbox
from minit2i.edit.editor import Editor
from minit2i.evaluate.report import as_markdown, as_text, evaluate
from minit2i.images import MAX_PIXELS, as_rgb, open_image, read_image, to_pil, to_tensor
from minit2i.sketch.sketcher import Sketcher, on_paper
from minit2i.text2image import TextToImage
from minit2i.tokenizer import words_of
from minit2i.train.recipe import RunSettings, recipe_for, run
from minit2i.train.tokenizer import train_tokenizer
from minit2i.upscaler import upscale
from minit2i.utils import InputError, data_file, device, device_of, need, warn, write_file
from minit2i.video.animator import Animator
from minit2i.world import datasets

from . import say
from .parser import build_parser
from .shared import check_output, open_picture, pictures_in, sampling, save, shorten, show, square_of


def run_generate(args) -> None:
    out, count = check_output(args.out), args.n * args.best_of
    if count > 256:  # all are drawn at once
        raise InputError("-n times --best-of must be at most 256")
    if args.film:
        film_out = check_output(args.film, endings=(".gif", ".webp"))
        strip_out = check_output(film_out.with_suffix(".png"))
        if count > 1 or out in (film_out, strip_out):
            raise InputError(
                "--film shows one picture: leave out -n and --best-of, and name it otherwise with -o"
            )
    t2i = TextToImage.load(args.weights)
    args.prompt = shorten(args.prompt, t2i.tokenizer, t2i.card.get("words", ()))
    given = sampling(args, "sampler", "style") | {"first": (args.index - 1) * args.best_of}
    if args.film:
        film = list(t2i.steps([args.prompt], **given))
        save(to_pil(t2i.enlarge(t2i.decode(film[-1].x_prev), args.size))[0], out, args)
        write_film(film, t2i, film_out, strip_out)
        return
    pictures = t2i(args.prompt, n=args.n, size=args.size, best_of=args.best_of, **given)
    for index, picture in enumerate(pictures, start=args.index):
        args.index = index
        save(picture, out.with_stem(f"{out.stem}-{index}") if args.n > 1 else out, args)
    if args.n > 1:
        usual = vars(build_parser().parse_args(["generate", ""])) | {"n": args.n, "prompt": args.prompt}
        unusual = {name: value for name, value in vars(args).items() if usual.get(name, value) != value}
        options = [f"--{name.replace('_', '-')}={value}" for name, value in unusual.items()]
        say(f"picture {args.index} alone: {shlex.join(['minit2i', 'generate', args.prompt, *options])}")


def write_film(film: list, t2i: TextToImage, path: Path, strip: Path) -> None:
    """Write what the denoiser saw beside what it predicted, moving and as a strip."""
    kinds = {
        "x_t, what the denoiser sees": lambda step: false_colours(step.x_t),
        "the same, decoded": lambda step: t2i.decode(step.x_t),
        "its prediction of x_0, decoded": lambda step: t2i.decode(step.x_0_hat),
    }
    shown = [[to_pil(kind(step))[0] for kind in kinds.values()] for step in film]
    frames = [viz.grid(frame, side=256, captions=list(kinds)) for frame in viz.pick_frames(shown, 60)]
    viz.save_film(frames, path)
    print(path)
    some = viz.pick_frames(shown, 8)
    save(viz.grid([frame[row] for row in range(len(kinds)) for frame in some], columns=len(some)), strip)


def run_sketch(args) -> None:
    out, drawing = check_output(args.out), on_paper(read_image(args.drawing))
    sketcher = Sketcher.load(args.weights)
    args.prompt = shorten(args.prompt, sketcher.t2i.tokenizer, sketcher.t2i.card.get("words", ()))
    x = to_tensor(square_of(drawing, args.drawing), size=sketcher.t2i.size)
    small = sketcher.draw(x, [args.prompt], args.strength, **sampling(args))
    save(to_pil(sketcher.t2i.enlarge(small, SIDE))[0], out, args)


def run_video(args) -> None:
    out = check_output(args.out, endings=(".gif", ".webp", ".mp4", ".png"))
    if out.suffix.lower() == ".mp4":
        viz.find_encoder(out)
    picture = open_picture(args.first) if args.first is not None else None
    animator = Animator.load(args.weights)
    args.prompt = shorten(args.prompt, animator.t2i.tokenizer)
    if picture is None:
        [frames] = animator.draw([args.prompt], **sampling(args, "style"))
    else:
        if args.style or args.guidance is not None:
            warn("--style and --guidance have no part in moving a picture")
        first = to_tensor(square_of(picture, args.first), size=args.size)
        [frames] = animator.draw_from(first, [args.prompt], args.seed)
    frames = to_pil(animator.t2i.enlarge(frames, args.size))
    if out.suffix.lower() == ".png":
        save(viz.grid(frames, columns=8, side=min(128, args.size)), out, args)
    else:
        viz.save_film(frames, out, seconds=1.6, rest=0)
        print(out)


def start_from(args) -> tuple[Path, Image.Image, Editor]:
    """Where to write, the picture to begin with, and the editor, which works on a square of SIDE pixels."""
    out, picture, editor = check_output(args.out), open_picture(args.image), Editor.load(args.weights)
    if picture.size != (SIDE, SIDE):
        warn(f"{args.image}, {picture.width}x{picture.height}, is drawn at {SIDE}x{SIDE} and enlarged again")
    return out, picture, editor


def run_edit(args) -> None:
    mask, given = read_image(args.mask) if args.mask else None, sampling(args)
    out, picture, editor = start_from(args)
    args.prompt = shorten(args.prompt, editor.t2i.tokenizer)
    if mask is not None:
        edited, mask = any_size.inpaint(editor, picture, mask, args.prompt, **given)
    else:
        del given["seed"]  # the noise is the picture's own
        edited, mask = any_size.edit(editor, picture, args.prompt, **given)
    if not mask.getbbox():
        warn("there was nothing to change: the picture is as it was")
    save(edited, out, args)


def run_vary(args) -> None:
    out, picture, editor = start_from(args)
    args.prompt = shorten(args.prompt, editor.t2i.tokenizer)
    save(any_size.vary(editor, picture, args.prompt, args.strength, **sampling(args)), out, args)


def run_extend(args) -> None:
    sides = [side for side in any_size.TOWARDS if getattr(args, side)]
    if len(sides) != 1:
        raise InputError(f"say how far to go with one of --{', --'.join(any_size.TOWARDS)}")
    out, picture, editor = start_from(args)
    prompts, far = [shorten(text, editor.t2i.tokenizer) for text in args.prompts], getattr(args, sides[0])
    args.prompt = "; ".join(prompts)
    save(any_size.extend(editor, picture, prompts, sides[0], far, **sampling(args)), out, args)


def run_upscale(args) -> None:
    out, picture = check_output(args.out), open_picture(args.image)
    if 16 * picture.width * picture.height > MAX_PIXELS:
        raise InputError(f"{args.image}: too large, at most {MAX_PIXELS / 16e6} megapixels can be enlarged")
    model = load_model("upscaler", args.weights)
    large = upscale(model, to_tensor(picture).to(device_of(model)), eight_bits=True, desc="enlarging")
    save(to_pil(large)[0], out)


def run_denoise(args) -> None:
    out, picture = check_output(args.out), open_picture(args.image)
    t2i = TextToImage.load(args.weights)
    args.prompt, T = shorten(args.prompt, t2i.tokenizer), t2i.schedule.T
    args.guidance = 2.0 if args.prompt else 0.0
    x_0 = to_tensor(picture, size=t2i.size).to(device_of(t2i.denoiser))  # (1, 3, 64, 64)
    t = min(round(args.noise * T), T - 1)
    steps = list(t2i.steps([args.prompt], start=(t2i.encode_pictures(x_0), t), **sampling(args)))
    panels = to_pil(torch.cat([x_0, t2i.decode(steps[0].x_t), t2i.decode(steps[-1].x_prev)]))
    save(viz.grid(panels, side=256, captions=["original", f"noise of t = {t} of {T}", "denoised"]), out, args)


def run_describe(args) -> None:
    if bool(args.images) == bool(args.dir):
        raise InputError("name pictures to describe, or a folder with --dir")
    pictures = {path: open_image(path) for path in args.images}
    if args.dir:
        pictures = pictures_in(Path(args.dir), lambda picture: Letterbox(picture).square)
    chat, rows = Chat.load(args.weights, edits=False), []
    for name, picture in pictures.items():
        rows.append({"image": name, "caption": chat.answer(chat.tensor(picture))[0]})
        if not args.json:
            print(rows[-1]["caption"] if len(pictures) == 1 else ": ".join(rows[-1].values()), flush=True)
    if args.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))


def run_ask(args) -> None:
    if not plainly(args.question):
        raise InputError("nothing was asked: say in words what you want to know")
    picture, chat = open_image(args.image), Chat.load(args.weights, edits=False)
    print(chat.answer(chat.tensor(picture), shorten(args.question, chat.t2i.tokenizer))[0])


def run_chat(args) -> None:
    out, picture = check_output(args.out), open_picture(args.image)
    chat = Chat.load(args.weights)
    if sys.stdin is None:  # it is closed
        return
    typed = sys.stdin.isatty()
    if typed:
        print(f'{HELP}; "undo" takes back a change, "bye" ends it')
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(errors="replace")
    before = []  # the pictures that were changed, for "undo"
    with contextlib.suppress(EOFError):
        while not is_goodbye(text := input("> " if typed else "").strip()):
            if plainly(text) == "undo":
                turn = Turn("as it was before", before.pop()) if before else Turn("nothing to undo", picture)
            else:
                turn = chat.turn(picture, shorten(text, chat.t2i.tokenizer))
                before += [picture] if turn.picture is not picture else []
            print(turn.answer, flush=True)
            if turn.picture is not picture:
                picture = turn.picture
                save(picture, out, silently=not typed)


def load_matcher(args) -> Matcher:
    return Matcher(load_model("clip", args.weights), load_tokenizer(args.weights))


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
    out, matcher = check_output(args.out), load_matcher(args)
    if args.dir:
        found = pictures_in(Path(args.dir), lambda picture: ImageOps.fit(picture, (128, 128)))
        names, pictures = list(found), list(found.values())
        say("this CLIP learnt from emoji and other drawings: expect little of photographs")
    else:
        options = {name: vars(args)[name] for name in ("image", "caption") if vars(args)[name]}
        rows = datasets.load(args.data, **options)
        if args.data == "emoji":  # the style that no training saw, too
            rows = need("datasets").concatenate_datasets([rows, datasets.load("emoji", "test")])
        columns = [rows[c] for c in ("name", "style") if c in rows.column_names] or [rows["caption"]]
        names = [", ".join(map(str, parts)) for parts in zip(*columns, strict=True)]
        pictures = rows["image"]
    ours = not args.dir and args.data in datasets.SETS
    embedded = embed_once(args, matcher, pictures) if ours else matcher.embed(pictures)
    hits = matcher.search(shorten(args.query, matcher.tokenizer), embedded, args.k)
    rows = [{"name": names[i], "score": cosine} for i, cosine in hits]
    show(rows, args.json)
    captions = [f"{row['name']} {row['score']:.2f}" for row in rows]
    preview = viz.grid([ImageOps.fit(as_rgb(pictures[i]), (128, 128)) for i, _ in hits], captions=captions)
    save(preview, out, silently=args.json)


def embed_once(args, matcher: Matcher, pictures: list[Image.Image]) -> torch.Tensor:
    """Embeddings of a set, kept in a file: with other weights or other data, under another name."""
    state = fingerprint("clip", args.weights) + data_file("SHA256SUMS").read_text()
    folder = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = Path(folder, "minit2i", f"{args.data}-{sha256(state)[:16]}.safetensors")
    with contextlib.suppress(Exception):  # not there yet, or damaged: make it
        return safetensors.torch.load_file(path)["embedded"]
    embedded = matcher.embed(pictures).cpu()
    with contextlib.suppress(OSError):  # no place for it: the next search takes as long, no more
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, safetensors.torch.save({"embedded": embedded}))
    return embedded


def run_train(args) -> None:
    out = Path(args.out or f"runs/{args.name}")
    if args.name == "tokenizer" and (args.minutes or args.steps or args.seed or args.resume):
        raise InputError("the tokenizer takes no --minutes, --steps, --seed or --resume: it counts pairs")
    if args.resume and not (out / "checkpoint.pt").is_file():
        raise InputError(f"nothing to resume: there is no {out / 'checkpoint.pt'}")
    out.mkdir(parents=True, exist_ok=True)
    check_output(out / "preview.png")
    if args.name == "tokenizer":
        path = out / "tokenizer.json"
        train_tokenizer().save(path)
    else:
        say(f"computing on {device().type} (--device chooses another)")
        command = shlex.join(["minit2i", *(word for word in args.argv if word != "--resume")])
        settings = RunSettings(args.minutes, args.steps, args.seed, args.resume, command)
        path = run(args.name, recipe_for(args.name), args.weights, out, settings)
    print(f"{path} is ready. Use it:\n  {NETWORKS[args.name].next_command(shlex.quote(str(out)))}")


def run_evaluate(args) -> None:
    out = check_output(args.out)
    say(f"computing on {device().type} (--device chooses another)")
    report = evaluate(args.weights, args.n, args.seed, copies=out)
    print(json.dumps(report, indent=2) if args.json else (as_markdown if args.markdown else as_text)(report))


def run_data(args) -> None:
    rows = datasets.describe_sets()
    table = [f"{'name':<13} {'pictures':>8} {'MB':>5}  {'licences':<28} what it is"]
    for row in rows:
        count, licences = row["pictures"] or "any", ", ".join(row["licences"])
        table.append(f"{row['name']:<13} {count:>8} {row['bytes'] / 1e6:5.1f}  {licences:<28} {row['what']}")
    print(json.dumps(rows, indent=2) if args.json else "\n".join(table))
