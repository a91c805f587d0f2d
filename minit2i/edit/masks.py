"""What may be covered of a picture: rectangles, strokes of a brush, and the shapes of things.

Shapes: masks (B, 1, S, S), 1 where covered.
"""

import random

import torch
from PIL import Image, ImageDraw
from torch import Generator, Tensor

from minit2i.images import to_float, to_tensor
from minit2i.world.batches import python_rng

from .compositing import dilate

SIDE = 64


def random_masks(count: int, generator: Generator) -> Tensor:
    """Rectangles and strokes, a few each, which cover from a little to most of a picture."""
    rng = python_rng(generator)
    return torch.cat([drawn_mask(rng) for _ in range(count)])


def drawn_mask(rng: random.Random) -> Tensor:
    """One to three rectangles, or one to four strokes: (1, 1, SIDE, SIDE)."""
    picture = Image.new("L", (SIDE, SIDE))
    brush = ImageDraw.Draw(picture)

    def point() -> tuple[int, int]:
        return rng.randrange(-4, SIDE + 4), rng.randrange(-4, SIDE + 4)

    if rng.random() < 0.5:
        for _ in range(rng.choice((1, 1, 2, 3))):
            (x0, y0), w, h = point(), rng.randint(6, 48), rng.randint(6, 48)
            brush.rectangle((x0 - w // 2, y0 - h // 2, x0 + w // 2, y0 + h // 2), fill=255)
    else:
        for _ in range(rng.randint(1, 4)):
            width = rng.randint(3, 16)
            points = [point() for _ in range(rng.randint(2, 5))]
            brush.line(points, fill=255, width=width, joint="curve")
            for x, y in points:  # round ends
                brush.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=255)
    return (to_tensor(picture, mode="L") > 0).float()


def difference(a: Tensor, b: Tensor, around: int) -> Tensor:
    """Where two uint8 pictures (B, 3, S, S) differ, with so many pixels around: the shape of what changed."""
    differs = (to_float(a) - to_float(b)).abs().amax(dim=1, keepdim=True) > 0.04
    return dilate(differs.float(), around)
