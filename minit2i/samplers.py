"""From pure noise to a picture, by asking a denoiser again and again.

A denoiser is any function `denoise(x_t, t) -> x_0_hat`: shown a noisy picture, it predicts the clean one.
From far away that is a blur, so a sampler goes a little way towards it and asks again. All share one loop.

Papers: Ho et al. 2020 (DDPM), Song et al. 2021 (DDIM), Lu et al. 2022 (DPM-Solver++), Lugmayr et al. 2022
(RePaint, resampling).

Shapes: T timesteps of the schedule, B batch, C channels, H W height, width.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .clip import Text
from .schedule import Schedule

Denoise = Callable[[Tensor, Tensor], Tensor]


class Step(NamedTuple):
    """One step: from x_t, by way of the prediction x_0_hat, to the less noisy x_prev; (B, C, H, W) each."""

    t: int
    x_t: Tensor
    x_0_hat: Tensor
    x_prev: Tensor


# The steps. Each is given alpha_bar of now and alpha_bar_prev of the next, less noisy time, and takes what it
# needs of fresh noise z ~ N(0, I), eta, and x_0_hat and alpha_bar of the step before. At the end, where
# alpha_bar_prev is 1, each returns x_0_hat itself: no noise is left, and none is added.


def ddpm(x_t: Tensor, x_0_hat: Tensor, alpha_bar: float, alpha_bar_prev: float, z: Tensor, **_) -> Tensor:
    """Draw x_prev from q(x_prev | x_t, x_0_hat), the noising walked backwards (Ho et al. 2020)."""
    # alpha_t = alpha_bar_t / alpha_bar_prev, the noising from prev to t in one go, be it one timestep or many
    alpha = alpha_bar / alpha_bar_prev
    # mu = (sqrt(alpha_bar_prev) beta x_0 + sqrt(alpha) (1 - alpha_bar_prev) x_t) / (1 - alpha_bar_t) (eq. 7)
    picture = math.sqrt(alpha_bar_prev) * (1 - alpha) * x_0_hat
    mean = (picture + math.sqrt(alpha) * (1 - alpha_bar_prev) * x_t) / (1 - alpha_bar)
    # beta_tilde = (1 - alpha_bar_prev) / (1 - alpha_bar_t) beta,  beta = 1 - alpha (eq. 7)
    variance = (1 - alpha_bar_prev) / (1 - alpha_bar) * (1 - alpha)
    return mean + math.sqrt(variance) * z


def ddim(
    x_t: Tensor, x_0_hat: Tensor, alpha_bar: float, alpha_bar_prev: float, z: Tensor, eta: float, **_
) -> Tensor:
    """Keep the noise that is in x_t, only less of it; eta is how much of it is redrawn (Song et al. 2021)."""
    eps_hat = (x_t - math.sqrt(alpha_bar) * x_0_hat) / math.sqrt(1 - alpha_bar)
    # sigma = eta sqrt((1 - alpha_bar_prev) / (1 - alpha_bar_t) (1 - alpha_bar_t / alpha_bar_prev)) (eq. 16)
    sigma = eta * math.sqrt((1 - alpha_bar_prev) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_prev))
    # x_prev = sqrt(alpha_bar_prev) x_0 + sqrt(1 - alpha_bar_prev - sigma^2) eps + sigma z (eq. 12)
    kept = math.sqrt(1 - alpha_bar_prev - sigma**2)
    return math.sqrt(alpha_bar_prev) * x_0_hat + kept * eps_hat + sigma * z


def dpm_solver(
    x_t: Tensor, x_0_hat: Tensor, alpha_bar: float, alpha_bar_prev: float, before: tuple | None = None, **_
) -> Tensor:
    """Follow the line through the last two predictions: DPM-Solver++ (2M) (Lu et al. 2022, algorithm 2).

    before: x_0_hat and alpha_bar of one step ago. The first step has none, and the last is infinitely long in
    log-SNR: both trust x_0_hat alone.
    """
    D = x_0_hat
    if before is not None and alpha_bar_prev < 1:
        x_0_hat_before, alpha_bar_before = before
        # h = lambda_prev - lambda_t,  r = (lambda_t - lambda_before) / h
        h = _half_log_snr(alpha_bar_prev) - _half_log_snr(alpha_bar)
        r = (_half_log_snr(alpha_bar) - _half_log_snr(alpha_bar_before)) / h
        # D = (1 + 1 / 2r) x_0 - 1 / 2r x_0_before
        D = (1 + 1 / (2 * r)) * x_0_hat - 1 / (2 * r) * x_0_hat_before
    # x_prev = sigma_prev / sigma_t x_t - sqrt(alpha_bar_prev) (e^{-h} - 1) D,  sigma = sqrt(1 - alpha_bar),
    # where e^{-h} = sqrt(alpha_bar_t / alpha_bar_prev) sigma_prev / sigma_t
    shrink = math.sqrt((1 - alpha_bar_prev) / (1 - alpha_bar))
    return shrink * x_t - (math.sqrt(alpha_bar) * shrink - math.sqrt(alpha_bar_prev)) * D


def _half_log_snr(alpha_bar: float) -> float:
    # lambda = log(sqrt(alpha_bar) / sqrt(1 - alpha_bar)) (Lu et al. 2022, section 2)
    return 0.5 * math.log(alpha_bar / (1 - alpha_bar))


SAMPLERS = {"ddpm": ddpm, "ddim": ddim, "dpm_solver": dpm_solver}


def timesteps(T: int, steps: int) -> list[int]:
    """Choose `steps` of the timesteps 0..T-1, evenly, from the noisiest, T-1, down; T steps are all of them.

    Raises ValueError unless 1 <= steps <= T. Source: "trailing" in Lin et al. 2024, table 2.
    """
    if not 1 <= steps <= T:
        raise ValueError(f"steps must be from 1 to {T}, not {steps}")
    return [round(T * left / steps) - 1 for left in range(steps, 0, -1)]


@dataclass(frozen=True)
class SamplerSettings:
    """How to walk from noise to a picture.

    sampler: one of SAMPLERS. eta: 0..1, for "ddim". seed, first: picture i of a batch depends on seed and
    first + i alone, on any device. start: (x_0, t), a picture that broadcasts to the shape and gets the noise
    of time t; all steps are then spent from t on (at most t+1). noise: to begin with, if not the seed's.
    resample: how often to noise x_prev back to t and repeat the step, all but the last one, so that what was
    put into the picture from outside and what the denoiser adds come to agree (RePaint).
    Raises ValueError for an unknown sampler, or numbers out of range.
    """

    sampler: str = "ddim"
    steps: int = 25
    eta: float = 0.0
    seed: int = 0
    first: int = 0
    start: tuple[Tensor, int] | None = None
    noise: Tensor | None = None
    resample: int = 0

    def __post_init__(self):
        if self.sampler not in SAMPLERS:
            raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}, not {self.sampler!r}")
        for name, most in (("eta", 1), ("resample", 100), ("first", 10_000)):
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be from 0 to {most}, not {getattr(self, name)}")


def trajectory(
    denoise: Denoise,
    shape: tuple[int, int, int, int],
    schedule: Schedule,
    device: torch.device | str = "cpu",
    **settings,
) -> Iterator[Step]:
    """Walk from noise to a picture and yield every step; x_prev of the last is the picture.

    shape: (B, C, H, W). settings: those of `SamplerSettings`. Raises ValueError, at once, for bad ones.
    """
    given = SamplerSettings(**settings)
    times = timesteps(schedule.T, given.steps)
    if given.start is not None:
        t = given.start[1]
        if not 0 <= t < schedule.T:
            raise ValueError(f"start must be at a t from 0 to {schedule.T - 1}, not {t}")
        times = timesteps(t + 1, min(given.steps, t + 1))
    # One generator a picture, on the CPU, where every machine draws the same
    B, first, several = shape[0], given.first, torch.Generator().manual_seed(given.seed)
    seeds = torch.randint(2**32, (first + B,), generator=several, device="cpu").tolist()[first:]
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def fresh_noise() -> Tensor:
        noise = [torch.randn(shape[1:], generator=g, dtype=torch.float32, device="cpu") for g in generators]
        return torch.stack(noise).to(device)

    @torch.no_grad()
    def walk() -> Iterator[Step]:
        x_t = fresh_noise() if given.noise is None else given.noise.to(device)
        if given.start is not None:
            x_0, t = given.start
            x_t = schedule.add_noise(x_0.to(device), x_t, torch.full(shape[:1], t, device=device))

        step, before = SAMPLERS[given.sampler], None
        for t, t_prev in zip(times, times[1:] + [None], strict=True):
            alpha_bar = schedule.alpha_bar[t].item()
            alpha_bar_prev = 1.0 if t_prev is None else schedule.alpha_bar[t_prev].item()
            for left in range(0 if t_prev is None else given.resample, -1, -1):
                x_0_hat = denoise(x_t, torch.full(shape[:1], t, device=device))
                bars = alpha_bar, alpha_bar_prev
                x_prev = step(x_t, x_0_hat, *bars, z=fresh_noise(), eta=given.eta, before=before)
                if left:
                    # x_t = sqrt(alpha) x_prev + sqrt(1 - alpha) z,  alpha = alpha_bar_t / alpha_bar_prev
                    # (Lugmayr et al. 2022, algorithm 1, line 10)
                    alpha = alpha_bar / alpha_bar_prev
                    x_t = math.sqrt(alpha) * x_prev + math.sqrt(1 - alpha) * fresh_noise()
                    before = None  # the last prediction was made at another x_t: no line leads through it
            yield Step(t, x_t, x_0_hat, x_prev)
            x_t, before = x_prev, (x_0_hat, alpha_bar)

    return walk()


def sample(denoise: Denoise, shape: tuple[int, int, int, int], schedule: Schedule, **settings) -> Tensor:
    """Walk from noise to a picture, with the settings of `trajectory`. Returns x_0 (B, C, H, W)."""
    for step in trajectory(denoise, shape, schedule, **settings):
        x_0 = step.x_prev
    return x_0


def denoiser_of(
    model: nn.Module, schedule: Schedule, text: Text | None = None, clamp: bool = True, **conditioning
) -> Denoise:
    """The denoiser in a model: model(x_t, t, text) predicts `model.prediction`, "eps", "x_0" or "v".

    text: of the same batch, None for a model without text. clamp: keep x_0_hat in [-1, 1].
    conditioning: what else the model is given, such as a layout.
    """

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        x_0_hat = schedule.to_x_0(model.prediction, model(x_t, t, text, **conditioning), x_t, t)
        return x_0_hat.clamp(-1, 1) if clamp else x_0_hat

    return denoise
