"""Lesson 02, noise: one step, what survives many, the jump, the way back, and a schedule of one's own."""

import torch
from PIL import Image
from torch import Tensor

from exercises import compare
from exercises.lesson_00 import chelsea
from minit2i.images import to_pil
from minit2i.schedule import Schedule

SCHEDULE = Schedule.cosine()
TIMES = torch.tensor([100, 400, 700])
X, EPS = torch.tensor([1.0, -0.5]).view(1, 1, 1, 2), torch.tensor([0.3, 2.0]).view(1, 1, 1, 2)
PAIR = torch.randn(
    2, 2, 1, 2, 3, generator=torch.Generator().manual_seed(0)
)  # pictures and noise of a batch of two
BARS = torch.tensor([0.9, 0.2])  # alpha_bar of each


def cats() -> tuple[Tensor, Tensor]:
    """The same cat three times, and noise."""
    x_0 = chelsea().repeat(len(TIMES), 1, 1, 1)
    return x_0, torch.randn(x_0.shape, generator=torch.Generator().manual_seed(0))


# ---- 02.1 ----


def one_step(x: Tensor, beta: float, eps: Tensor) -> Tensor:
    return (1 - beta) ** 0.5 * x + beta**0.5 * eps


def draw_steps(step) -> list[Image.Image]:
    x, generator, frames = chelsea(), torch.Generator().manual_seed(0), []
    for _ in range(4):
        for _ in range(15):
            x = step(x, 0.02, torch.randn(x.shape, generator=generator))
        frames += to_pil(x)
    return frames


one_step_test = compare(
    one_step,
    [(X, 0.36, EPS), (torch.ones(1, 1, 1, 2), 0.01, torch.tensor([[[[1.0, -1.0]]]]))],
    {
        "no noise is added": lambda x, beta, eps: x,
        "the square roots are missing": lambda x, beta, eps: (1 - beta) * x + beta * eps,
        "the picture is not made smaller": lambda x, beta, eps: x + beta**0.5 * eps,
        "the two factors are swapped": lambda x, beta, eps: beta**0.5 * x + (1 - beta) ** 0.5 * eps,
    },
    draw_steps,
)

# ---- 02.2 ----

alpha_bar_test = compare(
    lambda beta: (1 - beta).cumprod(0),
    [(torch.tensor([0.1, 0.2, 0.3, 0.4]),), (torch.linspace(1e-4, 0.02, 1000),)],
    {
        "beta itself is returned": lambda beta: beta,
        "only one step's alpha is returned, without the product": lambda beta: 1 - beta,
        "the betas are multiplied instead of the alphas": lambda beta: beta.cumprod(0),
        "the alphas are added up instead of multiplied": lambda beta: (1 - beta).cumsum(0),
        "one takes 1 minus the product of the betas": lambda beta: 1 - beta.cumprod(0),
    },
)

# ---- 02.3 ----


def jump(x_0: Tensor, eps: Tensor, alpha_bar_t: Tensor) -> Tensor:
    a = alpha_bar_t.view(-1, 1, 1, 1)
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps


jump_test = compare(
    jump,
    [(X, EPS, torch.tensor([0.64])), (*PAIR, BARS)],
    {
        "no noise is added": lambda x_0, eps, bar: x_0,
        "the square roots are missing": lambda x_0, eps, bar: (
            bar.view(-1, 1, 1, 1) * x_0 + (1 - bar.view(-1, 1, 1, 1)) * eps
        ),
        "picture and noise are swapped": lambda x_0, eps, bar: jump(eps, x_0, bar),
        "the noise is added whole": lambda x_0, eps, bar: bar.view(-1, 1, 1, 1).sqrt() * x_0 + eps,
    },
    lambda answer: to_pil(answer(*cats(), SCHEDULE.alpha_bar[TIMES])),
)

# ---- 02.4 ----


def undo(x_t: Tensor, eps: Tensor, alpha_bar_t: Tensor) -> Tensor:
    a = alpha_bar_t.view(-1, 1, 1, 1)
    return (x_t - (1 - a).sqrt() * eps) / a.sqrt()


def draw_undone(answer) -> list[Image.Image]:
    x_0, eps = cats()
    bars = SCHEDULE.alpha_bar[TIMES]
    return to_pil(answer(jump(x_0, eps, bars), eps, bars))


undo_test = compare(
    undo,
    [(X, EPS, torch.tensor([0.64])), (*PAIR, BARS)],
    {
        "nothing is taken away": lambda x_t, eps, bar: x_t,
        "the noise is taken away whole": lambda x_t, eps, bar: x_t - eps,
        "the result is not divided by sqrt(alpha_bar): the picture stays too faint": lambda x_t, eps, bar: (
            x_t - (1 - bar.view(-1, 1, 1, 1)).sqrt() * eps
        ),
        "it is multiplied by sqrt(alpha_bar) instead of divided": lambda x_t, eps, bar: (
            undo(x_t, eps, bar) * bar.view(-1, 1, 1, 1)
        ),
    },
    draw_undone,
)

# ---- 02.5 ----


def straight(T: int) -> Tensor:
    return torch.sigmoid(torch.linspace(6, -8, T))


def draw_schedule(answer) -> list[Image.Image]:
    x_0, eps = chelsea(), torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    return to_pil(torch.cat([jump(x_0, eps, bar[None]) for bar in answer(6).clamp(0, 1)]))


schedule_test = compare(
    straight,
    [(5,), (1000,)],
    {
        "alpha_bar itself falls in a straight line, not the logarithm of the ratio": lambda T: torch.linspace(
            0.99, 0.01, T
        ),
        "the line is returned, without the way back to alpha_bar": lambda T: torch.linspace(6, -8, T),
        "the line runs upwards": lambda T: torch.sigmoid(torch.linspace(-8, 6, T)),
        "the sign of s is wrong in the exp": lambda T: torch.sigmoid(torch.linspace(-6, 8, T)),
        "exp(s) is taken, which is the ratio, not alpha_bar": lambda T: torch.linspace(6, -8, T).exp(),
    },
    draw_schedule,
)

EXERCISES = {
    "02.1": one_step_test,
    "02.2": alpha_bar_test,
    "02.3": jump_test,
    "02.4": undo_test,
    "02.5": schedule_test,
}
