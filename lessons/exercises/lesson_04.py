"""Lesson 04, zoom: nearest, pixel shuffle, decibels, and sharpening by a formula."""

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from exercises import Wrong, attempt, compare, difference
from exercises.lesson_00 import chelsea
from minit2i import viz
from minit2i.evaluate.metrics import luma, psnr
from minit2i.images import to_pil
from minit2i.train.upscaler import degrade, unseen_emoji
from minit2i.upscaler import bicubic
from minit2i.world.batches import on_backgrounds
from minit2i.world.datasets import load
from minit2i.world.scenes import STYLES

# ---- 04.1 ----

nearest_test = compare(
    lambda x, times: x.repeat_interleave(times, 2).repeat_interleave(times, 3),
    [(torch.arange(4.0).view(1, 1, 2, 2), 2), (torch.arange(12.0).view(1, 3, 2, 2), 3)],
    {
        "nothing is repeated": lambda x, times: x,
        "only the height grows": lambda x, times: x.repeat_interleave(times, 2),
        "only the width grows": lambda x, times: x.repeat_interleave(times, 3),
        "the whole picture is repeated like a tile": lambda x, times: x.repeat(1, 1, times, times),
    },
    lambda answer: to_pil(answer(chelsea(16), 4)),
)

# ---- 04.2 ----


def draw_shuffled(answer) -> list[Image.Image]:
    return to_pil(answer(F.pixel_unshuffle(chelsea(), 4), 4))


shuffle_test = compare(
    lambda x, s: F.pixel_shuffle(x, s),
    [
        (torch.arange(4.0).view(1, 4, 1, 1), 2),
        (torch.arange(8.0).view(1, 4, 1, 2), 2),
        (torch.arange(144.0).view(2, 18, 2, 2), 3),
    ],
    {
        "all is zero": lambda x, s: torch.zeros_like(F.pixel_shuffle(x, s)),
        "the dimensions are not reordered before joining": lambda x, s: x.reshape(
            F.pixel_shuffle(x, s).shape
        ),
        "the two small dimensions are swapped": lambda x, s: F.pixel_shuffle(
            x.unflatten(1, (-1, s, s)).transpose(2, 3).flatten(1, 3), s
        ),
    },
    draw_shuffled,
)

# ---- 04.3 ----


@cache
def two_pairs() -> tuple[Tensor, Tensor]:
    a = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1
    b = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return a, b


def of_all_channels(a: Tensor, b: Tensor) -> Tensor:
    return -10 * ((a - b) / 2).square().mean(dim=(1, 2, 3)).log10()


decibels_test = compare(
    lambda a, b: psnr(a, b),  # on Y, of two arguments
    [two_pairs(), tuple(pair[:1] for pair in two_pairs())],
    {
        "nothing is measured": lambda a, b: torch.zeros(len(a)),
        "the colours are compared; use luma first": of_all_channels,
        "the colours are compared, and on the scale from -1 to 1; use luma first": lambda a, b: (
            -10 * (a - b).square().mean(dim=(1, 2, 3)).log10()
        ),
        "one number is returned for the whole batch: take the mean over dim=(1, 2, 3) only": lambda a, b: (
            -10 * (luma(a) - luma(b)).square().mean().log10()
        ),
        "the minus sign is missing": lambda a, b: -psnr(a, b),
        "the natural logarithm is taken instead of log10": lambda a, b: psnr(a, b) * 2.302585,
        "20 is used instead of 10; that is for errors that are not squared": lambda a, b: 2 * psnr(a, b),
    },
)

# ---- 04.4 ----


@cache
def exam() -> tuple[Tensor, Tensor]:
    """40 unseen emoji: small (40, 3, 32, 32) and true (40, 3, 128, 128)."""
    rows = load("emoji")
    unseen = unseen_emoji([{"name": name} for name in rows["name"]]).tolist()
    some = [i for i, style in enumerate(rows["style"]) if unseen[i] and style in STYLES][5::11][:40]
    art = [row["image"].convert("RGBA").convert("RGBa") for row in rows.select(some)]  # premultiplied
    art = np.stack([drawing.resize((128, 128), Image.Resampling.BOX) for drawing in art])
    true = on_backgrounds(
        torch.from_numpy(art).permute(0, 3, 1, 2), torch.Generator().manual_seed(0), jitter=0.0
    )
    return degrade(true, torch.Generator().manual_seed(0), p_clean=1), true


def sharper_test(answer, wanted: float = 0.5) -> Image.Image:
    low, true = exam()
    base, got = bicubic(low, 128, 128).clamp(-1, 1), attempt(answer, (low,))
    if not isinstance(got, Tensor) or got.shape != true.shape:
        raise Wrong(difference(got, true))
    gain = (psnr(got, true).mean() - psnr(base, true).mean()).item()
    shown = to_pil(torch.cat([base[:3], got[:3], true[:3]]))
    picture = viz.grid(shown, columns=3, side=128, captions=["bicubic"] * 3 + ["yours"] * 3 + ["true"] * 3)
    if not gain >= wanted:
        raise Wrong(f"Your gain over bicubic is {gain:+.2f} dB; {wanted:+.1f} dB is asked for.", picture)
    print(f"A gain of {gain:+.2f} dB.")
    return picture


EXERCISES = {"04.1": nearest_test, "04.2": shuffle_test, "04.3": decibels_test, "04.4": sharper_test}
