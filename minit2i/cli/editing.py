"""The commands that start from a picture, or move one: vary, edit, extend, video."""

import warnings

from PIL import Image

from minit2i import viz
from minit2i.edit import any_size
from minit2i.edit.compositing import SIDE, Letterbox
from minit2i.edit.editor import Editor
from minit2i.images import open_image, to_pil, to_tensor
from minit2i.utils import InputError
from minit2i.video.animator import Animator

from .shared import check_output, save, settings, shorten


def run_vary(args) -> None:
    out, picture = check_output(args.out), open_image(args.image)
    editor = editor_for(picture, args)
    prompt = shorten(args.prompt, editor.t2i.tokenizer)
    save(any_size.vary(editor, picture, prompt, args.strength, **settings(args)), out)


def run_edit(args) -> None:
    out, picture = check_output(args.out), open_image(args.image)
    mask = open_image(args.mask) if args.mask else None
    editor = editor_for(picture, args)
    prompt, given = shorten(args.prompt, editor.t2i.tokenizer), settings(args)
    if mask is not None:
        edited, mask = any_size.inpaint(editor, picture, mask, prompt, **given)
    else:
        del given["seed"]  # the noise is the picture's own
        edited, mask = any_size.edit(editor, picture, prompt, **given)
    if not mask.getbbox():
        warnings.warn("there was nothing to change: the picture is as it was", stacklevel=1)
    save(edited, out)


def run_extend(args) -> None:
    out, picture = check_output(args.out), open_image(args.image)
    sides = [side for side in any_size.TOWARDS if getattr(args, side)]
    if len(sides) != 1:
        raise InputError(f"say how far to go with one of --{', --'.join(any_size.TOWARDS)}")
    editor, far = editor_for(picture, args), getattr(args, sides[0])
    prompts = [shorten(prompt, editor.t2i.tokenizer) for prompt in args.prompts]
    save(any_size.extend(editor, picture, prompts, sides[0], far, **settings(args)), out)


def run_video(args) -> None:
    out = check_output(args.out, endings=(".gif", ".webp", ".mp4", ".png"))
    if out.suffix.lower() == ".mp4":
        viz.find_encoder(out)
    picture = open_image(args.first) if args.first is not None else None
    animator = Animator.load(args.weights)
    prompt, given = shorten(args.prompt, animator.t2i.tokenizer), settings(args)
    if picture is None:
        [clip] = animator.draw([prompt], style=args.style, **given)
    else:
        if args.style or args.guidance is not None:
            warnings.warn("--style and --guidance have no part in moving a picture", stacklevel=1)
        if picture.width != picture.height:
            warnings.warn(f"{args.first} is no square: what is at its edges fills it up", stacklevel=1)
        first = to_tensor(Letterbox(picture).square, size=args.size)
        [clip] = animator.draw_from(first, [prompt], args.seed)
    frames = to_pil(animator.t2i.enlarge(clip, args.size))
    if out.suffix.lower() == ".png":
        save(viz.grid(frames, columns=8, side=min(128, args.size)), out)
        return
    viz.save_film(frames, out, seconds=1.6, rest=0)
    print(out)


def editor_for(picture: Image.Image, args) -> Editor:
    """The editor; says what becomes of a picture that is no square of SIDE pixels."""
    editor = Editor.load(args.weights)
    if picture.size != (SIDE, SIDE):
        size = f"{picture.width}x{picture.height}"
        warnings.warn(f"{args.image}, {size}, is drawn on at {SIDE}x{SIDE} and enlarged again", stacklevel=1)
    return editor
