"""Pictures to ask about: no animal, one somewhere, or two side by side.

All are made from scenes, so that every answer about them is known.
"""

import random
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from PIL import Image

from minit2i.world.captions import full_caption, short_caption, with_article
from minit2i.world.render import paints, render
from minit2i.world.scenes import ANIMALS, Scene

SIDES = {"left": -1, "in the middle": 0, "right": 1}


class View(NamedTuple):
    """A picture to ask about: the scenes that stand in it (none, one, or two, from left to right), its
    background, and on which side a single one stands."""

    scenes: tuple[Scene, ...]
    background: str
    side: str = "in the middle"


def at_a_side(scene: Scene, rng: random.Random) -> View:
    """The scene, small, on the left, on the right or in the middle."""
    side, size = rng.choice(list(SIDES)), rng.uniform(0.55, 0.68)
    room = 0.49 - size / 2
    x = SIDES[side] * rng.uniform(0.75, 1) * room + (side == "in the middle") * rng.uniform(-0.03, 0.03)
    return View((replace(scene, x=x, y=rng.uniform(-room, room), size=size),), scene.background, side)


def side_by_side(scene: Scene, other: Scene, rng: random.Random) -> View:
    """Two scenes on one background; the second is another animal."""
    if other.animal == scene.animal:  # bare: another animal in this hat may be held out
        animal = rng.choice([a for a in ANIMALS if a != scene.animal])
        other = replace(other, animal=animal, headwear="none", colour="none")
    pair = [
        replace(s, background=scene.background, x=x, y=rng.uniform(-0.1, 0.1), size=rng.uniform(0.42, 0.48))
        for s, x in ((scene, -0.25), (other, 0.25))
    ]
    return View(tuple(pair), scene.background)


def render_view(view: View, size: int = 64) -> Image.Image:
    """The picture of a view, size x size."""
    if not view.scenes:
        return Image.new("RGB", (size, size), tuple(paints()["backgrounds"][view.background]))
    pictures = [np.asarray(render(scene, size)) for scene in view.scenes]
    if len(pictures) == 1:
        return Image.fromarray(pictures[0])
    half = size // 2
    return Image.fromarray(np.concatenate([pictures[0][:, :half], pictures[1][:, half:]], axis=1))


def description(view: View) -> str:
    """What is to be seen: "a cat wearing a blue baseball cap on a green background". Of two animals, what
    eyewear they have is left out."""
    if len(view.scenes) == 1:
        return full_caption(view.scenes[0])
    who = " and ".join(short_caption(scene) for scene in view.scenes) or "nothing"
    return f"{who} on {with_article(view.background)} background"
