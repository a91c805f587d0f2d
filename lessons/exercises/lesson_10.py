"""Lesson 10, video: a hop, one place in all frames, how outlines agree, flicker."""

import math

import torch
from torch import Tensor

from exercises import compare, noise

# ---- 10.1 ----


def hop(frames: int, height: float) -> Tensor:
    return height * torch.sin(2 * math.pi * torch.arange(frames) / frames).abs()


hop_test = compare(
    hop,
    [(16, 0.1), (8, 1.0), (12, 0.25)],
    {
        "it never leaves the ground": lambda frames, height: torch.zeros(frames),
        "it goes below the ground: the bars in the formula mean the absolute value": (
            lambda frames, height: height * torch.sin(2 * math.pi * torch.arange(frames) / frames)
        ),
        "it hops once, not twice": (
            lambda frames, height: height * torch.sin(math.pi * torch.arange(frames) / frames).abs()
        ),
        "it is on the ground in the last frame already, so that the clip would rest there": (
            lambda frames, height: height * torch.sin(2 * math.pi * torch.linspace(0, 1, frames)).abs()
        ),
        "it hops downwards: here, upwards is positive": lambda frames, height: -hop(frames, height),
        "the height is left out": lambda frames, height: hop(frames, 1.0),
    },
)

# ---- 10.2 ----


def along_time(x: Tensor, frames: int, order: tuple[int, ...] = (0, 3, 4, 1, 2)) -> Tensor:
    _, C, H, W = x.shape
    return x.reshape(-1, frames, C, H, W).permute(*order).reshape(-1, frames, C)


along_time_test = compare(
    lambda x, frames: along_time(x, frames),
    [(noise(6, 2, 2, 3), 3), (noise(4, 3, 1, 2), 2), (noise(4, 2, 3, 2), 4)],
    {
        "numbers are only written in rows of another length: each row mixes places and channels": (
            lambda x, frames: x.reshape(-1, frames, x.shape[1])
        ),
        "frames come before clips in the split: clips stand in a row, each with its frames": (
            lambda x, frames: (
                x.reshape(frames, -1, *x.shape[1:]).permute(1, 3, 4, 0, 2).reshape(-1, frames, x.shape[1])
            )
        ),
        "columns come before rows": lambda x, frames: along_time(x, frames, (0, 4, 3, 1, 2)),
        "the places of all clips come mixed: the clip should come first": (
            lambda x, frames: along_time(x, frames, (3, 4, 0, 1, 2))
        ),
    },
)

# ---- 10.3 ----


def agree(a: Tensor, b: Tensor) -> float:
    return (torch.minimum(a, b).sum() / torch.maximum(a, b).sum()).item()


OUTLINES = [(noise(5, 6 + i) > 0.2 * i).float() for i in range(3)]
SMALLER = (noise(5, 6).flip(1) > 0.7).float()
agree_test = compare(
    agree,
    [(OUTLINES[0], SMALLER), (OUTLINES[1], OUTLINES[1]), (OUTLINES[2], OUTLINES[2].flip(0))],
    {
        "nothing ever agrees": lambda a, b: 0.0,
        "it is divided by the area of one of the two": lambda a, b: (
            torch.minimum(a, b).sum() / a.sum()
        ).item(),
        "background that both share counts, too": lambda a, b: (a == b).float().mean().item(),
        "what both cover is counted twice above the line, and both areas below": lambda a, b: (
            2 * torch.minimum(a, b).sum() / (a.sum() + b.sum())
        ).item(),
        "the area is not divided by anything": lambda a, b: torch.minimum(a, b).sum().item(),
        "what both cover is counted twice below the line": lambda a, b: (
            torch.minimum(a, b).sum() / (a.sum() + b.sum())
        ).item(),
    },
)

# ---- 10.4 ----


def flicker(still: Tensor) -> float:
    return (still[1:] - still[:-1]).abs().mean().item()


flicker_test = compare(
    flicker,
    [(noise(4, 3, 2, 2),), (noise(3, 1, 2, 4).abs(),)],
    {
        "nothing ever flickers": lambda still: 0.0,
        "ups and downs cancel: take the absolute difference": (
            lambda still: (still[1:] - still[:-1]).mean().item()
        ),
        "the mean comes before the absolute value, so that ups and downs cancel": (
            lambda still: (still[1:] - still[:-1]).mean().abs().item()
        ),
        "columns are compared, not frames": lambda still: still.diff().abs().mean().item(),
        "each frame is compared with the first, not with the one before": (
            lambda still: (still[1:] - still[:1]).abs().mean().item()
        ),
        "the differences are added up: take their mean": (
            lambda still: (still[1:] - still[:-1]).abs().sum().item()
        ),
        "the differences are squared": lambda still: (still[1:] - still[:-1]).square().mean().item(),
    },
)

EXERCISES = {"10.1": hop_test, "10.2": along_time_test, "10.3": agree_test, "10.4": flicker_test}
