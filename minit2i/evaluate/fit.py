"""Is a drawing crisp? Find the real scene nearest to it, and count what still differs in decibels.

A judge reads what a drawing shows and does not mind a wobbly line. Here is a yardstick that minds, and that
asks no network: a prompt fixes the animal, the hat, its colour, the eyewear and the background, but not the
style, nor the place and the size. So we try all styles, places and sizes, until the scene that `render`
makes is as near to the drawing as can be. What then still differs is drawn wrong or out of focus.

Nearness is PSNR over red, green and blue. Real scenes reach about 64 dB, and no more only because the search
stops when it knows the place to 1/150 of a pixel. What the shipped network draws reaches 26 dB.

The search is by Nelder and Mead 1965, "A simplex method for function minimization".
Shape letters: B batch, D number of unknowns (here 3: x, y and size).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from minit2i.world.render import render
from minit2i.world.scenes import STYLES, Scene

if TYPE_CHECKING:  # a process that searches needs no torch: without it, it starts at once and stays small
    from torch import Tensor

# Where to start, as (x, y, size) in fractions of the frame: nine places at each of three sizes, in the
# middles of the thirds of what `draw_scene` draws from. There, a large scene has less room to move.
ROOMS = ((0.773, 0.04), (0.84, 0.04), (0.907, 0.024))
STARTS = [(room * x, room * y, size) for size, room in ROOMS for x in (-1, 0, 1) for y in (-1, 0, 1)]
LOW, HIGH = (-0.08, -0.08, 0.70), (0.08, 0.08, 0.98)  # a drawing may go a little beyond what real scenes do


def nelder_mead(
    function: Callable[[np.ndarray], float], start, first_step: float, last_step: float, rounds: int = 200
) -> tuple[np.ndarray, float]:
    """Walk from `start` to a minimum nearby with values alone, no slopes: a simplex tumbles downhill.

    A simplex is D + 1 points: a triangle in the plane, a tetrahedron in space. Each round throws its worst
    point over to the other side of the rest, further if that is good, less far if it is not.
    function: takes (D,). start: D numbers. It ends when all points are within last_step of the best on each
    axis, or after so many rounds. Returns the best point (D,) and its value. Source: Nelder and Mead 1965.
    """
    points = np.array([start, *(start + first_step * np.eye(len(start)))])  # (D + 1, D)
    values = np.array([function(point) for point in points])  # (D + 1,)

    def throw(k: float) -> tuple[float, np.ndarray]:
        # p(k) = centre + k (centre - worst): the worst point is at k = -1, its mirror image at k = 1
        point = centre + k * (centre - points[-1])
        return function(point), point

    for _ in range(rounds):
        order = values.argsort(kind="stable")  # the best first
        points, values = points[order], values[order]
        if np.abs(points - points[0]).max() <= last_step:
            break
        centre = points[:-1].mean(0)  # of all but the worst
        value, point = throw(1)
        if value < values[0]:  # better than all: go on that way
            value, point = min((value, point), throw(2), key=lambda pair: pair[0])
        elif value >= values[-2]:  # it would be the worst again: stop halfway, on the better side
            near, between = throw(0.5 if value < values[-1] else -0.5)
            if near >= min(value, values[-1]):  # no good either: draw all points towards the best
                points[1:] = (points[1:] + points[0]) / 2
                values[1:] = [function(point) for point in points[1:]]
                continue
            value, point = near, between
        points[-1], values[-1] = point, value
    return points[values.argmin()], float(values.min())


def nearest_scene(picture: Tensor, scene: Scene) -> tuple[Scene, float]:
    """Find the style, place and size at which the scene looks most like the picture.

    picture: (3, 64, 64) in [-1, 1], rounded to 8 bits as in a file. scene: what was asked for; its own style,
    x, y and size do not matter. Returns the real scene and the PSNR to it in decibels, over red, green and
    blue, infinite where the two are equal. Same picture, same answer. Raises ValueError for another shape.
    """
    return _nearest(_pixels(picture[None])[0], scene)


def nearest_scenes(
    pictures: Tensor, scenes: list[Scene], processes: int | None = None
) -> list[tuple[Scene, float]]:
    """The same for many pictures, with a progress bar.

    pictures: (B, 3, 64, 64) in [-1, 1]. scenes: B of them. processes: how many search at once; one a core if
    not given, or just this one for fewer than 100 pictures. Where more search, a script must have its code
    under `if __name__ == "__main__":`, which a notebook need not.
    Raises ValueError for another shape, or if there are not as many scenes as pictures.
    """
    pixels = _pixels(pictures)
    if len(pixels) != len(scenes):
        raise ValueError(f"expected one scene a picture, got {len(scenes)} for {len(pixels)}")
    processes = processes or min(os.cpu_count() or 1, 1 + len(pixels) // 100)
    bar = partial(tqdm, total=len(pixels), desc="finding the nearest real scenes")
    if processes == 1:
        return list(bar(map(_nearest, pixels, scenes)))
    # "spawn" starts them afresh: a copy of a process in which torch has run threads may hang
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        return list(bar(pool.map(_nearest, pixels, scenes, chunksize=10)))


def fidelity(pictures: Tensor, scenes: list[Scene], processes: int | None = None) -> Tensor:
    """The PSNR of each picture to the real scene nearest to it, in decibels (B,): see `nearest_scenes`."""
    return pictures.float().new_tensor([psnr for _, psnr in nearest_scenes(pictures, scenes, processes)])


def _nearest(pixels: np.ndarray, scene: Scene) -> tuple[Scene, float]:
    def at(style: str, place) -> Scene:
        x, y, size = np.clip(place, LOW, HIGH).tolist()
        return replace(scene, style=style, x=x, y=y, size=size)

    def error(style: str, place) -> float:
        difference = np.asarray(render(at(style, place)), np.float32) - pixels  # (64, 64, 3)
        return float(np.square(difference).mean())

    # One walk is enough: of 400 real scenes, the best start had the right style for every one.
    _, style, start = min((error(style, start), style, start) for style in STYLES for start in STARTS)
    # The steps are from 1.3 to 1/150 of a pixel, of 64.
    place, mse = nelder_mead(partial(error, style), start, first_step=0.02, last_step=0.0001)
    # PSNR = 10 log10(peak^2 / MSE), and the peak of 8 bits is 255
    return at(style, place), (10 * math.log10(255**2 / mse) if mse else math.inf)


def _pixels(pictures: Tensor) -> list[np.ndarray]:
    from minit2i.images import to_pil  # only here, because it brings torch along

    if pictures.shape[1:] != (3, 64, 64) or not pictures.is_floating_point():
        raise ValueError(f"expected floats (B, 3, 64, 64), not {pictures.dtype} {tuple(pictures.shape)}")
    return [np.asarray(picture) for picture in to_pil(pictures)]
