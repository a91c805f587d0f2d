"""The world of our pictures: a front-facing animal, what it wears, and what is kept from training.

A model that draws from words needs many pictures of which we know for certain what they show. So we make our
own world: a `Scene` says which animal wears what on which background. Some combinations are never seen in
training (`held_out`), and later we ask for exactly those: a model that draws them has understood the words
rather than remembered the pictures.

Scenes are numbered: (seed, index, split) always gives the same scene, with nothing stored.
"""

import hashlib
import json
import random
import re
from dataclasses import dataclass, replace
from functools import cache

from minit2i.utils import InputError, data_file

ANIMALS = ("cat", "dog", "mouse", "hamster", "rabbit", "fox", "bear", "polar bear", "panda", "koala",
           "tiger", "lion", "cow", "pig", "frog", "monkey", "wolf", "owl", "penguin", "chick")  # fmt: skip
HEADWEAR = ("baseball cap", "top hat", "crown", "graduation cap", "sun hat", "helmet")
EYEWEAR = ("none", "glasses", "sunglasses")
STYLES = ("noto", "fluent", "twemoji")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "black")
BACKGROUNDS = ("white", "grey", "beige", "blue", "green", "pink", "lavender", "navy")
SPLITS = ("train", "held_out", "all")
ATTRIBUTES = {"animal": ANIMALS, "headwear": ("none", *HEADWEAR), "colour": ("none", *COLOURS),
              "eyewear": EYEWEAR, "background": BACKGROUNDS, "style": STYLES}  # fmt: skip


@cache
def world_data(name: str) -> dict:
    """What is known of this world but for its rules, such as words and paints: data/scenes/NAME.json."""
    return json.loads(data_file("scenes", f"{name}.json").read_text())


@dataclass(frozen=True)
class Scene:
    """One scene. (x, y) moves it from the middle, `size` is its longer side: fractions of the frame."""

    animal: str
    headwear: str  # one of HEADWEAR, or "none"
    colour: str  # of the headwear; "none" if there is none
    eyewear: str
    background: str
    style: str
    x: float = 0.0
    y: float = 0.0
    size: float = 0.84

    def layout_vector(self) -> list[float]:
        """What captions leave out, as LAYOUT numbers: a one at its style, and its frame (x, y, size)."""
        return [*(float(self.style == style) for style in STYLES), self.x, self.y, self.size]


LAYOUT = len(STYLES) + 3
FRAMES = 16  # of a video of a scene that moves
UPRIGHT = (0.0, 0.0, 0.8, 0.0)  # a pose about as scenes have it in still pictures
POSE = 4  # numbers that say where a scene is in a frame, and how it is turned


def held_out(animal: str, headwear: str, colour: str) -> bool:
    """Say whether this triple is kept from training; a hash decides, so that the choice can never drift."""
    if headwear == "none":
        return False
    if (animal, headwear, colour) == ("cat", "baseball cap", "blue"):  # the prompt that everyone tries first
        return True
    digest = hashlib.sha256(f"{animal}, {headwear}, {colour}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32 < 0.15


HELD_OUT = tuple((a, h, c) for a in ANIMALS for h in HEADWEAR for c in COLOURS if held_out(a, h, c))


def draw_scene(seed: int, index: int, split: str = "train") -> Scene:
    """Draw scene number `index` of "train", without held-out triples, "held_out", with only such, or "all".
    Raises InputError for another split."""
    if split not in SPLITS:
        raise InputError(f"split must be one of {', '.join(SPLITS)}, not {split!r}")
    rng = random.Random(f"{split} {seed} {index}")
    if split == "held_out":
        animal, headwear, colour = rng.choice(HELD_OUT)
    else:
        animal = rng.choice(ANIMALS)
        headwear = "none" if rng.random() < 0.1 else rng.choice(HEADWEAR)
        colour = "none" if headwear == "none" else rng.choice(COLOURS)
        while split == "train" and held_out(animal, headwear, colour):
            animal, headwear, colour = rng.choice(ANIMALS), rng.choice(HEADWEAR), rng.choice(COLOURS)
    eyewear = "none" if rng.random() < 0.7 else rng.choice(EYEWEAR[1:])
    size = rng.uniform(0.74, 0.94)
    room = min(0.06, (0.98 - size) / 2)  # a large scene moves less, so that nothing leaves the frame
    x, y = rng.uniform(-room, room), rng.uniform(-room, room)
    return Scene(animal, headwear, colour, eyewear, rng.choice(BACKGROUNDS), rng.choice(STYLES), x, y, size)


def random_layouts(
    prompts: list[str], seed: int, style: str | None = None, first: int = 0
) -> list[list[float]]:
    """LAYOUT numbers for each prompt, by chance, in the style that the caller says or else the prompt.
    Prompt i gets what seed and first + i give. Raises InputError for another style."""
    if style not in (None, *STYLES):
        raise InputError(f"style must be one of {', '.join(STYLES)}, not {style!r}")
    layouts = []
    for i, prompt in enumerate(prompts):
        scene, words = draw_scene(seed, first + i), re.findall(r"[a-z]+", prompt.lower())
        named = next((name for name in STYLES if name in words), scene.style)
        layouts.append(replace(scene, style=style or named).layout_vector())
    return layouts
