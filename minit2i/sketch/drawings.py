"""Crude drawings of scenes, as a child makes them: a blob for a head, a blob for a hat, or outlines.

Two kinds. Most are drawn anew from where the pieces of a scene are: an ellipse, a triangle, a stroke, in
roughly the right place and roughly the right colour, with things left out. The others are pictures spoilt:
melted a little and reduced to a few flat colours.

Shapes: B drawings (B, 3, 64, 64) in [-1, 1].
"""

import math
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
Box = tuple[float, float, float, float]  # left, top, right, bottom
Colour = tuple[int, int, int]


class Drawings(NamedTuple):
    """Crude drawings (B, 3, 64, 64) in [-1, 1], the boxes around what they show (B, 4), left, top, right and
    bottom as fractions of the frame; what each shows, which may be a little other than what was meant; and
    whether its colours can be seen, (B,) bool, or only lines."""

    pictures: Tensor
    boxes: Tensor
    shown: list[Scene]
    coloured: Tensor


class Sheet(NamedTuple):
    """One drawing before it is shrunk, the box around what it shows, and whether colours can be seen."""

    picture: Image.Image
    box: Box
    coloured: bool


def crude_drawings(scenes: list[Scene], generator: Generator) -> Drawings:
    """A crude drawing of each scene, often of something a little other than the scene: see `misheard`."""
    rng = python_rng(generator)
    shown = [misheard(scene, rng) for scene in scenes]
    sheets = [spoilt(scene, rng) if rng.random() < 0.25 else by_hand(scene, rng) for scene in shown]
    small = to_tensor([sheet.picture.resize((64, 64), Image.Resampling.BOX) for sheet in sheets])
    boxes, coloured = torch.tensor([s.box for s in sheets]), torch.tensor([s.coloured for s in sheets])
    return Drawings(photographed(small, rng), boxes, shown, coloured)


def misheard(scene: Scene, rng: random.Random) -> Scene:
    """The scene as somebody draws it who cares for places only: one hat in three of another colour, now and
    then another hat, none, or another animal. So a drawing says where, and words say what.

    What becomes of a scene that is not held out is not held out either.
    """
    other = scene
    if scene.headwear != "none":
        if rng.random() < 0.4:
            other = replace(other, colour=rng.choice(COLOURS))
        if rng.random() < 0.1:
            other = replace(other, headwear=rng.choice(HEADWEAR))
        if rng.random() < 0.1:
            head = layout(scene)[0][2:]
            other = framed(replace(other, headwear="none", colour="none"), head)
    if rng.random() < 0.1:
        other = replace(other, animal=rng.choice(ANIMALS))
    if held_out(other.animal, other.headwear, other.colour):
        return other if held_out(scene.animal, scene.headwear, scene.colour) else scene
    return other


def boxes(scene: Scene) -> dict[str, Box]:
    """Where the head, the eyewear and the hat of a scene are, as fractions of the frame: {"head": ..., "hat":
    ...}."""
    found = {}
    for name, _, left, top, side in layout(scene):
        kind = {scene.animal: "head", scene.eyewear: "eyes"}.get(name, "hat")
        low, high = parts()[scene.style, name]["outline"].reshape(2, 2) * side + (left, top)
        found[kind] = (*low, *high)
    return found


@cache
def main_colour(style: str, name: str) -> Colour:
    """What colour most of a piece of art has."""
    picture = parts()[style, name]["image"].convert("RGBA").resize((32, 32), Image.Resampling.BOX)
    pixels = np.asarray(picture).reshape(-1, 4)
    return tuple(int(value) for value in np.median(pixels[pixels[:, 3] > 200, :3], axis=0))


# ---- By hand ----


def by_hand(scene: Scene, rng: random.Random) -> Sheet:
    """The pieces of a scene as simple shapes, filled, in outline, or both."""
    paper = rng.choice(((255, 255, 255), (255, 255, 255), tuple(paints()["backgrounds"][scene.background])))
    paper = paper if rng.random() < 0.85 else tuple(rng.randint(150, 255) for _ in range(3))
    picture = Image.new("RGB", (SIDE, SIDE), paper)
    pen = ImageDraw.Draw(picture)
    width = round(3 * 10 ** rng.random())  # 3 to 30 pixels of SIDE
    ink = tuple(rng.randint(0, 90) for _ in range(3))
    filled, lines = rng.choice(((True, False), (True, True), (False, True)))
    own_ink = rng.random() < 0.4  # lines in the colour of the thing
    corners = []

    def put(points: list[tuple[float, float]], colour: Colour) -> None:
        corners.extend(points)
        points = [(SIDE * x, SIDE * y) for x, y in points]
        colour = tuple(min(255, max(0, value + rng.randint(-35, 35))) for value in colour)
        if filled:
            pen.polygon(points, fill=colour)
        if lines:
            pen.line([*points, points[0]], fill=colour if own_ink else ink, width=width, joint="curve")

    found = boxes(scene)
    put(ring(nudged(found["head"], rng), rng), main_colour(scene.style, scene.animal))
    left, top, right, bottom = found["head"]
    if rng.random() < 0.4:  # dots for eyes
        for x in (0.33, 0.67):
            middle = left + x * (right - left), top + 0.5 * (bottom - top)
            size = rng.uniform(0.02, 0.06) * (right - left)
            put(
                ring((middle[0] - size, middle[1] - size, middle[0] + size, middle[1] + size), rng),
                (20, 20, 20),
            )
    if "eyes" in found and rng.random() < 0.7:
        l, t, r, b = found["eyes"]  # noqa: E741
        for box in ((l, t, l + 0.45 * (r - l), b), (r - 0.45 * (r - l), t, r, b)):
            put(ring(nudged(box, rng), rng), (30, 30, 40))
    if "hat" in found:
        put(hat(nudged(found["hat"], rng), scene.headwear, rng), tuple(paints()["hats"][scene.colour][1]))
    low, high = np.min(corners, axis=0).clip(0), np.max(corners, axis=0).clip(max=1)
    return Sheet(picture, (*low.tolist(), *high.tolist()), filled or own_ink)


def nudged(box: Box, rng: random.Random, share: float = 0.06) -> Box:
    """A box whose sides are a little off."""
    left, top, right, bottom = box
    w, h = right - left, bottom - top
    off = [rng.uniform(-share, share) * size for size in (w, h, w, h)]
    return left + off[0], top + off[1], right + off[2], bottom + off[3]


def ring(box: Box, rng: random.Random) -> list[tuple[float, float]]:
    """A wobbly ellipse in a box, as points."""
    left, top, right, bottom = box
    wobble = [rng.uniform(0.9, 1.0) for _ in range(rng.choice((8, 12, 20)))]
    points = []
    for i, size in enumerate(wobble):
        angle = 2 * math.pi * i / len(wobble)
        points.append(
            ((left + right) / 2 + size * math.cos(angle) * (right - left) / 2,
             (top + bottom) / 2 + size * math.sin(angle) * (bottom - top) / 2)
        )  # fmt: skip
    return points


HATS = {  # as points of a unit box, down from its top left
    "baseball cap": [(0, 1), (0.05, 0.4), (0.3, 0), (0.6, 0.05), (0.75, 0.5), (1, 0.8), (0.95, 1)],
    "top hat": [(0, 1), (0, 0.8), (0.2, 0.8), (0.2, 0), (0.8, 0), (0.8, 0.8), (1, 0.8), (1, 1)],
    "crown": [(0, 1), (0, 0.1), (0.25, 0.5), (0.5, 0), (0.75, 0.5), (1, 0.1), (1, 1)],
    "graduation cap": [(0, 0.35), (0.5, 0), (1, 0.35), (0.8, 0.5), (0.8, 1), (0.2, 1), (0.2, 0.5)],
    "sun hat": [(0, 0.9), (0.25, 0.7), (0.35, 0.1), (0.65, 0.1), (0.75, 0.7), (1, 0.9), (0.5, 1)],
    "helmet": [(0, 1), (0.05, 0.5), (0.3, 0.05), (0.7, 0.05), (0.95, 0.5), (1, 1)],
}
PLAIN = [[(0, 0), (1, 0), (1, 1), (0, 1)], [(0.5, 0), (1, 1), (0, 1)], HATS["helmet"]]  # box, triangle, dome


def hat(box: Box, headwear: str, rng: random.Random) -> list[tuple[float, float]]:
    """A hat in a box, as points: its own shape or just any."""
    left, top, right, bottom = box
    shape = HATS[headwear] if rng.random() < 0.5 else rng.choice(PLAIN)
    return [
        (
            left + (x + rng.uniform(-0.04, 0.04)) * (right - left),
            top + (y + rng.uniform(-0.04, 0.04)) * (bottom - top),
        )
        for x, y in shape
    ]


# ---- Spoilt pictures ----


def spoilt(scene: Scene, rng: random.Random) -> Sheet:
    """A picture of few flat colours, or the lines between them."""
    around = np.array(list(boxes(scene).values())).reshape(-1, 2, 2)
    box = (*around[:, 0].min(axis=0).tolist(), *around[:, 1].max(axis=0).tolist())
    smooth = render(scene, 128).filter(ImageFilter.MedianFilter(rng.choice((5, 7, 9))))
    few = smooth.quantize(rng.randint(3, 7), Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few = few.filter(ImageFilter.ModeFilter(rng.choice((5, 9))))
    if rng.random() < 0.6:
        return Sheet(few.convert("RGB"), box, True)
    numbers = np.asarray(few)
    edges = np.zeros(numbers.shape, bool)
    edges[:-1] |= numbers[:-1] != numbers[1:]
    edges[:, :-1] |= numbers[:, :-1] != numbers[:, 1:]
    lines = Image.fromarray(255 * edges.astype(np.uint8)).filter(ImageFilter.MaxFilter(rng.choice((3, 5, 7))))
    ink = tuple(rng.randint(0, 120) for _ in range(3))
    paper = Image.new("RGB", few.size, "white")
    return Sheet(Image.composite(Image.new("RGB", few.size, ink), paper, lines), box, False)


def photographed(drawings: Tensor, rng: random.Random) -> Tensor:
    """Some of the drawings in uneven light, pale, or with a piece missing; (B, 3, 64, 64)."""
    drawings = drawings.clone()
    across = torch.linspace(-1, 1, 64)
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
