"""A crude drawing becomes a picture: the drawing says where, the prompt says what.

Flat blobs of colour or thick outlines on a plain ground are enough. Where drawing and prompt disagree, the
prompt decides what a thing is and which colour it has. Paper: Zhang et al. 2023; see controlnet.py.

Shapes: B drawings (B, 3, S, S) in [-1, 1], S = 64.
"""

from functools import reduce
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageChops, ImageStat
from torch import Tensor

from minit2i.checkpoint import load_beside_denoiser
from minit2i.images import as_rgb
from minit2i.text2image import TextToImage
from minit2i.utils import WEIGHTS, InputError

from .controlnet import ControlledDenoiser, ControlNet


class Sketcher:
    """Drawings and prompts in, pictures out."""

    def __init__(self, t2i: TextToImage, controlnet: ControlNet):
        self.t2i, self.controlnet = t2i, controlnet

    @classmethod
    def load(cls, folder: str | Path = WEIGHTS, t2i: TextToImage | None = None) -> "Sketcher":
        """From `folder`, and what is not there from the pretrained weights; t2i: that of the folder, if it is
        loaded already. Raises InputError if weights are missing, damaged, or do not belong together."""
        return cls(t2i or TextToImage.load(folder), *load_beside_denoiser(folder, "sketch"))

    def draw(self, drawings: Tensor, prompts: list[str], strength: float = 1.0, **settings) -> Tensor:
        """One small picture a drawing: (B, 3, S, S) in [-1, 1].

        strength: how closely the drawing is followed, from 0 (not at all) to 1. settings: those of
        `TextToImage.steps`, but the drawing says position and size, and chance says the style.
        Raises InputError for another strength, or drawings of another count or size.
        """
        t2i, side = self.t2i, self.t2i.size
        if not 0 <= strength <= 1:
            raise InputError(f"strength must be from 0 to 1, not {strength}")
        if drawings.shape != (len(prompts), 3, side, side):
            raise InputError(f"each prompt needs a drawing (3, {side}, {side}), not {tuple(drawings.shape)}")
        # Without a layout, styles are mixed: clearer pictures come of a scale of 3 than of the usual 2
        settings = {"guidance_scale": 3.0, **settings, "conditioning": {"drawing": drawings}}
        settings["layout"] = drawings.new_zeros(len(prompts), t2i.denoiser.config.layout)
        controlled = ControlledDenoiser(t2i.denoiser, self.controlnet, strength)
        return t2i.with_denoiser(controlled).draw(prompts, **settings)


def on_paper(picture: Image.Image) -> Image.Image:
    """A drawing as the ControlNet knows them, dark or coloured on light paper: RGB, from any mode.

    On a dark ground, or of light strokes alone on a transparent one, it is inverted in lightness, not in hue:
    white on black becomes black on white, a red blob stays red. All others are as `as_rgb` has them.
    """
    plain = as_rgb(picture)
    *colours, alpha = (picture if picture.has_transparency_data else plain).convert("RGBA").split()
    high, low = (reduce(pick, colours) for pick in (ImageChops.lighter, ImageChops.darker))
    lightness = ImageChops.add(high, low, scale=2)
    ground, opaque = background(torch.from_numpy(np.stack([lightness, alpha]))).flatten().tolist()
    if opaque < 128:  # nothing would be seen on white
        most = alpha.getextrema()[1] / 2
        strokes = low.histogram(alpha.point(lambda value: 255 * (value > most)))
        invert = sum(strokes[200:]) > 0.99 * sum(strokes)
    else:  # dark, but not light paper on a dark table
        invert = ground < 80 and ImageStat.Stat(lightness).median[0] < 150
    if not invert:
        return plain
    # c + 255 - high - low: the same is added to all three, and their lightness becomes 255 less what it was
    colours = [ImageChops.add(ImageChops.subtract(c, low), ImageChops.invert(high)) for c in colours]
    return as_rgb(Image.merge("RGBA", (*colours, alpha)))


def background(picture: Tensor) -> Tensor:
    """What most of the rim of a picture (C, H, W) shows, its median: (C, 1, 1)."""
    rim = torch.cat([picture[:, 0], picture[:, -1], picture[:, :, 0], picture[:, :, -1]], dim=1)
    return rim.median(dim=1).values[:, None, None]


def box_of(pictures: Tensor) -> Tensor:
    """The box around all that is not background: (B, 4), left, top, right and bottom as fractions; 0 if there
    is nothing. pictures: (B, 3, H, W) in [-1, 1]."""
    boxes = torch.zeros(len(pictures), 4, dtype=torch.float32)
    for box, picture in zip(boxes, pictures, strict=True):
        inside = ((picture - background(picture)).abs().amax(dim=0) > 0.3).nonzero().flip(1)  # x and y
        if len(inside):
            edges = torch.cat([inside.amin(0), inside.amax(0) + 1])
            box.copy_(edges / edges.new_tensor(2 * picture.shape[:0:-1]))  # by W, H, W, H
    return boxes


def overlap(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of boxes (B, 4): (B,), from 0 to 1."""
    both = (torch.minimum(a, b)[:, 2:] - torch.maximum(a, b)[:, :2]).clamp(min=0).prod(dim=1)
    areas = sum((box[:, 2:] - box[:, :2]).prod(dim=1) for box in (a, b))
    return both / (areas - both).clamp(min=1e-9)
