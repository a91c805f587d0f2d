"""Crude drawings of scenes, as a child makes them: blobs of colour or outlines, wobbly, with things missing.

Shapes: B pictures (B, 3, 64, 64) in [-1, 1].
"""

import random

import numpy as np
from PIL import Image, ImageFilter
from torch import Generator, Tensor

from minit2i.pictures import to_pil, to_tensor

from .batches import one_each, python_rng
from .judge import warp


def crude_drawings(pictures: Tensor, generator: Generator) -> Tensor:
    """A crude drawing of each picture (B, 3, 64, 64) in [-1, 1]: two in three of blobs, others of lines."""
    rng = python_rng(generator)
    wobbly = warp(pictures, 2.5 * one_each(pictures, generator), generator)
    drawn = [outlines(one, rng) if rng.random() < 1 / 3 else blobs(one, rng) for one in to_pil(wobbly)]
    return missing(to_tensor(drawn), rng).to(pictures.device)


def areas(picture: Image.Image, rng: random.Random) -> tuple[np.ndarray, np.ndarray]:
    """A picture as few areas of one colour each: the number of each pixel's area (S, S), and the colours
    (areas, 3)."""
    smooth = picture.filter(ImageFilter.MedianFilter(rng.choice((3, 5, 5, 7))))
    few = smooth.quantize(rng.randint(3, 7), Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    numbers = np.asarray(few.filter(ImageFilter.ModeFilter(rng.choice((3, 5)))))
    return numbers, np.array(few.getpalette(), np.float32).reshape(-1, 3)


def blobs(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Areas in roughly their colours; one in four has an area, or more, in a wrong one."""
    numbers, colours = areas(picture, rng)
    ground = numbers[0, 0]
    for i in np.unique(numbers):
        wrong = i != ground and rng.random() < 0.12
        shift = [rng.uniform(-40, 40) for _ in range(3)]
        colours[i] = [rng.uniform(0, 255) for _ in range(3)] if wrong else colours[i] + shift
    if rng.random() < 0.5:  # on whatever paper
        colours[ground] = rng.choice(([255, 255, 255], [rng.uniform(150, 255) for _ in range(3)]))
    return Image.fromarray(colours.clip(0, 255).astype(np.uint8)[numbers])


def outlines(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Thick lines along the edges of areas, on plain paper."""
    numbers, _ = areas(picture, rng)
    edges = np.zeros(numbers.shape, bool)
    edges[:-1] |= numbers[:-1] != numbers[1:]
    edges[:, :-1] |= numbers[:, :-1] != numbers[:, 1:]
    lines = Image.fromarray(255 * edges.astype(np.uint8)).filter(ImageFilter.MaxFilter(rng.choice((1, 3, 3))))
    ink = tuple(rng.randint(0, 120) for _ in range(3))
    paper = rng.choice(((255, 255, 255), tuple(rng.randint(150, 255) for _ in range(3))))
    return Image.composite(Image.new("RGB", picture.size, ink), Image.new("RGB", picture.size, paper), lines)


def missing(drawings: Tensor, rng: random.Random) -> Tensor:
    """One in three drawings without a piece: there the paper shows."""
    drawings = drawings.clone()
    for i in range(len(drawings)):
        if rng.random() < 1 / 3:
            size = rng.randint(6, 24)
            x, y = rng.randrange(64 - size), rng.randrange(64 - size)
            drawings[i, :, y : y + size, x : x + size] = drawings[i, :, :1, :1]
    return drawings
