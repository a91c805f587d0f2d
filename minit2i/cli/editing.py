"""The commands that start from a picture: vary, edit, extend."""

import warnings

from PIL import Image

from minit2i import retouch
from minit2i.edit import Editor
from minit2i.errors import InputError
from minit2i.fitted import SIDE
from minit2i.pictures import open_image

from .shared import check_output, save, settings, shorten


def run_vary(args) -> None:
    out, picture = check_output(args.out), open_image(args.image)
    editor = editor_for(picture, args)
    prompt = shorten(args.prompt, editor.t2i.tokenizer)
    save(retouch.vary(editor, picture, prompt, args.strength, **settings(args)), out)


def run_edit(args) -> None:
    out, picture = check_output(args.out), open_image(args.image)
    mask = open_image(args.mask) if args.mask else None
    editor = editor_for(picture, args)
    prompt, given = shorten(args.prompt, editor.t2i.tokenizer), settings(args)
    if mask is not None:
        edited, mask = retouch.inpaint(editor, picture, mask, prompt, **given)
    else:
        del given["seed"]  # the noise is the picture's own
        edited, mask = retouch.edit(editor, picture, prompt, **given)
    if not mask.getbbox():
        warnings.warn("there was nothing to change: the picture is as it was", stacklevel=1)
    save(edited, out)


def run_extend(args) -> None:
    out, picture = check_output(args.out), open_image(args.image)
    sides = [side for side in retouch.TOWARDS if getattr(args, side)]
    if len(sides) != 1:
        raise InputError(f"say how far to go with one of --{', --'.join(retouch.TOWARDS)}")
    editor, far = editor_for(picture, args), getattr(args, sides[0])
    prompts = [shorten(prompt, editor.t2i.tokenizer) for prompt in args.prompts]
    save(retouch.extend(editor, picture, prompts, sides[0], far, **settings(args)), out)


def editor_for(picture: Image.Image, args) -> Editor:
    """The editor; says what becomes of a picture that is no square of SIDE pixels."""
    editor = Editor.load(args.weights)
    if picture.size != (SIDE, SIDE):
        size = f"{picture.width}x{picture.height}"
        warnings.warn(f"{args.image}, {size}, is drawn on at {SIDE}x{SIDE} and enlarged again", stacklevel=1)
    return editor
