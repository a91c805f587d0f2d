"""Any picture to a square and back, any mask to black and white, and new pixels laid into the old ones.

A person's picture has any size and shape, and its pixels are theirs: what is not to change must come back as
it was, bit for bit. So the square that the networks work on is a copy, and only what was drawn anew returns.

Shapes: B pictures, C channels, H W height and width. A mask is 1 where to draw, 0 where the picture is known.
"""

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from minit2i.images import as_rgb
from minit2i.utils import InputError

SIDE = 256  # of the square, in pixels
CONTRAST = 32  # by how much, of 255, the marked pixels of a mask differ from the others at least


class Letterbox:
    """A picture in a square of SIDE pixels: its shorter side filled up with what is at its edges."""

    def __init__(self, picture: Image.Image, resample: Image.Resampling = Image.Resampling.LANCZOS):
        """picture: RGB or grey ("L"), of any size."""
        self.picture = picture
        width, height = (max(1, round(SIDE * n / max(picture.size))) for n in picture.size)
        left, top = (SIDE - width) // 2, (SIDE - height) // 2
        self.box = left, top, left + width, top + height
        pixels = np.asarray(picture.resize((width, height), resample))
        margins = ((top, SIDE - top - height), (left, SIDE - left - width), (0, 0))
        self.square = Image.fromarray(np.pad(pixels, margins[: pixels.ndim], mode="edge"))

    def back(self, square: Image.Image) -> Image.Image:
        """A square of SIDE pixels -> a picture of the size of the one that was given."""
        return square.crop(self.box).resize(self.picture.size, Image.Resampling.LANCZOS)


def to_mask(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A mask as people make one, of any mode, at this size in black and white: white is to be drawn anew.

    If it is transparent somewhere, what is opaque is marked, whatever its colour; else what is lighter than
    the middle grey. Raises InputError for one shade all over that is neither black nor white.
    """
    if not picture.has_transparency_data or picture.mode[0] in "IF":  # deep greys have none
        picture = as_rgb(picture)
    picture = picture.convert("RGBA")
    alpha, shade = picture.getchannel("A"), picture.convert("RGB")
    low, high = alpha.getextrema()
    if high == 0 or high - low >= CONTRAST:  # halfway is the limit: a highlighter is half transparent
        shade = alpha.point(lambda value: round(255 * (value - low) / max(1, high - low)))
    low, high = shade.convert("L").getextrema()
    if high - low < CONTRAST <= min(low, 255 - high):
        raise InputError("the mask is of one shade all over: mark in white on black what to draw anew")
    grey = shade.resize(size, Image.Resampling.BILINEAR).convert("L")
    return grey.point(lambda value: 255 * (value >= 128))


def erode(mask: Tensor, radius: int) -> Tensor:
    """A mask (B, 1, H, W) with so many pixels less at its rim. The edge of the picture is no rim."""
    return -dilate(-mask, radius)


def dilate(mask: Tensor, radius: int) -> Tensor:
    """A mask (B, 1, H, W) with so many pixels more around it."""
    return F.max_pool2d(mask, 2 * radius + 1, stride=1, padding=radius)


def feather(mask: Tensor, rim: int) -> Tensor:
    """A mask (B, 1, H, W) that rises from 0 to 1 over so many pixels within its edge, or over fewer."""
    share = torch.stack([erode(mask, radius) for radius in range(rim + 1)]).mean(dim=0)
    return share / dilate(share, rim).clamp(min=1e-6)  # by the largest nearby: 1, but where it is thin


def composite(known: Tensor, drawn: Tensor, mask: Tensor, rim: int = 0) -> Tensor:
    """`drawn` where the mask is 1, `known` where it is 0, bit for bit; (B, C, H, W), mask (B, 1, H, W).
    rim: so many pixels within the mask, from its edge, go over softly from one to the other."""
    share = feather(mask, rim)
    mixed = known + share * (drawn - known)
    return torch.where(share == 0, known, torch.where(share == 1, drawn, mixed))


def match_colours(known: Tensor, drawn: Tensor, mask: Tensor) -> Tensor:
    """`drawn`, with its shades moved to those of `known` where it goes on with the same thing.

    A plain background that is drawn anew comes out a shade lighter or darker, and a shade is seen along an
    edge. How far it is off is known around the mask: a mean of that, weighted by nearness, is taken off.
    Where the two differ by more than a shade they show different things, which do not count.
    """
    radius, off = drawn.shape[-1] // 8, known - drawn
    # Gaussian in the difference, as in a bilateral filter (Tomasi & Manduchi 1998); a shade is about 0.1
    weight = (1 - mask) * (-(off.square().mean(dim=1, keepdim=True)) / 0.1**2).exp()

    def spread(x: Tensor) -> Tensor:
        for _ in range(3):  # three boxes in a row are nearly a Gaussian; each first across, then down
            x = F.avg_pool2d(x, (1, 2 * radius + 1), stride=1, padding=(0, radius))
            x = F.avg_pool2d(x, (2 * radius + 1, 1), stride=1, padding=(radius, 0))
        return x

    return (drawn + spread(weight * off) / (spread(weight) + 1e-3)).clamp(-1, 1)
