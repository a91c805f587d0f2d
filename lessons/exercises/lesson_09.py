"""Lesson 09, draw: outlines, what a ControlNet adds, intersection over union, the box of a drawing."""

from functools import cache

import torch
from torch import Tensor

from exercises import compare, noise

# ---- 09.1 ----


def lines(numbers: Tensor, right: bool = True, below: bool = True) -> Tensor:
    edges = torch.zeros(numbers.shape, dtype=torch.bool)
    if right:
        edges[:, :-1] |= numbers[:, :-1] != numbers[:, 1:]
    if below:
        edges[:-1] |= numbers[:-1] != numbers[1:]
    return edges


def both(numbers: Tensor) -> Tensor:
    return lines(numbers, below=False) & lines(numbers, right=False)


lines_test = compare(
    lambda numbers: lines(numbers),
    [(torch.tensor([[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 3, 2]]),), ((noise(7, 5) * 2).round().long(),)],
    {
        "only neighbours to the right are compared": lambda numbers: lines(numbers, below=False),
        "only neighbours below are compared": lambda numbers: lines(numbers, right=False),
        "both have to differ, not either": both,
        "no line is drawn": lambda numbers: torch.zeros(numbers.shape, dtype=torch.bool),
        "the inside is marked instead of the lines": lambda numbers: ~lines(numbers),
    },
)

# ---- 09.2 ----


def controlled(skip: Tensor, found: Tensor, strength: float) -> Tensor:
    return skip + strength * found


controlled_test = compare(
    controlled,
    [(noise(2, 3), noise(3, 2).T, 0.5), (noise(4), noise(5)[:4], 0.0), (noise(2, 3), noise(3, 2).T, 1.0)],
    {
        "nothing is added": lambda skip, found, strength: skip,
        "the strength is left out": lambda skip, found, strength: skip + found,
        "the skip is multiplied by the strength, too": (
            lambda skip, found, strength: strength * (skip + found)
        ),
        "what the branch found takes the place of the skip": lambda skip, found, strength: strength * found,
        "the skip gets less as the drawing is heeded more: it stays whole": (
            lambda skip, found, strength: (1 - strength) * skip + strength * found
        ),
    },
)

# ---- 09.3 ----


def box_overlap(a, b, minus: bool = True, meet: bool = False) -> float:
    width, height = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1))
    if not meet:
        width, height = max(0, width), max(0, height)
    area_a, area_b = ((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return width * height / (area_a + area_b - minus * width * height)


box_overlap_test = compare(
    lambda a, b: box_overlap(a, b),
    [
        ((0, 0, 4, 2), (2, 0, 6, 2)),
        ((0, 0, 4, 4), (1, 1, 2, 3)),
        ((0, 0, 1, 1), (0, 0, 1, 1)),
        ((0, 0, 1, 1), (3, 4, 5, 6)),
        ((0, 0, 4, 2), (1, 3, 3, 5)),
        ((0, 0, 2, 4), (3, 1, 5, 3)),
    ],
    {
        "nothing is ever shared": lambda a, b: 0.0,
        "what both share is counted twice below the line": lambda a, b: box_overlap(a, b, minus=False),
        "boxes that do not meet share a negative width times a negative height": (
            lambda a, b: box_overlap(a, b, meet=True)
        ),
        "what both share is not divided by anything": lambda a, b: (
            max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
        ),
    },
)

# ---- 09.4 ----


def where_drawn(picture: Tensor, beyond: int = 1, least: float = 0.3) -> tuple[int, ...]:
    inside = ((picture - picture[:, :1, :1]).abs() > least).any(dim=0)
    columns, rows = inside.any(dim=0).nonzero(), inside.any(dim=1).nonzero()
    return int(columns.min()), int(rows.min()), int(columns.max()) + beyond, int(rows.max()) + beyond


@cache
def blob(colour: tuple[float, ...], left: int, top: int, right: int, bottom: int, ground=0.9) -> Tensor:
    """A blob on a plain ground, and a speck that is hardly another shade."""
    picture = torch.full((3, 12, 16), ground)
    picture[:, top:bottom, left:right] = torch.tensor(colour).view(3, 1, 1)
    picture[1, 11, 15] -= 0.2
    return picture


def only(sign: int):
    """The mistake to look only for what is lighter (1) or darker (-1)."""

    def found(picture: Tensor) -> tuple[int, ...]:
        moved = (sign * (picture - picture[:, :1, :1])).clamp(min=0)
        return where_drawn(moved) if (moved > 0.3).any() else (0, 0, 0, 0)

    return found


def crossed(picture: Tensor) -> tuple[int, ...]:
    left, top, right, bottom = where_drawn(picture)
    return top, left, bottom, right


where_drawn_test = compare(
    lambda picture: where_drawn(picture),
    [
        (blob((0.9, -1, -1), 3, 2, 10, 9),),
        (blob((-1, -1, 0.9), 1, 5, 4, 12),),
        (blob((0.0, 0, 0), 6, 1, 16, 2),),
        (blob((0.9, 0.9, 0.2), 4, 3, 8, 6, ground=-0.8),),
    ],
    {
        "it is the whole picture": lambda picture: (0, 0, picture.shape[2], picture.shape[1]),
        "right and bottom are the last pixels: they should be one beyond": (
            lambda picture: where_drawn(picture, beyond=0)
        ),
        "every small difference counts: it has to be more than 0.3": (
            lambda picture: where_drawn(picture, least=0.0)
        ),
        "only what is darker than the background counts: take the absolute difference": only(-1),
        "only what is lighter than the background counts: take the absolute difference": only(1),
        "x and y are exchanged: columns say left and right": crossed,
    },
)

EXERCISES = {"09.1": lines_test, "09.2": controlled_test, "09.3": box_overlap_test, "09.4": where_drawn_test}
