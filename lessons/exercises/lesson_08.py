"""Lesson 08, edit: beginning in the middle, what is known, one step back, where a word looks."""

import math
from functools import cache

import torch
from PIL import Image
from torch import Tensor

from exercises import compare, noise
from exercises.lesson_00 import chelsea
from minit2i.images import to_pil
from minit2i.schedule import Schedule

# ---- 08.1 ----

ALPHA_BAR = Schedule.cosine(10).alpha_bar


def begin(x_0: Tensor, eps: Tensor, strength: float, alpha_bar: Tensor, less: int = 1) -> Tensor:
    n = round(strength * len(alpha_bar))
    if n == 0:
        return x_0
    a = alpha_bar[min(n - less, len(alpha_bar) - 1)]
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps


def draw_begun(answer) -> list[Image.Image]:
    """A cat at three strengths."""
    alpha_bar, cat = Schedule.cosine().alpha_bar, chelsea()
    return to_pil(
        torch.cat([answer(cat, noise(*cat.shape), s, alpha_bar) for s in (0.0, 0.4, 0.8)]).clamp(-1, 1)
    )


PAIR = noise(1, 3, 4, 4), noise(1, 3, 4, 5)[..., :4]
begin_test = compare(
    lambda x_0, eps, strength, alpha_bar: begin(x_0, eps, strength, alpha_bar),
    [(*PAIR, 0.7, ALPHA_BAR), (*PAIR, 1.0, ALPHA_BAR), (*PAIR, 0.0, ALPHA_BAR), (*PAIR, 0.1, ALPHA_BAR)],
    {
        "there is nothing left of the picture": lambda x_0, eps, strength, alpha_bar: eps,
        "the time is one too late: times are counted from 0": lambda *given: begin(*given, less=0),
        "the time is one too early": lambda *given: begin(*given, less=2),
        "strength 0 is taken for the last time: alpha_bar[-1] is the noisiest": (
            lambda x_0, eps, strength, alpha_bar: mixed(
                x_0, eps, alpha_bar[round(strength * len(alpha_bar)) - 1]
            )
        ),
        "the roots are missing": lambda x_0, eps, strength, alpha_bar: (
            alpha_bar[round(strength * len(alpha_bar)) - 1] * x_0
            + (1 - alpha_bar[round(strength * len(alpha_bar)) - 1]) * eps
        ),
        "strength itself is the share of the noise": lambda x_0, eps, strength, alpha_bar: (
            (1 - strength) * x_0 + strength * eps
        ),
    },
    draw_begun,
)


def mixed(x_0: Tensor, eps: Tensor, a: Tensor) -> Tensor:
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps


# ---- 08.2 ----


@cache
def masks() -> Tensor:
    return (noise(2, 1, 4, 4) > 0).float()


put_back_test = compare(
    lambda x_0_hat, known, mask: mask * x_0_hat + (1 - mask) * known,
    [(noise(2, 3, 4, 4), noise(2, 3, 4, 5)[..., :4], masks())],
    {
        "the guess stays everywhere": lambda x_0_hat, known, mask: x_0_hat,
        "the two are exchanged: where the mask is 1 nothing is known": lambda x_0_hat, known, mask: (
            (1 - mask) * x_0_hat + mask * known
        ),
        "what is known is added to the guess instead of taking its place": lambda x_0_hat, known, mask: (
            x_0_hat + (1 - mask) * known
        ),
        "the known part is left empty": lambda x_0_hat, known, mask: mask * x_0_hat,
    },
)

# ---- 08.3 ----

back_test = compare(
    lambda x_prev, z, alpha_bar, alpha_bar_prev: (
        math.sqrt(alpha_bar / alpha_bar_prev) * x_prev + math.sqrt(1 - alpha_bar / alpha_bar_prev) * z
    ),
    [(*PAIR, 0.3, 0.6), (*PAIR, 0.64, 0.8)],
    {
        "nothing is added: this is still x_prev": lambda x_prev, z, alpha_bar, alpha_bar_prev: x_prev,
        "all the noise of time t is added, though some is there already": (
            lambda x_prev, z, alpha_bar, alpha_bar_prev: (
                math.sqrt(alpha_bar) * x_prev + math.sqrt(1 - alpha_bar) * z
            )
        ),
        "the roots are missing": lambda x_prev, z, alpha_bar, alpha_bar_prev: (
            alpha_bar / alpha_bar_prev * x_prev + (1 - alpha_bar / alpha_bar_prev) * z
        ),
        "the noise is added, but the picture does not fade": (
            lambda x_prev, z, alpha_bar, alpha_bar_prev: (
                x_prev + math.sqrt(1 - alpha_bar / alpha_bar_prev) * z
            )
        ),
        "the difference of the two shares is taken instead of their ratio": (
            lambda x_prev, z, alpha_bar, alpha_bar_prev: (
                math.sqrt(1 - (alpha_bar_prev - alpha_bar)) * x_prev
                + math.sqrt(alpha_bar_prev - alpha_bar) * z
            )
        ),
    },
)

# ---- 08.4 ----


def warmth(weights: Tensor, columns: list[int]) -> Tensor:
    total = weights.mean(dim=0)[:, columns].sum(dim=1)
    return total / total.max()


warmth_test = compare(
    warmth,
    [
        (noise(2, 6, 5).softmax(-1), [1, 3]),
        (noise(4, 16, 7).softmax(-1), [2]),
        (noise(1, 3, 4).softmax(-1), [0, 1, 2]),
    ],
    {
        "the largest is not brought to 1": lambda weights, columns: weights.mean(dim=0)[:, columns].sum(
            dim=1
        ),
        "only the first token counts": lambda weights, columns: warmth(weights, columns[:1]),
        "all of it is divided by its sum": lambda weights, columns: (
            warmth(weights, columns) / warmth(weights, columns).sum()
        ),
        "only the first head is looked at": lambda weights, columns: warmth(weights[:1], columns),
        "the first token is taken, whatever the word is": lambda weights, columns: weights.mean(dim=0)[:, 0],
        "each place is divided by its own total, so that all become 1": (
            lambda weights, columns: torch.ones(weights.shape[1])
        ),
    },
)

EXERCISES = {"08.1": begin_test, "08.2": put_back_test, "08.3": back_test, "08.4": warmth_test}
