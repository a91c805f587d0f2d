"""From a scene to a picture of any size: the animal, its glasses and its hat, laid over each other."""

import io
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from minit2i.utils import data_file, need

from .scenes import Scene, world_data

MARGIN = 1 / 4  # clear space kept around every piece of art, so that it can be cut out with some to spare
# Where hats and glasses sit on a head, and the paints of hats and backgrounds.
anchors, paints = partial(world_data, "anchors"), partial(world_data, "colours")


@lru_cache(maxsize=1)
def parts() -> dict[tuple[str, str], dict]:
    """Read the art: (style, name) -> picture (512x512 RGBA), its outline, for hats what takes the dye."""
    art, table = {}, need("pyarrow.parquet").read_table(data_file("scenes", "parts.parquet"))
    for row in table.to_pylist():
        tilt = anchors()["headwear"][row["style"]].get(row["name"], [0])[-1]
        part = {key: Image.open(io.BytesIO(row[key]["bytes"])) for key in ("image", "dye") if row[key]}
        part = {key: picture.rotate(tilt, Image.BICUBIC) for key, picture in part.items()}
        visible = part["image"].getchannel("A").point(lambda alpha: 255 * (alpha > 16))
        part["outline"] = np.array(visible.getbbox()) / visible.width  # left, top, right, bottom; 0 to 1
        art[row["style"], row["name"]] = part
    return art


def dye(picture: Image.Image, mask: Image.Image, colour: str) -> Image.Image:
    """Give a hat its colour: its median brightness becomes the plain paint, the rest darker or lighter."""
    rgba = np.array(picture, np.float32)
    brightness = rgba[..., :3] @ np.float32([0.299, 0.587, 0.114]) / 255
    amount = np.asarray(mask.convert("L"), np.float32)[..., None] / 255
    solid = (rgba[..., 3] > 128) & (amount[..., 0] > 0.5)
    light = np.clip(2.2 * (brightness - np.median(brightness[solid])), -1, 1)[..., None]
    shadow, plain, bright = np.float32(paints()["hats"][colour])
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
        rim = Image.new("RGBA", padded.size, tuple(paints()["hats"][colour][0]))
        blurred = padded.getchannel("A").filter(ImageFilter.GaussianBlur(side / 90))
        rim.putalpha(blurred.point(lambda alpha: 4 * alpha))
        padded = Image.alpha_composite(rim, padded)
    return padded


Piece = tuple[str, str, float, float, float]  # name, colour, left, top, side


def on_head(scene: Scene) -> tuple[list[Piece], np.ndarray, np.ndarray]:
    """The pieces, lowest first, in heads: the head is the square from 0 to 1. And how far what is visible of
    them reaches: the least x and y, (2,), and the largest."""
    head = anchors()["heads"][scene.style][scene.animal]
    pieces = [(scene.animal, "none", 0.0, 0.0, 1.0)]  # the head is the unit square; the rest is set on it
    eyewear = ("eyewear", scene.eyewear, "none", head["eyes"])
    headwear = ("headwear", scene.headwear, scene.colour, head["hat"])
    for kind, name, colour, (head_x, head_y, head_width) in (eyewear, headwear):
        if name != "none":
            x, y, width = anchors()[kind][scene.style][name][:3]
            side = head_width / width  # so that the widths agree; then so that the two points meet
            pieces.append((name, colour, head_x - side * x, head_y - side * y, side))
    outlines = anchors()["outlines"][scene.style]  # noted, of 512, so that editing need not read the art
    boxes = [np.array(outlines[n]) / 512 * side + (left, top) * 2 for n, _, left, top, side in pieces]
    return pieces, np.min(boxes, 0)[:2], np.max(boxes, 0)[2:]


def layout(scene: Scene) -> list[Piece]:
    """Place the pieces, lowest first: (name, colour, left, top, side), as fractions of the frame."""
    pieces, low, high = on_head(scene)
    # Fit all that is visible into the middle of the frame, then move it by (x, y).
    k = scene.size / (high - low).max()
    dx, dy = 0.5 + np.array([scene.x, scene.y]) - k * (low + high) / 2
    return [(name, colour, k * left + dx, k * top + dy, k * side) for name, colour, left, top, side in pieces]


def framed(scene: Scene, head: Sequence[float]) -> Scene:
    """The scene moved and resized so that its head is this square: left, top, side, fractions of the frame.
    So a head stays where it is when its hat changes, though the frame around both does not."""
    (left, top, k), (_, low, high) = head, on_head(scene)
    # The same as in `layout`, solved for x, y and size
    x, y = (left, top) + k * (low + high) / 2 - 0.5
    return replace(scene, x=float(x), y=float(y), size=float(k * (high - low).max()))


def render(scene: Scene, size: int = 64) -> Image.Image:
    """Draw a scene as a size x size RGB picture; any size from 32 to 1024 shows the same."""
    picture = Image.new("RGB", (size, size), tuple(paints()["backgrounds"][scene.background]))
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
