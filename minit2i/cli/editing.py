"""The commands that start from a picture: vary, edit, extend."""

import warnings

from PIL import Image

from minit2i import retouch
from minit2i.edit import Editor
from minit2i.errors import InputError
from minit2i.fitted import SIDE
from minit2i.pictures import open_image

from .shared import check_output, save, shorten


def run_vary(args) -> None:
    out, picture = check_output(args.out), opened(args)
    editor = Editor.load(args.weights)
    prompt = shorten(args.prompt, editor.t2i.tokenizer)
    save(retouch.vary(editor, picture, prompt, args.strength, **settings(args)), out)


def run_edit(args) -> None:
    out, picture = check_output(args.out), opened(args)
    mask = open_image(args.mask) if args.mask else None
    editor = Editor.load(args.weights)
    prompt = shorten(args.prompt, editor.t2i.tokenizer)
    if mask is not None:
        edited, mask = retouch.inpaint(editor, picture, mask, prompt, **settings(args))
    else:
        given = settings(args)
        del given["seed"]  # the noise is the picture's own
        edited, mask = retouch.edit(editor, picture, prompt, **given)
    if not mask.getbbox():
        warnings.warn("there was nothing to change: the picture is as it was", stacklevel=1)
    save(edited, out)


def run_extend(args) -> None:
    out, picture = check_output(args.out), opened(args)
    sides = [side for side in retouch.TOWARDS if getattr(args, side)]
    if len(sides) != 1:
        raise InputError(f"say how far to go with one of --{', --'.join(retouch.TOWARDS)}")
    editor, far = Editor.load(args.weights), getattr(args, sides[0])
    prompts = [shorten(prompt, editor.t2i.tokenizer) for prompt in args.prompts]
    save(retouch.extend(editor, picture, prompts, sides[0], far, **settings(args)), out)


def opened(args) -> Image.Image:
    """The picture to start from; says what becomes of one that is no square of SIDE pixels."""
    picture = open_image(args.image)
    if picture.size != (SIDE, SIDE):
        size = f"{picture.width}x{picture.height}"
        message = f"{args.image} is fitted into {SIDE}x{SIDE} to draw on it, and comes back as {size}"
        warnings.warn(message, stacklevel=1)
    return picture


def settings(args) -> dict:
    given = {"seed": args.seed, "steps": args.steps}
    return given if args.guidance is None else {**given, "guidance_scale": args.guidance}
