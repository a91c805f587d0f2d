"""Lesson 00, pictures and words: numbers in and out, channels, layers, held-out pairs."""

from collections import Counter
from functools import cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from exercises import Wrong, attempt, compare
from minit2i.evaluate.metrics import luma
from minit2i.images import to_pil, to_tensor
from minit2i.world import datasets as data
from minit2i.world import scenes
from minit2i.world.render import anchors, parts


@cache
def chelsea(size: int = 64) -> Tensor:
    """The cat as (1, 3, size, size) in [-1, 1]."""
    rows = data.load("photos")
    return to_tensor(rows[rows["name"].index("chelsea")]["image"], size=size)


def draw_change(change) -> list[Image.Image]:
    return to_pil(change(chelsea()))


# ---- 00.1 ----


def to_pixels(x: Tensor) -> Tensor:
    return (x + 1) * 127.5


to_pixels_test = compare(
    to_pixels,
    [(torch.tensor([-1.0, 0.0, 1.0]),), (torch.linspace(-1, 1, 12).view(1, 3, 2, 2),)],
    {
        "nothing is changed": lambda x: x,
        "1 is added after multiplying; it has to come first": lambda x: x * 127.5 + 1,
        "1 is not added, so that black becomes -127.5": lambda x: x * 127.5,
        "one multiplies by 255: the numbers span 2, from -1 to 1, so half of that is right": lambda x: (
            (x + 1) * 255
        ),
    },
    lambda change: to_pil(change(chelsea()) / 127.5 - 1),
)

# ---- 00.2 ----

mirror_test = compare(
    lambda x: x.flip(3),
    [(torch.arange(4.0).view(1, 1, 2, 2),), (torch.arange(24.0).view(2, 3, 2, 2),)],
    {
        "nothing is changed": lambda x: x,
        "the height is turned around, which makes it stand on its head": lambda x: x.flip(2),
        "height and width are swapped": lambda x: x.transpose(2, 3),
        "the channels are turned around: red and blue change places": lambda x: x.flip(1),
    },
    draw_change,
)

# ---- 00.3 ----


def sepia(x: Tensor) -> Tensor:
    y = luma(x) * 2 - 1
    return (y + torch.tensor([0.2, 0.0, -0.2]).view(1, 3, 1, 1)).clamp(-1, 1)


def sepia_by_mean(x: Tensor) -> Tensor:
    return (x.mean(1, keepdim=True) + torch.tensor([0.2, 0.0, -0.2]).view(1, 3, 1, 1)).clamp(-1, 1)


sepia_test = compare(
    sepia,
    [
        (torch.tensor([0.5, 0.0, -0.5]).view(1, 3, 1, 1),),
        (torch.ones(1, 3, 1, 1),),
        (torch.cat([chelsea(16), -chelsea(16)]),),
    ],
    {
        "nothing is changed": lambda x: x,
        "the mean of the channels is taken instead of Y": sepia_by_mean,
        "nothing is cut off beyond -1 and 1": lambda x: (
            luma(x) * 2 - 1 + torch.tensor([0.2, 0, -0.2]).view(1, 3, 1, 1)
        ),
        "all three channels are Y: that is grey": lambda x: (luma(x) * 2 - 1).repeat(1, 3, 1, 1),
    },
    draw_change,
)

# ---- 00.4 ----


def over(drawing: Tensor, alpha: Tensor, background: Tensor, opacity: float) -> Tensor:
    see = opacity * alpha
    return see * drawing + (1 - see) * background


def draw_ghost(answer) -> list[Image.Image]:
    cat = parts()["noto", "cat"]["image"].resize((96, 96))
    art, alpha = to_tensor(cat), torch.from_numpy(np.array(cat.getchannel("A")))[None] / 255
    stripes = torch.where(torch.arange(96) // 12 % 2 == 0, 0.2, 0.8).expand(3, 96, 96)
    drawn = [answer((art[0] + 1) / 2, alpha, stripes, opacity) for opacity in (1.0, 0.5, 0.1)]
    return to_pil(torch.stack(drawn) * 2 - 1)


over_test = compare(
    over,
    [
        (torch.tensor([[[0.9]]]), torch.tensor([[[0.5]]]), torch.tensor([[[0.1]]]), 1.0),
        (torch.tensor([[[0.9]]]), torch.tensor([[[0.5]]]), torch.tensor([[[0.1]]]), 0.5),
        (
            torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(0)),
            torch.full((1, 4, 4), 0.3),
            torch.zeros(3, 4, 4),
            0.8,
        ),
    ],
    {
        "only the background is shown": lambda d, a, b, o: b,
        "opacity is left out": lambda d, a, b, o: a * d + (1 - a) * b,
        "the background is added whole; it needs the factor (1 - a)": lambda d, a, b, o: o * a * d + b,
        "opacity changes the drawing but not the background: use the new alpha twice": lambda d, a, b, o: (
            o * a * d + (1 - a) * b
        ),
    },
    draw_ghost,
)

# ---- 00.5 ----


def put_on(head: list[float], seat: list[float]) -> tuple[float, float, float]:
    side = head[2] / seat[2]
    return head[0] - side * seat[0], head[1] - side * seat[1], side


def draw_hats(answer) -> list[Image.Image]:
    pictures = []
    for animal, hat in (
        ("cat", "baseball cap"),
        ("penguin", "crown"),
        ("cow", "top hat"),
        ("owl", "graduation cap"),
    ):
        head, seat = (anchors()["heads"]["noto"][animal]["hat"], anchors()["headwear"]["noto"][hat][:3])
        picture = Image.new("RGB", (192, 192), "white")
        for name, (left, top, side) in ((animal, (0, 0, 1)), (hat, answer(head, seat))):
            art = parts()["noto", name]["image"].resize((max(1, round(144 * float(side))),) * 2)
            picture.paste(art, (24 + round(144 * float(left)), 44 + round(144 * float(top))), art)
        pictures.append(picture)
    return pictures


put_on_test = compare(
    put_on,
    [([0.5, 0.2, 0.6], [0.5, 0.8, 0.9]), ([0.4, 0.3, 0.5], [0.6, 0.7, 0.5])],
    {
        "the hat's drawing is neither enlarged nor moved": lambda head, seat: (0.0, 0.0, 1.0),
        "the widths are divided the wrong way round": lambda head, seat: (
            head[0] - seat[2] / head[2] * seat[0],
            head[1] - seat[2] / head[2] * seat[1],
            seat[2] / head[2],
        ),
        "the hat's point is not enlarged with its drawing: multiply it by side": lambda head, seat: (
            head[0] - seat[0],
            head[1] - seat[1],
            head[2] / seat[2],
        ),
        "side comes first; the order is left, top, side": lambda head, seat: (
            put_on(head, seat)[2:] + put_on(head, seat)[:2]
        ),
    },
    draw_hats,
)

# ---- 00.6 ----


def pairs_test(answer) -> Image.Image | None:
    """Any fair and repeatable choice of pairs passes."""
    held = {
        (animal, hat): bool(attempt(answer, (animal, hat)))
        for animal in scenes.ANIMALS
        for hat in scenes.HEADWEAR
    }
    if not held["cat", "baseball cap"]:
        raise Wrong('("cat", "baseball cap") should be held out.')
    for animal in scenes.ANIMALS:
        if attempt(answer, (animal, "none")):
            raise Wrong(f'("{animal}", "none") is held out, but all animals may go without a hat.')
    count = sum(held.values()) - 1
    if not 10 <= count <= 30:
        raise Wrong(f"{count} of the other 119 pairs are held out; 10 to 30 are asked for.")
    for animal in scenes.ANIMALS:
        if sum(not held[animal, hat] for hat in scenes.HEADWEAR) < 2:
            raise Wrong(f"The {animal} keeps fewer than two kinds of headwear.")
    hats = Counter(hat for (_, hat), out in held.items() if not out)
    for hat in scenes.HEADWEAR:
        if hats[hat] < 5:
            raise Wrong(f"Only {hats[hat]} animals wear a {hat}; five are asked for.")
    if any(bool(answer(*pair)) != out for pair, out in held.items()):
        raise Wrong("Asked twice, it gives different answers. It must not draw at random.")
    if "hash" in getattr(getattr(answer, "__code__", None), "co_names", ()):
        raise Wrong("It uses Python's hash(), which changes when Python is started anew. Use hashlib.")
    return None


EXERCISES = {
    "00.1": to_pixels_test,
    "00.2": mirror_test,
    "00.3": sepia_test,
    "00.4": over_test,
    "00.5": put_on_test,
    "00.6": pairs_test,
}
