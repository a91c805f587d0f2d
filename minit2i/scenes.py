"""Compose captioned scenes, such as "a cat wearing a blue baseball cap", from emoji art.

A model that draws from words needs pictures with words, many of them, and we need to know for certain what
each picture shows. So we make our own world: a `Scene` says which animal wears what on which background,
`render` draws it at any size, and `caption` says it in one of very many ways. Because a scene is known piece
by piece, we can keep some combinations from ever being seen in training (`held_out`) and later ask for
exactly those. A model that draws them has understood the words rather than remembered the pictures.

Scenes are numbered: (seed, index, split) always gives the same scene, with nothing stored.
"""

import hashlib
import io
import json
import math
import random
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps

DATA = Path(__file__).parent.parent / "data" / "scenes"
MARGIN = 1 / 4  # clear space kept around every piece of art, so that it can be cut out with some to spare
# Where hats and glasses sit on a head; other words for a thing; the paints of hats and backgrounds.
ANCHORS, WORDS, PAINTS = (
    json.loads((DATA / f"{f}.json").read_text()) for f in ("anchors", "words", "colours")
)

ANIMALS = ("cat", "dog", "mouse", "hamster", "rabbit", "fox", "bear", "polar bear", "panda", "koala",
           "tiger", "lion", "cow", "pig", "frog", "monkey", "wolf", "owl", "penguin", "chick")  # fmt: skip
HEADWEAR = ("baseball cap", "top hat", "crown", "graduation cap", "sun hat", "helmet")
EYEWEAR = ("none", "glasses", "sunglasses")
STYLES = ("noto", "fluent", "twemoji")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "black")
BACKGROUNDS = ("white", "grey", "beige", "blue", "green", "pink", "lavender", "navy")


@dataclass(frozen=True)
class Scene:
    """One scene. (x, y) moves it from the middle and `size` is its longer side, all as fractions of the frame."""

    animal: str
    headwear: str  # one of HEADWEAR, or "none"
    colour: str  # of the headwear; "none" if there is none
    eyewear: str
    background: str
    style: str
    x: float = 0.0
    y: float = 0.0
    size: float = 0.84


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
    """Draw scene number `index`; split "train" has no held-out triple, "held_out" only such, "all" both."""
    if split not in ("train", "held_out", "all"):
        raise ValueError(f'split must be "train", "held_out" or "all", not {split!r}')
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


# ---- From scene to picture ------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def parts() -> dict[tuple[str, str], dict]:
    """Read the art: (style, name) -> picture (512x512 RGBA), its outline, for hats the mask of what takes dye."""
    import pyarrow.parquet

    art = {}
    for row in pyarrow.parquet.read_table(DATA / "parts.parquet").to_pylist():
        tilt = ANCHORS["headwear"][row["style"]].get(row["name"], [0])[-1]
        part = {key: Image.open(io.BytesIO(row[key]["bytes"])) for key in ("image", "dye") if row[key]}
        part = {key: picture.rotate(tilt, Image.BICUBIC) for key, picture in part.items()}
        visible = part["image"].getchannel("A").point(lambda alpha: 255 * (alpha > 16))
        part["outline"] = np.array(visible.getbbox()) / visible.width  # left, top, right, bottom; 0 to 1
        art[row["style"], row["name"]] = part
    return art


def dye(picture: Image.Image, mask: Image.Image, colour: str) -> Image.Image:
    """Give a hat its colour: its usual brightness becomes the plain paint, darker and lighter parts the others."""
    rgba = np.array(picture, np.float32)
    brightness = rgba[..., :3] @ np.float32([0.299, 0.587, 0.114]) / 255
    amount = np.asarray(mask.convert("L"), np.float32)[..., None] / 255
    solid = (rgba[..., 3] > 128) & (amount[..., 0] > 0.5)
    light = np.clip(2.2 * (brightness - np.median(brightness[solid])), -1, 1)[..., None]
    shadow, plain, bright = np.float32(PAINTS["hats"][colour])
    painted = plain + np.maximum(light, 0) * (bright - plain) + np.maximum(-light, 0) * (shadow - plain)
    rgba[..., :3] += amount * (painted - rgba[..., :3])
    return Image.fromarray(rgba.round().astype(np.uint8))


@lru_cache(maxsize=512)
def sprite(style: str, name: str, colour: str, side: int) -> Image.Image:
    """Return a piece of art, dyed, shrunk to side x side pixels, with MARGIN clear around it."""
    part = parts()[style, name]
    picture = part["image"].resize((side, side), Image.BOX)
    if colour != "none":
        picture = dye(picture, part["dye"].resize((side, side), Image.BOX), colour)
    padded = ImageOps.expand(picture, int(side * MARGIN), (0, 0, 0, 0))
    if colour != "none":  # a thin dark rim sets an orange hat off from an orange tiger
        rim = Image.new("RGBA", padded.size, tuple(PAINTS["hats"][colour][0]))
        rim.putalpha(
            padded.getchannel("A").filter(ImageFilter.GaussianBlur(side / 90)).point(lambda a: 4 * a)
        )
        padded = Image.alpha_composite(rim, padded)
    return padded


def layout(scene: Scene) -> list[tuple[str, str, float, float, float]]:
    """Place the pieces, lowest first: (name, colour, left, top, side), as fractions of the frame."""
    head = ANCHORS["heads"][scene.style][scene.animal]
    pieces = [(scene.animal, "none", 0.0, 0.0, 1.0)]  # the head is the unit square; the rest is set on it
    eyewear = ("eyewear", scene.eyewear, "none", head["eyes"])
    headwear = ("headwear", scene.headwear, scene.colour, head["hat"])
    for kind, name, colour, (head_x, head_y, head_width) in (eyewear, headwear):
        if name != "none":
            x, y, width = ANCHORS[kind][scene.style][name][:3]
            side = head_width / width  # so that the widths agree; then so that the two points meet
            pieces.append((name, colour, head_x - side * x, head_y - side * y, side))
    # Fit all that is visible into the middle of the frame, then move it by (x, y).
    boxes = [parts()[scene.style, n]["outline"] * side + (left, top) * 2 for n, _, left, top, side in pieces]
    low, high = np.min(boxes, 0)[:2], np.max(boxes, 0)[2:]
    k = scene.size / (high - low).max()
    dx, dy = 0.5 + np.array([scene.x, scene.y]) - k * (low + high) / 2
    return [(name, colour, k * left + dx, k * top + dy, k * side) for name, colour, left, top, side in pieces]


def render(scene: Scene, size: int = 64) -> Image.Image:
    """Draw a scene as a size x size RGB picture; any size from 32 to 1024 shows the same."""
    picture = Image.new("RGB", (size, size), tuple(PAINTS["backgrounds"][scene.background]))
    for name, colour, left, top, side in layout(scene):
        left, top, side = left * size, top * size, side * size  # in pixels, not whole ones: nothing jumps
        stored = next((s for s in (64, 128, 256) if s >= side), 512)
        art = sprite(scene.style, name, colour, stored)
        # The whole pixels that hold the piece, and the same region of the art; `resize` blends in between.
        rim = side / 32
        x0, y0 = math.floor(left - rim), math.floor(top - rim)
        x1, y1 = math.ceil(left + side + rim), math.ceil(top + side + rim)
        box = [stored * (MARGIN + edge / side) for edge in (x0 - left, y0 - top, x1 - left, y1 - top)]
        piece = art.resize((x1 - x0, y1 - y0), Image.BICUBIC, box=box)
        picture.paste(piece, (x0, y0), piece)
    return picture


# ---- From scene to words --------------------------------------------------------------------------------


def a(phrase: str) -> str:
    """Put "a" or "an" before a phrase, by its first letter ("an owl", "a yellow crown")."""
    return ("an " if phrase[0] in "aeio" else "a ") + phrase


def short_caption(scene: Scene) -> str:
    """Name the animal and its hat: "a cat wearing a blue baseball cap"."""
    hat = "with no hat" if scene.headwear == "none" else f"wearing {a(f'{scene.colour} {scene.headwear}')}"
    return f"{a(scene.animal)} {hat}"


def full_caption(scene: Scene) -> str:
    """Name everything: "a cat wearing a blue baseball cap and sunglasses on a green background"."""
    text = short_caption(scene)
    if scene.eyewear != "none":
        bare = scene.headwear == "none"
        text = f"{a(scene.animal)} with {scene.eyewear} and no hat" if bare else f"{text} and {scene.eyewear}"
    return f"{text} on {a(scene.background)} background"


def caption(scene: Scene, rng: random.Random) -> str:
    """Say what a scene shows as people might: other words, another order, things left unsaid.

    All that is said is true, and a colour stands right before its hat, so no caption of a training scene
    names a held-out triple.
    """

    def word(name: str) -> str:
        return rng.choice(WORDS["other words"].get(name, [name])) if rng.random() < 0.3 else name

    telegram = rng.random() < 0.2  # "cat with blue cap, green background"
    article = (lambda phrase: phrase) if telegram else a
    worn = []
    if scene.headwear != "none" and rng.random() < 0.95:
        kind = "hat" if rng.random() < 0.04 else word(scene.headwear)
        worn.append(article(kind if rng.random() < 0.05 else f"{scene.colour} {kind}"))
    if scene.eyewear != "none" and rng.random() < 0.85:
        worn.append(word(scene.eyewear))
    verb = rng.choice(("wearing", "wearing", "wearing", "in", "with"))
    if scene.headwear == "none" and rng.random() < 0.5:
        worn, verb = [*worn, "no hat"], "with"
    text = article(word(scene.animal)) + (f" {verb} {' and '.join(worn)}" if worn else "")
    if not telegram and rng.random() < 0.3:
        text = f"{rng.choice(WORDS['openings'])} {text}"

    place = article(f"{word(scene.background)} background")
    if rng.random() < 0.6:
        if telegram:
            text = f"{text}, {place}"
        elif rng.random() < 0.1:
            text = f"on {place}, {text}"
        else:
            text = f"{text} {rng.choice(('on', 'on', 'on', 'on', 'against', 'in front of'))} {place}"
    return f"{text} in {scene.style} style" if rng.random() < 0.1 else text


def scene_rows(split: str, blocks: list[range], size: int, seed: int, version: str):
    """Yield one row a scene: its picture (PNG), a caption, and all fields of the scene."""
    for index in (index for block in blocks for index in block):
        scene, png = draw_scene(seed, index, split), io.BytesIO()
        render(scene, size).save(png, "PNG", compress_level=1)
        words = caption(scene, random.Random(f"caption {split} {seed} {index}"))
        yield {"image": {"bytes": png.getvalue(), "path": None}, "caption": words, **asdict(scene)}


def load_scenes(
    split: str = "train", n: int = 40_000, size: int = 64, seed: int = 0, num_proc: int | None = None
):
    """Return scenes 0 to n-1 as a `datasets.Dataset` with columns image, caption and the fields of `Scene`.

    `datasets` draws them once, with a progress bar, and then caches them until the art or this file changes.
    """
    from datasets import Dataset, Features, Image, Value

    files = [Path(__file__), DATA / "parts.parquet", *sorted(DATA.glob("*.json"))]
    version = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    columns = dict.fromkeys(["caption", *Scene.__dataclass_fields__], Value("string"))
    columns |= {"image": Image(), "x": Value("float64"), "y": Value("float64"), "size": Value("float64")}
    blocks = [range(start, min(start + 1000, n)) for start in range(0, n, 1000)]  # what processes share out
    arguments = {"split": split, "blocks": blocks, "size": size, "seed": seed, "version": version}
    return Dataset.from_generator(
        scene_rows, features=Features(columns), gen_kwargs=arguments, num_proc=num_proc
    )
