"""Change how a drawing looks and not what it shows, so that CLIP learns what a thing is in any style of art.

Colours are part of the style for most things, and not for a red heart: they change only now and then.
Pictures come in pairs of one concept in two styles, so that one can be given the palette of the other.
Papers: Huang & Belongie 2017 (style as mean and spread), DeVries & Taylor 2017 (cutout).
Shapes: B pictures, H height, W width; pictures are float32 in [-1, 1].
"""

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from minit2i.world.batches import one_each


def palette(x: Tensor, generator: Generator) -> Tensor:
    """Give each picture the mean and spread of the colours of the other one of its pair."""
    mean, spread = x.mean((2, 3), keepdim=True), x.std((2, 3), keepdim=True) + 0.05
    other = (torch.arange(len(x), device=x.device) ^ 1).clamp(max=len(x) - 1)  # 0 <-> 1, 2 <-> 3, ...
    # AdaIN: sigma_other (x - mu) / sigma + mu_other
    return (x - mean) / spread * spread[other] + mean[other]


def hue(x: Tensor, generator: Generator) -> Tensor:
    """Turn all colours by one angle around the axis from black to white."""
    angle = 2 * math.pi * one_each(x, generator)
    cos, sin = angle.cos(), angle.sin() / math.sqrt(3)
    grey = x.mean(1, keepdim=True)
    # Rodrigues' formula with the axis (1, 1, 1) / sqrt 3: its cross product is a difference of channels
    return grey + cos * (x - grey) + sin * (x.roll(1, 1) - x.roll(-1, 1))


def contrast(x: Tensor, generator: Generator) -> Tensor:
    """Stronger or weaker, brighter or darker."""
    return (0.5 + one_each(x, generator)) * x + 0.6 * (one_each(x, generator) - 0.5)


def outline(x: Tensor, generator: Generator) -> Tensor:
    """Only dark lines on white, where neighbouring pixels differ."""
    edge = (F.max_pool2d(x, 3, 1, 1) + F.max_pool2d(-x, 3, 1, 1)).mean(1, keepdim=True)  # 0 to 2
    return (1 - (1 + 2 * one_each(x, generator)) * edge).expand_as(x)


def strokes(x: Tensor, generator: Generator) -> Tensor:
    """Let what is bright grow by a pixel, or what is dark."""
    return torch.where(one_each(x, generator) < 0.5, F.max_pool2d(x, 3, 1, 1), -F.max_pool2d(-x, 3, 1, 1))


def cutout(x: Tensor, generator: Generator) -> Tensor:
    """Hide a square with sides of 3/8 of the frame behind grey."""
    size = x.shape[-1]
    left, top = (one_each(x, generator) * size * 5 / 8 for _ in range(2))
    at = torch.arange(size, device=x.device)
    columns = (at >= left) & (at < left + size * 3 / 8)  # (B, 1, 1, W)
    rows = ((at >= top) & (at < top + size * 3 / 8)).transpose(2, 3)  # (B, 1, H, 1)
    return torch.where(columns & rows, 2 * one_each(x, generator) - 1, x)


CHANGES = {  # name -> the change, as a function of pictures and generator, and its share
    "strokes": (strokes, 0.15),
    "blur": (lambda x, _: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False), 0.1),
    "outline": (outline, 0.1),
    "hue": (hue, 0.15),
    "contrast": (contrast, 0.3),
    "grey": (lambda x, _: x.mean(1, keepdim=True).expand_as(x), 0.1),
    "cutout": (cutout, 0.1),
}
ALL_CHANGES = ("palette", *CHANGES)


def restyle(x: Tensor, generator: Generator, changes: tuple[str, ...] = ALL_CHANGES) -> Tensor:
    """Make the named changes, each to its share of the pictures (B, 3, H, W) in [-1, 1]."""
    if "palette" in changes:  # a fifth of the pictures get another one
        x = torch.where(one_each(x, generator) < 0.2, palette(x, generator), x)
    x = x.clone()
    for name, (change, share) in CHANGES.items():
        if name in changes:
            some = (torch.rand(len(x), generator=generator) < share).nonzero()[:, 0].to(x.device)
            x[some] = change(x[some], generator)
    return x.clamp(-1, 1)
