"""The editor for pictures of any size: letterbox, change the small copy, enlarge, composite what is new.

What is known stays the caller's own, pixel by pixel, at any size: only what was drawn anew is laid into it.

Shapes: pictures are PIL's; a strip is (1, 3, SIDE, length), turned so that it grows to the right.
"""

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from PIL import Image, ImageChops
from torch import Tensor

from minit2i.images import MAX_PIXELS, as_rgb, to_pil, to_tensor
from minit2i.upscaler import bicubic
from minit2i.utils import InputError, device_of, progress
from minit2i.world.scenes import Scene

from .compositing import SIDE, Letterbox, composite, feather, match_colours, to_mask
from .editor import Editor, layout_vectors

TOWARDS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}  # x and y
RIM = 3  # pixels of SIDE over which new and old go over into each other
MOST = 3 / 4  # of a window may be new: the rest says how the picture goes on
FAR = 16  # windows at most
ROOM = 0.6  # of a window has to be new for another animal to stand there


def vary(editor: Editor, picture: Image.Image, prompt: str, strength: float, **settings) -> Image.Image:
    """A variation of a picture, of the same size; see `Editor.vary`."""
    letterbox = Letterbox(as_rgb(picture))
    small = _shrunk(editor, to_tensor(letterbox.square))
    drawn = editor.vary(small, [prompt], strength, **settings)
    same = torch.equal(drawn, small)
    return picture if same else letterbox.back(to_pil(editor.t2i.enlarge(drawn, SIDE))[0])


def inpaint(
    editor: Editor, picture: Image.Image, mask: Image.Image, prompt: str, **settings
) -> tuple[Image.Image, Image.Image]:
    """Draw anew what is marked in a mask of any mode and size (see `to_mask`), with the settings of
    `Editor.inpaint`; the rest stays as it is. Returns the picture, and the mask as it was understood."""
    letterbox, mask = Letterbox(as_rgb(picture)), to_mask(mask, picture.size)
    if not mask.getbbox():
        return letterbox.picture, mask
    small = _shrunk(editor, to_tensor(letterbox.square))
    masks = F.max_pool2d(_covered(mask).to(small), SIDE // editor.t2i.size)
    return _laid_into(editor, letterbox, editor.inpaint(small, masks, [prompt], **settings), mask), mask


def edit(editor: Editor, picture: Image.Image, prompt: str, **settings) -> tuple[Image.Image, Image.Image]:
    """Change a picture to what the prompt says; see `Editor.edit`. Returns it and where it was changed."""
    letterbox = Letterbox(as_rgb(picture))
    edited = editor.edit(_shrunk(editor, to_tensor(letterbox.square)), [prompt], **settings)
    masks = F.interpolate(2 * edited.masks - 1, (SIDE, SIDE), mode="bilinear")
    mask = letterbox.back(to_pil(masks)[0]).point(lambda value: 255 * (value >= 128))
    return _laid_into(editor, letterbox, edited.pictures, mask), mask


def extend(
    editor: Editor, picture: Image.Image, prompts: list[str], side: str, pixels: int, **settings
) -> Image.Image:
    """Go on beyond one side of a picture, by so many of its pixels: a wider or higher picture.

    It is drawn window by window, each of which sees the end of what is there. prompts: one for all windows,
    or one each, outwards. A window with room for it shows another animal, else the one that is there goes on.
    side: one of TOWARDS. Raises InputError for another, no prompt or too many, or pixels out of range.
    """
    if side not in TOWARDS or not prompts or pixels < 1:
        raise InputError(f"say by how many pixels to go {', '.join(TOWARDS)}, and what is to be seen there")
    picture, (x, y) = as_rgb(picture), TOWARDS[side]
    width, height = picture.size
    length, breadth = (width, height) if x else (height, width)
    seen = min(length, breadth)  # of its length: what the first window may look at
    known, grow = (max(1, round(SIDE / breadth * n)) for n in (seen, pixels))
    step = min(round(MOST * SIDE), math.ceil(grow / len(prompts)))
    windows = math.ceil(grow / step)
    if windows > FAR or (length + pixels) * breadth > MAX_PIXELS:
        raise InputError(f"{pixels} pixels are too far for a picture of {width}x{height}")
    if len(prompts) > windows:
        raise InputError(f"{len(prompts)} prompts are too many for {pixels} pixels")
    left, top = (width - seen if x > 0 else 0), (height - seen if y > 0 else 0)
    end = picture.crop((left, top, left + (seen if x else width), top + (seen if y else height)))
    end = end.resize((known, SIDE) if x else (SIDE, known), Image.Resampling.LANCZOS)
    # A window is a square: what is at the far end goes on, as in a letterbox
    strip = F.pad(turned(to_tensor(end), side), (SIDE - known, 0, 0, 0), mode="replicate").to(
        device_of(editor.t2i.denoiser)
    )
    for i in progress(range(windows), "windows"):
        prompt, new = prompts[min(i, len(prompts) - 1)], min(step, grow - i * step)
        strip = torch.cat([strip, _window(editor, strip[..., -SIDE:], prompt, side, new, **settings)], dim=-1)
    beyond = to_pil(turned(strip[..., -grow:], side))[0]
    beyond = beyond.resize((pixels, breadth) if x else (breadth, pixels), Image.Resampling.LANCZOS)
    dx, dy = x * pixels, y * pixels
    whole = picture.crop((min(0, dx), min(0, dy), max(width, width + dx), max(height, height + dy)))
    whole.paste(beyond, (width if x > 0 else 0, height if y > 0 else 0))
    return whole


def _window(editor: Editor, end: Tensor, prompt: str, side: str, new: int, **settings) -> Tensor:
    """The next so many pixels of a strip that ends in this square: (1, 3, SIDE, new)."""
    _, [wanted] = editor.read(_shrunk(editor, turned(end, side)), [prompt])
    layout = layout_vectors([moved_on(wanted, side, new / SIDE, anew=new >= ROOM * SIDE)])
    known = turned(F.pad(end[..., new:], (0, new, 0, 0), mode="replicate"), side)
    mask = turned(F.pad(torch.zeros_like(end[:, :1, :, new:]), (0, new), value=1.0), side)
    masks = F.max_pool2d(mask, SIDE // editor.t2i.size)
    drawn = editor.inpaint(_shrunk(editor, known), masks, [prompt], layout=layout, **settings)
    large = match_colours(known, editor.t2i.enlarge(drawn, SIDE), mask)
    return turned(composite(known, large, mask, RIM), side)[..., -new:]


def moved_on(scene: Scene, side: str, share: float, anew: bool) -> Scene:
    """A scene in a window that has moved on by this share of itself: what is still seen of it or, anew, in
    the middle of what the window shows for the first time."""
    (x, y), middle = TOWARDS[side], (1 - share) / 2
    if anew:
        return replace(scene, x=middle * x, y=middle * y, size=min(0.84, 0.98 * share))
    return replace(scene, x=scene.x - share * x, y=scene.y - share * y)


def turned(x: Tensor, side: str) -> Tensor:
    """A picture (B, C, H, W) so that the side that grows lies to the right; and so turned, back again."""
    if side in ("up", "down"):
        x = x.transpose(-1, -2)
    return x.flip(-2, -1) if side in ("up", "left") else x


def _shrunk(editor: Editor, x: Tensor) -> Tensor:
    return bicubic(x.to(device_of(editor.t2i.denoiser)), editor.t2i.size, editor.t2i.size).clamp(-1, 1)


def _covered(mask: Image.Image) -> Tensor:
    """A mask in its square (1, 1, SIDE, SIDE): 1 where anything white is."""
    return (to_tensor(Letterbox(mask, Image.Resampling.BOX).square, mode="L") > -1).float()


def _laid_into(editor: Editor, letterbox: Letterbox, drawn: Tensor, mask: Image.Image) -> Image.Image:
    """What was drawn small, at the picture's size, laid into it where the mask is white."""
    known, masks = to_tensor(letterbox.square).to(drawn), _covered(mask).to(drawn)
    large = match_colours(known, editor.t2i.enlarge(drawn, SIDE), masks)
    share = letterbox.back(to_pil(2 * feather(masks, RIM) - 1)[0])
    share = ImageChops.darker(share, mask)  # enlarging blurs the edge: never beyond it
    return Image.composite(letterbox.back(to_pil(large)[0]), letterbox.picture, share)
