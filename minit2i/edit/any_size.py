"""The editor for pictures of any size: fit them in, change the small copy, enlarge, bring back what is new.

What is known stays the caller's own, pixel by pixel, at any size: only what was drawn anew is laid into it.

Shapes: pictures are PIL's; a strip is (1, 3, SIDE, length), the way in which it grows to the right.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from PIL import Image, ImageChops
from torch import Tensor
from tqdm import tqdm

from minit2i.images import MAX_PIXELS, as_rgb, to_pil, to_tensor
from minit2i.upscaler import bicubic
from minit2i.utils import InputError, device_of
from minit2i.world.scenes import Scene

from .compositing import SIDE, Letterbox, composite, feather, match_colours, to_mask
from .editor import Editor, layouts

TOWARDS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}  # x and y
RIM = 3  # pixels of SIDE over which new and old go over into each other
MOST = 3 / 4  # of a window may be new: the rest says how the picture goes on
FAR = 16  # windows at most
ROOM = 0.6  # of a window has to be new for another animal to stand there


def vary(editor: Editor, picture: Image.Image, prompt: str, strength: float, **settings) -> Image.Image:
    """A variation of a picture, of the same size; see `Editor.vary`."""
    fitted = Letterbox(as_rgb(picture))
    small = _small(editor, fitted.square)
    drawn = editor.vary(small, [prompt], strength, **settings)
    return picture if drawn is small else fitted.back(to_pil(editor.t2i.enlarge(drawn, SIDE))[0])


def inpaint(
    editor: Editor, picture: Image.Image, mask: Image.Image, prompt: str, **settings
) -> tuple[Image.Image, Image.Image]:
    """Draw anew what is white in the mask, of any size; see `Editor.inpaint`. The rest stays as it is.

    Returns the picture, and the mask as it was understood.
    """
    picture, mask = as_rgb(picture), to_mask(mask.resize(picture.size, Image.Resampling.BILINEAR))
    if not mask.getbbox():
        return picture, mask
    small = _small(editor, Letterbox(picture).square)
    masks = F.max_pool2d(_covered(editor, mask), SIDE // editor.t2i.size)
    return _brought_back(editor, editor.inpaint(small, masks, [prompt], **settings), picture, mask), mask


def edit(editor: Editor, picture: Image.Image, prompt: str, **settings) -> tuple[Image.Image, Image.Image]:
    """Change a picture to what the prompt says; see `Editor.edit`. Returns it and where it was changed."""
    picture = as_rgb(picture)
    fitted = Letterbox(picture)
    edited = editor.edit(_small(editor, fitted.square), [prompt], **settings)
    masks = F.interpolate(2 * edited.masks - 1, (SIDE, SIDE), mode="bilinear")
    mask = to_mask(fitted.back(to_pil(masks)[0]))
    return _brought_back(editor, edited.pictures, picture, mask), mask


def extend(
    editor: Editor, picture: Image.Image, prompts: list[str], side: str, pixels: int, **settings
) -> Image.Image:
    """Go on beyond one side of a picture, by so many of its pixels: a wider or higher picture.

    It is drawn window by window, each of which sees the end of what is there. prompts: what each window
    shows; one, for all of them, or one each from the picture outwards. A window with room for it shows
    another animal, else the one that is there goes on. side: one of TOWARDS.
    Raises InputError for another side, no prompt or too many, pixels below 1, or too large a picture.
    """
    if side not in TOWARDS or not prompts or pixels < 1:
        raise InputError(f"say by how many pixels to go {', '.join(TOWARDS)}, and what is to be seen there")
    picture, across = as_rgb(picture), side in ("left", "right")
    breadth, length = (picture.height, picture.width) if across else (picture.width, picture.height)
    seen = min(length, breadth)  # of its length: what the first window may look at
    known, grow = (max(1, round(SIDE / breadth * n)) for n in (seen, pixels))
    step = min(round(MOST * SIDE), math.ceil(grow / len(prompts)))
    windows = math.ceil(grow / step)
    if windows > FAR or (length + pixels) * breadth > MAX_PIXELS:
        raise InputError(f"{pixels} pixels are too far for a picture of {picture.width}x{picture.height}")
    if len(prompts) > windows:
        raise InputError(f"{len(prompts)} prompts are too many for {pixels} pixels")
    x, y = TOWARDS[side]
    left, top = (picture.width - seen if x > 0 else 0), (picture.height - seen if y > 0 else 0)
    last = picture.crop((left, top, left + (seen if x else breadth), top + (seen if y else breadth)))
    last = last.resize((known, SIDE) if across else (SIDE, known), Image.Resampling.LANCZOS)
    strip = _turned(_tensor(editor, last), side)
    if known < SIDE:  # a window is a square: what is at the far end goes on, as around a fitted picture
        strip = F.pad(strip, (SIDE - known, 0, 0, 0), mode="replicate")
    for i in tqdm(range(windows), "windows", leave=False, disable=None):
        prompt, new = prompts[min(i, len(prompts) - 1)], min(step, grow - i * step)
        strip = torch.cat([strip, _window(editor, strip[..., -SIDE:], prompt, side, new, **settings)], dim=-1)
    beyond = to_pil(_turned(strip[..., -grow:], side, back=True))[0]
    beyond = beyond.resize((pixels, breadth) if across else (breadth, pixels), Image.Resampling.LANCZOS)
    return _beside(picture, beyond, side)


def _window(editor: Editor, end: Tensor, prompt: str, side: str, new: int, **settings) -> Tensor:
    """The next so many pixels of a strip that ends in this square: (1, 3, SIDE, new)."""
    found = editor.find(_shrunk(editor, _turned(end, side, back=True)), [prompt])[0]
    scene = amid_the_new if new >= ROOM * SIDE else left_behind
    layout = layouts([scene(found.wanted, side, new / SIDE)])
    known = F.pad(end[..., new:], (0, new, 0, 0), mode="replicate")
    mask = torch.zeros_like(known[:, :1])
    mask[..., -new:] = 1
    known, mask = (_turned(part, side, back=True) for part in (known, mask))
    masks = F.max_pool2d(mask, SIDE // editor.t2i.size)
    drawn = editor.inpaint(_shrunk(editor, known), masks, [prompt], layout=layout, **settings)
    large = editor.t2i.enlarge(drawn, SIDE)
    return _turned(composite(known, match_colours(known, large, mask), mask, RIM), side)[..., -new:]


def left_behind(scene: Scene, side: str, share: float) -> Scene:
    """What is still seen of a scene from a window that has moved on by this share of itself."""
    x, y = TOWARDS[side]
    return replace(scene, x=scene.x - share * x, y=scene.y - share * y)


def amid_the_new(scene: Scene, side: str, share: float) -> Scene:
    """A scene in the middle of what such a window shows for the first time."""
    x, y = TOWARDS[side]
    middle = (1 - share) / 2
    return replace(scene, x=middle * x, y=middle * y, size=min(0.84, 0.98 * share))


def _turned(x: Tensor, side: str, back: bool = False) -> Tensor:
    """A picture whose given side is to grow, with that side to the right; or back."""
    turns: list[Callable[[Tensor], Tensor]] = []
    if side in ("up", "down"):
        turns.append(lambda x: x.transpose(-1, -2))
    if side in ("left", "up"):
        turns.append(lambda x: x.flip(-1))
    for turn in reversed(turns) if back else turns:
        x = turn(x)
    return x


def _beside(picture: Image.Image, beyond: Image.Image, side: str) -> Image.Image:
    """Two pictures in one, the second at this side of the first."""
    x, y = TOWARDS[side]
    whole = Image.new("RGB", (picture.width + abs(x) * beyond.width, picture.height + abs(y) * beyond.height))
    whole.paste(picture, (beyond.width if x < 0 else 0, beyond.height if y < 0 else 0))
    whole.paste(beyond, (picture.width if x > 0 else 0, picture.height if y > 0 else 0))
    return whole


def _tensor(editor: Editor, picture: Image.Image, mode: str = "RGB") -> Tensor:
    return to_tensor(picture, mode=mode).to(device_of(editor.t2i.denoiser))


def _shrunk(editor: Editor, x: Tensor) -> Tensor:
    return bicubic(x, editor.t2i.size, editor.t2i.size).clamp(-1, 1)


def _small(editor: Editor, square: Image.Image) -> Tensor:
    return _shrunk(editor, _tensor(editor, square))


def _covered(editor: Editor, mask: Image.Image) -> Tensor:
    """A mask in its square (1, 1, SIDE, SIDE): 1 where anything white is."""
    return (_tensor(editor, Letterbox(mask, Image.Resampling.BOX).square, "L") > -1).float()


def _brought_back(editor: Editor, drawn: Tensor, picture: Image.Image, mask: Image.Image) -> Image.Image:
    """What was drawn small, at the picture's size, laid into it where the mask is white."""
    fitted, masks = Letterbox(picture), _covered(editor, mask)
    large = match_colours(_tensor(editor, fitted.square), editor.t2i.enlarge(drawn, SIDE), masks)
    share = fitted.back(to_pil(2 * feather(masks, RIM) - 1)[0])
    share = ImageChops.darker(share, mask)  # enlarging blurs the edge: never beyond it
    return Image.composite(fitted.back(to_pil(large)[0]), picture, share)
