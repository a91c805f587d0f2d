"""Lesson 07, latents: counting multiplications, a loss that minds slopes, unit scale, frames."""

from functools import cache

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from exercises import compare
from exercises.lesson_00 import chelsea
from minit2i.autoencoder import reconstruction_loss
from minit2i.images import to_pil

# ---- 07.1 ----

multiplications_test = compare(
    lambda height, width, channels_in, channels_out, kernel: (
        height * width * channels_in * channels_out * kernel**2
    ),
    [(4, 6, 2, 5, 3), (64, 64, 96, 96, 3), (16, 16, 8, 192, 1)],
    {
        "only the places are counted": lambda height, width, channels_in, channels_out, kernel: (
            height * width
        ),
        "only the weights are counted: each is used at every place": (
            lambda height, width, channels_in, channels_out, kernel: channels_in * channels_out * kernel**2
        ),
        "the square is counted as one row: it has kernel times kernel places": (
            lambda height, width, channels_in, channels_out, kernel: (
                height * width * channels_in * channels_out * kernel
            )
        ),
        "the square that it looks at is left out": lambda height, width, channels_in, channels_out, kernel: (
            height * width * channels_in * channels_out
        ),
        "only one channel comes out": lambda height, width, channels_in, channels_out, kernel: (
            height * width * channels_in * kernel**2
        ),
        "only one channel goes in": lambda height, width, channels_in, channels_out, kernel: (
            height * width * channels_out * kernel**2
        ),
        "the channels in and out are added instead of multiplied: each of one kind meets each of the other": (
            lambda height, width, channels_in, channels_out, kernel: (
                height * width * (channels_in + channels_out) * kernel**2
            )
        ),
    },
)

# ---- 07.2 ----


@cache
def two_pairs() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.rand(2, 3, 5, 4, generator=generator) * 2 - 1 for _ in range(2))


SPOTS = torch.tensor([[[[0.75, 0.25], [0.5, -1.0]], [[0.0, 0.25], [0.25, 0.0]]]])


def slopes(x_hat: Tensor, x: Tensor, dims: tuple[int, ...] = (2, 3)) -> Tensor:
    return sum(F.l1_loss(x_hat.diff(dim=dim), x.diff(dim=dim)) for dim in dims)


def distance(x_hat: Tensor, x: Tensor) -> Tensor:
    return F.l1_loss(x_hat, x) + 4 * F.mse_loss(x_hat, x)


loss_test = compare(
    reconstruction_loss,
    [(SPOTS, torch.zeros(1, 2, 2, 2)), two_pairs()],
    {
        "the slopes are left out": distance,
        "the squares are left out": lambda x_hat, x: F.l1_loss(x_hat, x) + 0.5 * slopes(x_hat, x),
        "the squares count once, and not four times": lambda x_hat, x: (
            F.l1_loss(x_hat, x) + F.mse_loss(x_hat, x) + 0.5 * slopes(x_hat, x)
        ),
        "the distance of the pictures themselves is left out": lambda x_hat, x: (
            4 * F.mse_loss(x_hat, x) + 0.5 * slopes(x_hat, x)
        ),
        "the slopes to the right are left out": lambda x_hat, x: (
            distance(x_hat, x) + 0.5 * slopes(x_hat, x, (2,))
        ),
        "the slopes downwards are left out": lambda x_hat, x: (
            distance(x_hat, x) + 0.5 * slopes(x_hat, x, (3,))
        ),
        "the slopes count in full, and not by half": lambda x_hat, x: distance(x_hat, x) + slopes(x_hat, x),
        "only the downward slopes are halved; put brackets around the sum": lambda x_hat, x: (
            distance(x_hat, x) + 0.5 * slopes(x_hat, x, (2,)) + slopes(x_hat, x, (3,))
        ),
        "all is halved": lambda x_hat, x: 0.5 * (distance(x_hat, x) + slopes(x_hat, x)),
        "slopes are compared without their sign, so that rising and falling are the same": lambda x_hat, x: (
            distance(x_hat, x)
            + 0.5 * sum(F.l1_loss(x_hat.diff(dim=dim).abs(), x.diff(dim=dim).abs()) for dim in (2, 3))
        ),
        "the slopes of x_hat are taken alone, without those of x": lambda x_hat, x: (
            distance(x_hat, x) + 0.5 * slopes(x_hat, torch.zeros_like(x))
        ),
        "diff goes over channels and rows: the dimensions are counted from 0, so they are 2 and 3": (
            lambda x_hat, x: distance(x_hat, x) + 0.5 * slopes(x_hat, x, (1, 2))
        ),
    },
)

# ---- 07.3 ----


def scaled(z: Tensor, mean_over: tuple[int, ...], std_over: tuple[int, ...]) -> Tensor:
    return (z - z.mean(mean_over, keepdim=True)) / z.std(std_over, keepdim=True)


def unit_scale(z: Tensor) -> Tensor:
    return scaled(z, (0, 2, 3), (0, 2, 3))


@cache
def latents(pictures: int, channels: int) -> Tensor:
    """Numbers whose spread differs from channel to channel and whose mean does, too, as does each picture's.

    So many of them that it does not matter whether the standard deviation divides by N or by N - 1.
    """
    z = torch.randn(pictures, channels, 16, 16, generator=torch.Generator().manual_seed(channels))
    each = torch.linspace(0.5, 5, channels).view(1, -1, 1, 1)
    return each * (z + torch.linspace(-1, 2, pictures).view(-1, 1, 1, 1)) + 3 - each


def draw_scaled(answer) -> list[Image.Image]:
    """The three colours of a cat as grey pictures, made far too large, too small, and too dark."""
    scales, shifts = (torch.tensor(values).view(1, 3, 1, 1) for values in ([6.0, 0.1, 1.0], [0.0, 0.0, -4.0]))
    return to_pil(answer(scales * chelsea() + shifts)[0, :, None] / 3)


unit_scale_test = compare(
    unit_scale,
    [(latents(64, 3),), (latents(48, 8),)],
    {
        "nothing is changed": lambda z: z,
        "one mean and one standard deviation are taken for all channels": lambda z: (z - z.mean()) / z.std(),
        "each picture is scaled by itself, all its channels together": lambda z: scaled(
            z, (1, 2, 3), (1, 2, 3)
        ),
        "each channel of each picture is scaled by itself: the batch belongs into the mean": lambda z: scaled(
            z, (2, 3), (2, 3)
        ),
        "each place is scaled by itself, over the batch alone": lambda z: scaled(z, (0,), (0,)),
        "the mean is not subtracted": lambda z: z / z.std((0, 2, 3), keepdim=True),
        "nothing is divided, only the mean is subtracted": lambda z: z - z.mean((0, 2, 3), keepdim=True),
        "one divides by the variance, the square of the standard deviation": lambda z: (
            unit_scale(z) / z.std((0, 2, 3), keepdim=True)
        ),
        "one multiplies by the standard deviation instead of dividing": lambda z: (
            unit_scale(z) * z.var((0, 2, 3), keepdim=True)
        ),
    },
    draw_scaled,
)

# ---- 07.4 ----


def places(n: int) -> Tensor:
    return (torch.arange(n) + 0.5) / n - 0.5


in_frame_test = compare(
    lambda n, middle, size: (places(n) - middle) / size,
    [(16, 0.0, 0.84), (16, 0.05, 0.8), (8, -0.03, 0.94)],
    {
        "all is zero: that is what a network is told of a frame that is left out": lambda n, *_: torch.zeros(
            n
        ),
        "the frame is left out: these are the places in the picture": lambda n, *_: places(n),
        "one multiplies by the size instead of dividing": lambda n, middle, size: (places(n) - middle) * size,
        "the middle is added instead of subtracted": lambda n, middle, size: (places(n) + middle) / size,
        "the middle is not divided by the size: subtract it first": lambda n, middle, size: (
            places(n) / size - middle
        ),
        "these are the left edges of the places: their middles are half a place further": (
            lambda n, middle, size: (places(n) - 0.5 / n - middle) / size
        ),
        "they go from 0 to 1: the middle of the picture is to be 0": lambda n, middle, size: (
            (places(n) + 0.5 - middle) / size
        ),
        "they are counted in places: divide by n": lambda n, middle, size: (
            (torch.arange(n) + 0.5 - n / 2 - middle) / size
        ),
        "they go down instead of up": lambda n, middle, size: -(places(n) - middle) / size,
    },
)

EXERCISES = {"07.1": multiplications_test, "07.2": loss_test, "07.3": unit_scale_test, "07.4": in_frame_test}
