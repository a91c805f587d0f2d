"""Crude drawings of scenes, as a child makes them: a blob for a head, a blob for a hat, or outlines.

Most are drawn anew from where the pieces of a scene are: an ellipse, a triangle, a stroke, in roughly the
right position and colour, with things left out. Others are pictures melted a little, in few flat colours.

Shapes: B drawings (B, 3, 64, 64) in [-1, 1]. A box is left, top, right and bottom as fractions of the frame.
"""

import cmath
import random
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from torch import Generator, Tensor

from minit2i.images import to_tensor
from minit2i.world.batches import python_rng
from minit2i.world.render import framed, layout, paints, parts, render
from minit2i.world.scenes import ANIMALS, COLOURS, HEADWEAR, Scene, held_out

SIDE = 256  # of the paper, before it is shrunk
Box = tuple[float, float, float, float]
HATS = {  # in a unit box, down from its top left
    "baseball cap": [(0, 1), (0.05, 0.4), (0.3, 0), (0.6, 0.05), (0.75, 0.5), (1, 0.8), (0.95, 1)],
    "top hat": [(0, 1), (0, 0.8), (0.2, 0.8), (0.2, 0), (0.8, 0), (0.8, 0.8), (1, 0.8), (1, 1)],
    "crown": [(0, 1), (0, 0.1), (0.25, 0.5), (0.5, 0), (0.75, 0.5), (1, 0.1), (1, 1)],
    "graduation cap": [(0, 0.35), (0.5, 0), (1, 0.35), (0.8, 0.5), (0.8, 1), (0.2, 1), (0.2, 0.5)],
    "sun hat": [(0, 0.9), (0.25, 0.7), (0.35, 0.1), (0.65, 0.1), (0.75, 0.7), (1, 0.9), (0.5, 1)],
    "helmet": [(0, 1), (0.05, 0.5), (0.3, 0.05), (0.7, 0.05), (0.95, 0.5), (1, 1)],
}
PLAIN = [[(0, 0), (1, 0), (1, 1), (0, 1)], [(0.5, 0), (1, 1), (0, 1)], HATS["helmet"]]  # box, triangle, dome


class Drawings(NamedTuple):
    """Crude drawings (B, 3, 64, 64), the boxes around what they show (B, 4), what that is, which may differ a
    little from what was meant, and whether its colours can be seen, or only lines, (B,) bool."""

    pictures: Tensor
    boxes: Tensor
    shown: list[Scene]
    coloured: Tensor


def crude_drawings(scenes: list[Scene], generator: Generator) -> Drawings:
    """A crude drawing of each scene, often of something a little other than the scene: see `misheard`."""
    rng = python_rng(generator)
    shown = [misheard(scene, rng) for scene in scenes]
    drawn = [spoilt(scene, rng) if rng.random() < 0.25 else by_hand(scene, rng) for scene in shown]
    papers, around, coloured = zip(*drawn, strict=True)
    small = to_tensor([paper.resize((64, 64), Image.Resampling.BOX) for paper in papers])
    around, coloured = torch.tensor(around, dtype=torch.float32), torch.tensor(coloured)
    return Drawings(photographed(small, rng), around, shown, coloured)


def misheard(scene: Scene, rng: random.Random) -> Scene:
    """The scene as somebody draws it who cares only for where things are: one hat in three of another colour,
    now and then another hat, none, or another animal; held out only if it was. So words say what it is."""
    other = scene
    if scene.headwear != "none":
        other = replace(other, colour=rng.choice(COLOURS)) if rng.random() < 0.4 else other
        other = replace(other, headwear=rng.choice(HEADWEAR)) if rng.random() < 0.1 else other
        if rng.random() < 0.1:
            other = framed(replace(other, headwear="none", colour="none"), layout(scene)[0][2:])
    other = replace(other, animal=rng.choice(ANIMALS)) if rng.random() < 0.1 else other
    new, old = (held_out(some.animal, some.headwear, some.colour) for some in (other, scene))
    return scene if new and not old else other


def boxes(scene: Scene) -> dict[str, Box]:
    """Where the pieces of a scene are: the boxes of "head", and of "eyes" and "hat" if it wears them."""
    found = {}
    for name, _, left, top, side in layout(scene):
        kind = {scene.animal: "head", scene.eyewear: "eyes"}.get(name, "hat")
        low, high = parts()[scene.style, name]["outline"].reshape(2, 2) * side + (left, top)
        found[kind] = (*low, *high)
    return found


@cache
def main_colour(style: str, name: str) -> tuple[int, ...]:
    """What colour most of a piece of art has."""
    picture = parts()[style, name]["image"].convert("RGBA").resize((32, 32), Image.Resampling.BOX)
    pixels = np.asarray(picture).reshape(-1, 4)
    return tuple(int(value) for value in np.median(pixels[pixels[:, 3] > 200, :3], axis=0))


def by_hand(scene: Scene, rng: random.Random) -> tuple[Image.Image, Box, bool]:
    """The pieces of a scene as simple shapes, filled, in outline, or both: the drawing, the box around it,
    and whether its colours can be seen."""
    paper = rng.choice(((255, 255, 255), (255, 255, 255), tuple(paints()["backgrounds"][scene.background])))
    paper = paper if rng.random() < 0.85 else tuple(rng.randint(150, 255) for _ in range(3))
    picture, corners = Image.new("RGB", (SIDE, SIDE), paper), []
    pen = ImageDraw.Draw(picture)
    width = round(3 * 10 ** rng.random())  # 3 to 30 pixels of SIDE
    ink = tuple(rng.randint(0, 90) for _ in range(3))
    filled, lines = rng.choice(((True, False), (True, True), (False, True)))
    own_ink = rng.random() < 0.4  # lines in the colour of the thing

    def put(box: Box, shape: list[tuple[float, float]], colour: tuple[int, ...]) -> None:
        left, top, right, bottom = box
        points = [(left + x * (right - left), top + y * (bottom - top)) for x, y in shape]
        corners.extend(points)
        points = [(SIDE * x, SIDE * y) for x, y in points]
        colour = tuple(min(255, max(0, value + rng.randint(-35, 35))) for value in colour)
        if filled:
            pen.polygon(points, fill=colour)
        if lines:
            pen.line([*points, points[0]], fill=colour if own_ink else ink, width=width, joint="curve")

    found = boxes(scene)
    left, top, right, bottom = found["head"]
    put(nudged(found["head"], rng), ring(rng), main_colour(scene.style, scene.animal))
    if rng.random() < 0.4:  # dots for eyes
        for share in (0.33, 0.67):
            x, y = left + share * (right - left), top + 0.5 * (bottom - top)
            size = rng.uniform(0.02, 0.06) * (right - left)
            put((x - size, y - size, x + size, y + size), ring(rng), (20, 20, 20))
    if "eyes" in found and rng.random() < 0.7:
        left, top, right, bottom = found["eyes"]
        glass = 0.45 * (right - left)
        for box in ((left, top, left + glass, bottom), (right - glass, top, right, bottom)):
            put(nudged(box, rng), ring(rng), (30, 30, 40))
    if "hat" in found:  # its own shape or just any
        box = nudged(found["hat"], rng)
        hat = HATS[scene.headwear] if rng.random() < 0.5 else rng.choice(PLAIN)
        hat = [(x + rng.uniform(-0.04, 0.04), y + rng.uniform(-0.04, 0.04)) for x, y in hat]
        put(box, hat, tuple(paints()["hats"][scene.colour][1]))
    low, high = np.min(corners, axis=0).clip(0), np.max(corners, axis=0).clip(max=1)
    return picture, (*low, *high), filled or own_ink


def nudged(box: Box, rng: random.Random) -> Box:
    """A box whose sides are a little off."""
    left, top, right, bottom = box
    sizes = 2 * (right - left, bottom - top)
    return tuple(side + rng.uniform(-0.06, 0.06) * size for side, size in zip(box, sizes, strict=True))


def ring(rng: random.Random) -> list[tuple[float, float]]:
    """A wobbly ellipse, in a unit box."""
    wobble = [rng.uniform(0.9, 1.0) for _ in range(rng.choice((8, 12, 20)))]
    spokes = [cmath.rect(size / 2, 2 * cmath.pi * i / len(wobble)) for i, size in enumerate(wobble)]
    return [(0.5 + spoke.real, 0.5 + spoke.imag) for spoke in spokes]


def spoilt(scene: Scene, rng: random.Random) -> tuple[Image.Image, Box, bool]:
    """A picture of few flat colours, or the lines between them; with the same beside it as `by_hand`."""
    lows, highs = np.hsplit(np.array([*boxes(scene).values()]), 2)
    box = (*lows.min(axis=0), *highs.max(axis=0))
    smooth = render(scene, 128).filter(ImageFilter.MedianFilter(rng.choice((5, 7, 9))))
    few = smooth.quantize(rng.randint(3, 7), Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few = few.filter(ImageFilter.ModeFilter(rng.choice((5, 9))))
    if rng.random() < 0.6:
        return few.convert("RGB"), box, True
    numbers = np.asarray(few)
    edges = np.zeros(numbers.shape, bool)
    edges[:-1] |= numbers[:-1] != numbers[1:]
    edges[:, :-1] |= numbers[:, :-1] != numbers[:, 1:]
    lines = Image.fromarray(255 * edges.astype(np.uint8)).filter(ImageFilter.MaxFilter(rng.choice((3, 5, 7))))
    picture = Image.new("RGB", few.size, "white")
    picture.paste(tuple(rng.randint(0, 120) for _ in range(3)), mask=lines)
    return picture, box, False


def photographed(drawings: Tensor, rng: random.Random) -> Tensor:
    """The drawings (B, 3, 64, 64), some of them changed: in uneven light, pale, or with a piece missing."""
    across = torch.linspace(-1, 1, 64, dtype=torch.float32)
    for x in drawings:  # each a view: what is written here stays
        paper = x[:, :1, :1].clone()
        if rng.random() < 0.2:
            size = rng.randint(6, 20)
            left, top = rng.randrange(64 - size), rng.randrange(64 - size)
            x[:, top : top + size, left : left + size] = paper
        if rng.random() < 0.25:
            x += rng.uniform(-0.15, 0.15) * across + rng.uniform(-0.15, 0.15) * across[:, None]
        if rng.random() < 0.25:
            x.copy_(paper + rng.uniform(0.5, 0.9) * (x - paper))
    return drawings.clamp(-1, 1)
