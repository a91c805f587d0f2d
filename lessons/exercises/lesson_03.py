"""Lesson 03, denoise: the best prediction, a step of DDIM, a training example, where to look in few steps."""

from functools import cache

import torch
from PIL import Image
from torch import Tensor

from exercises import Wrong, attempt, compare, few
from exercises.lesson_00 import chelsea
from minit2i import viz
from minit2i.images import to_pil
from minit2i.samplers import ddim, denoiser_of, timesteps
from minit2i.text2image import TextToImage
from minit2i.utils import device_of

# ---- 03.1 ----


def best_guess(x_t: Tensor, alpha_bar: float, points: Tensor) -> Tensor:
    distance = x_t[:, None] - alpha_bar**0.5 * points[None, :]
    return (torch.softmax(-distance.square() / (2 * (1 - alpha_bar)), dim=1) * points).sum(dim=1)


def guess_without_scaling(x_t: Tensor, alpha_bar: float, points: Tensor) -> Tensor:
    weights = torch.softmax(-(x_t[:, None] - points).square() / (2 * (1 - alpha_bar)), dim=1)
    return (weights * points).sum(dim=1)


def guess_without_division(x_t: Tensor, alpha_bar: float, points: Tensor) -> Tensor:
    distance = x_t[:, None] - alpha_bar**0.5 * points[None, :]
    return ((-distance.square() / (2 * (1 - alpha_bar))).exp() * points).sum(dim=1)


def nearest_point(x_t: Tensor, alpha_bar: float, points: Tensor) -> Tensor:
    return points[(x_t[:, None] - alpha_bar**0.5 * points).abs().argmin(dim=1)]


def draw_guesses(answer) -> list[Image.Image]:
    """The prediction at four times, as a line over x_t from -2.5 to 2.5, in a world of three points."""
    pictures = []
    for bar in (0.95, 0.7, 0.4, 0.1):
        guess = answer(torch.linspace(-2.5, 2.5, 64), bar, torch.tensor([-1.0, 0.2, 1.0]))
        rows = torch.linspace(1.2, -1.2, 64)[:, None]
        pictures += to_pil(torch.where((rows - guess[None, :]).abs() < 0.06, -1.0, 1.0)[None, None])
    return pictures


best_guess_test = compare(
    best_guess,
    [
        (torch.tensor([0.4]), 0.5, torch.tensor([-1.0, 1.0])),
        (torch.tensor([-0.3, 0.0, 2.0]), 0.8, torch.tensor([-1.0, 0.5, 1.0])),
    ],
    {
        "nothing is guessed": lambda x_t, alpha_bar, points: x_t,
        "the points are not multiplied by sqrt(alpha_bar)": guess_without_scaling,
        "the weights are not divided by their sum": guess_without_division,
        "the nearest point is taken instead of the weighted mean": nearest_point,
    },
    draw_guesses,
)

# ---- 03.2 ----


def ddim_step(x_t: Tensor, x_0_hat: Tensor, bar: float, bar_next: float) -> Tensor:
    return ddim(x_t, x_0_hat, bar, bar_next, z=torch.zeros_like(x_t), eta=0.0)


def draw_steps(answer) -> list[Image.Image]:
    """Chelsea under noise, walked back by someone who knows her."""
    x_0 = chelsea()
    x = 0.3**0.5 * x_0 + 0.7**0.5 * torch.randn(x_0.shape, generator=torch.Generator().manual_seed(0))
    pictures = to_pil(x)
    for bar, bar_next in ((0.3, 0.6), (0.6, 0.9), (0.9, 1.0)):
        x = answer(x, x_0, bar, bar_next)
        pictures += to_pil(x)
    return pictures


ddim_test = compare(
    ddim_step,
    [
        (torch.tensor([0.5, -1.0]), torch.tensor([1.0, 0.0]), 0.36, 0.64),
        (torch.tensor([0.5, -1.0]), torch.tensor([1.0, 0.0]), 0.64, 1.0),
    ],
    {
        "no step is made": lambda x_t, x_0_hat, bar, bar_next: x_t,
        "one goes all the way to the guess": lambda x_t, x_0_hat, bar, bar_next: x_0_hat,
        "the square roots are missing": lambda x_t, x_0_hat, bar, bar_next: (
            bar_next * x_0_hat + (1 - bar_next) * (x_t - bar * x_0_hat) / (1 - bar)
        ),
        "the noise is not made smaller": lambda x_t, x_0_hat, bar, bar_next: (
            bar_next**0.5 * x_0_hat + x_t - bar**0.5 * x_0_hat
        ),
        "bar and bar_next are swapped": lambda x_t, x_0_hat, bar, bar_next: (
            bar**0.5 * x_0_hat
            + (1 - bar) ** 0.5 * (x_t - bar_next**0.5 * x_0_hat) / max(1e-9, 1 - bar_next) ** 0.5
        ),
    },
    draw_steps,
)

# ---- 03.3 ----


def question_and_answer(x_0: Tensor, eps: Tensor, bar: Tensor) -> Tensor:
    """x_t and v as one tensor, so that they can be compared."""
    return torch.stack([bar.sqrt() * x_0 + (1 - bar).sqrt() * eps, bar.sqrt() * eps - (1 - bar).sqrt() * x_0])


EXAMPLE = (
    torch.tensor([1.0, -0.5]).view(2, 1, 1, 1),
    torch.tensor([0.3, 2.0]).view(2, 1, 1, 1),
    torch.tensor([0.64, 0.36]).view(2, 1, 1, 1),
)

pair_test = compare(
    question_and_answer,
    [EXAMPLE],
    {
        "picture and noise themselves are returned": lambda x_0, eps, bar: torch.stack([x_0, eps]),
        "v is the noise": lambda x_0, eps, bar: torch.stack([question_and_answer(x_0, eps, bar)[0], eps]),
        "v has the wrong sign": lambda x_0, eps, bar: (
            question_and_answer(x_0, eps, bar) * torch.tensor([1, -1]).view(2, 1, 1, 1, 1)
        ),
        "the parts of v are added; the picture's has a minus": lambda x_0, eps, bar: torch.stack(
            [question_and_answer(x_0, eps, bar)[0], bar.sqrt() * eps + (1 - bar).sqrt() * x_0]
        ),
    },
)


def question_test(answer) -> None:

    def both(x_0: Tensor, eps: Tensor, bar: Tensor) -> Tensor:
        got = answer(x_0, eps, bar)
        if not isinstance(got, (tuple, list)) or len(got) != 2:
            raise ValueError("return two tensors: x_t, v")
        return torch.stack(list(got))

    return pair_test(both)


# ---- 03.4 ----


@cache
def clothes() -> TextToImage:
    return TextToImage.load(denoiser="denoiser-fashion")


@torch.no_grad()
def walk(times: list[int]) -> Tensor:
    """24 samples of the pretrained network (fewer in a hurry), by DDIM at these times."""
    t2i, count = clothes(), few(24, least=4)
    denoise, bars = denoiser_of(t2i.denoiser, t2i.schedule, t2i.encode([""] * count)), t2i.schedule.alpha_bar
    x = torch.randn(24, 1, 32, 32, generator=torch.Generator().manual_seed(0))[:count]
    x = x.to(device_of(t2i.denoiser))
    for t, t_next in zip(times, [*times[1:], None], strict=True):
        x_0_hat = denoise(x, torch.full((count,), t, device=x.device))
        x = ddim_step(x, x_0_hat, bars[t].item(), 1.0 if t_next is None else bars[t_next].item())
    return x.cpu()


@cache
def reference() -> Tensor:
    return walk(timesteps(1000, 100))


def distance(times: list[int]) -> float:
    return (walk(times) - reference()).square().mean().item()


def times_test(answer, wanted: float = 0.2) -> Image.Image:
    try:
        times = [int(t) for t in attempt(answer, ())]
    except (TypeError, ValueError):
        raise Wrong("Return a list of 6 whole numbers.") from None
    if len(times) != 6 or times[0] != 999 or times != sorted(set(times), reverse=True) or times[-1] < 0:
        raise Wrong(f"Six different whole numbers are asked for, falling, the first 999. You return {times}.")
    even, yours = distance(timesteps(1000, 6)), distance(times)
    gain = 1 - yours / even
    pictures = torch.cat([reference()[:6], walk(timesteps(1000, 6))[:6], walk(times)[:6]])
    picture = viz.grid(
        to_pil(pictures), columns=6, side=64, captions=["100 steps"] * 6 + ["6, even"] * 6 + ["6, yours"] * 6
    )
    if gain < wanted:
        where = f"{abs(gain):.1%} {'closer' if gain >= 0 else 'farther'}"
        raise Wrong(f"Yours end {where} than the even spacing; {wanted:.0%} closer is asked for.", picture)
    print(f"{gain:.1%} closer than the even spacing.")
    return picture


EXERCISES = {"03.1": best_guess_test, "03.2": ddim_test, "03.3": question_test, "03.4": times_test}
