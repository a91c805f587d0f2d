"""The noise schedule: how much picture and how much noise there is at each time t.

At t = 0 there is a picture with a trace of noise, at t = T-1 noise with a trace of a picture. From any two
of the clean picture x_0, the noise eps and their mixture x_t the third follows, so a denoiser may predict
eps, x_0 or a blend of both, v: it is the same knowledge, and this module converts one into the other.

Papers: Ho et al. 2020 (DDPM, the linear schedule), Nichol & Dhariwal 2021 (the cosine schedule),
Salimans & Ho 2022 (v), Hoogeboom et al. 2023 (simple diffusion, the shift), Hang et al. 2023 (Min-SNR).

Shapes: T timesteps, B batch, C channels, H W height, width.
"""

import math

import torch
from torch import Generator, Tensor

PREDICTIONS = ("eps", "x_0", "v")
WEIGHTINGS = ("v", "clipped_v", "none")
EXACT = {"dtype": torch.float64, "device": "cpu"}  # whatever the caller has made the default


class Schedule:
    """Everything that follows from alpha_bar, the share of the picture in the variance of x_t.

    Each quantity is (T,) float32, computed in float64: alpha_bar, alpha_bar_prev (that of t-1; 1.0 at the
    end, where the picture is clean), alpha, beta, snr, log_snr. A timestep `t` is (B,) int64 in
    0..T-1, on any device; pictures and noise are (B, C, H, W).
    """

    def __init__(self, alpha_bar: Tensor):
        """alpha_bar: (T,), falling, each strictly between 0 and 1."""
        alpha_bar = alpha_bar.double()
        alpha_bar_prev = torch.cat([alpha_bar.new_ones(1), alpha_bar[:-1]])
        # alpha_bar_t = alpha_0 alpha_1 ... alpha_t,  alpha_t = 1 - beta_t (Ho et al. 2020, section 2)
        alpha = alpha_bar / alpha_bar_prev
        beta = 1 - alpha
        self.T = len(alpha_bar)
        self.alpha_bar = alpha_bar.float()
        self.alpha_bar_prev = alpha_bar_prev.float()
        self.alpha = alpha.float()
        self.beta = beta.float()
        # SNR(t) = alpha_bar_t / (1 - alpha_bar_t), signal to noise (Kingma et al. 2021, equation 2)
        self.snr = (alpha_bar / (1 - alpha_bar)).float()
        self.log_snr = torch.logit(alpha_bar).float()

    @classmethod
    def linear(cls, T: int = 1000) -> "Schedule":
        """DDPM's schedule: beta grows evenly from 0.0001 to 0.02 (Ho et al. 2020, section 4).

        Those numbers are for T = 1000; with fewer steps each adds more, so that the end is noise too.
        """
        beta = 1000 / T * torch.linspace(1e-4, 0.02, T, **EXACT)
        return cls((1 - beta.clamp(max=0.999)).cumprod(0))

    @classmethod
    def cosine(cls, T: int = 1000) -> "Schedule":
        """A schedule that destroys the picture more evenly (Nichol & Dhariwal 2021, section 3.2)."""
        # alpha_bar(t) = f(t) / f(0),  f(t) = cos^2((t/T + s) / (1 + s) pi/2),  s = 0.008 (equation 17)
        time = torch.arange(T + 1, **EXACT) / T
        f = torch.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2
        # f ends at 0, from where no picture could be recovered: the paper keeps beta to 0.999
        beta = (1 - f[1:] / f[:-1]).clamp(max=0.999)
        return cls((1 - beta).cumprod(0))

    def shifted(self, log_snr_shift: float) -> "Schedule":
        """The same schedule with `log_snr_shift` added to its log_snr; below 0 is noisier.

        Neighbouring pixels of a large picture are alike, so the same noise hides less of it. From size 64 to
        size d the shift is 2 log(64 / d) (Hoogeboom et al. 2023, section 3.1).
        """
        # logSNR = log(alpha_bar / (1 - alpha_bar)), so alpha_bar = sigmoid(logSNR)
        return Schedule(torch.sigmoid(self.log_snr.double() + log_snr_shift))

    def random_t(
        self, n: int, generator: Generator | None = None, logit_normal: tuple[float, float] | None = None
    ) -> Tensor:
        """Draw n timesteps for training, each of 0..T-1 equally likely. Returns (n,) int64.

        logit_normal: (mean, deviation), to draw those in the middle more often: with a mean above 0 the
        noisier ones, where it is decided what the picture will show. Source: Esser et al. 2024, section 3.1.
        """
        if logit_normal is None:
            return torch.randint(self.T, (n,), generator=generator, device="cpu")
        mean, deviation = logit_normal
        # t / T = sigmoid(mean + deviation n), n ~ N(0, 1): the logit of t / T is normal
        normal = torch.randn(n, generator=generator, dtype=torch.float32, device="cpu")
        share = torch.sigmoid(mean + deviation * normal)
        return (self.T * share).long().clamp(max=self.T - 1)

    def add_noise(self, x_0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """Mix clean pictures with noise eps ~ N(0, I). Returns x_t."""
        signal, noise = self._signal_and_noise(t)
        # x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps (Ho et al. 2020, equation 4)
        return signal * x_0 + noise * eps

    def to_x_0(self, kind: str, prediction: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """The clean picture that a prediction of `kind` "eps", "x_0" or "v" at x_t means.

        Raises ValueError for another kind.
        """
        _check("prediction", kind, PREDICTIONS)
        signal, noise = self._signal_and_noise(t)
        if kind == "eps":
            # x_0 = (x_t - sqrt(1 - alpha_bar_t) eps) / sqrt(alpha_bar_t) (Ho et al. 2020, equation 15)
            return (x_t - noise * prediction) / signal
        if kind == "v":
            # x_0 = sqrt(alpha_bar_t) x_t - sqrt(1 - alpha_bar_t) v (Salimans & Ho 2022, section 4)
            return signal * x_t - noise * prediction
        return prediction

    def target(self, kind: str, x_0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """What a denoiser that predicts `kind` "eps", "x_0" or "v" should answer to add_noise(x_0, eps, t).

        The velocity v is where x_t moves as noise grows: mostly eps when t is small, -x_0 when it is large.
        Raises ValueError for another kind.
        """
        _check("prediction", kind, PREDICTIONS)
        signal, noise = self._signal_and_noise(t)
        # v = sqrt(alpha_bar_t) eps - sqrt(1 - alpha_bar_t) x_0 (Salimans & Ho 2022, section 4)
        return {"eps": eps, "x_0": x_0, "v": signal * eps - noise * x_0}[kind]

    def loss_weight(self, t: Tensor, prediction: str, weighting: str) -> Tensor:
        """What to multiply the squared error of a prediction, "eps", "x_0" or "v", by. Returns (B,).

        Weighting "v" counts an error as the error in v that it means, which is the error in x_0 times 1 +
        SNR; "clipped_v" stops that at 20, since a nearly clean picture needs no hard work (as Min-SNR does,
        Hang et al. 2023); "none" is the error as it is. Raises ValueError for other names.
        """
        _check("prediction", prediction, PREDICTIONS)
        _check("weighting", weighting, WEIGHTINGS)
        alpha_bar, snr = (values.to(t.device)[t] for values in (self.alpha_bar, self.snr))
        if weighting == "none":
            return torch.ones_like(snr)
        # An error in one prediction is, at given x_t, an error in x_0 too. Squared, from the formulas above:
        #   |error in x_0|^2 = |error in eps|^2 / SNR = |error in v|^2 (1 - alpha_bar)
        x_0_error = {"x_0": torch.ones_like(snr), "eps": 1 / snr, "v": 1 - alpha_bar}[prediction]
        x_0_weight = {"v": 1 + snr, "clipped_v": (1 + snr).clamp(max=20)}[weighting]
        return x_0_weight * x_0_error

    def _signal_and_noise(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """sqrt(alpha_bar) and sqrt(1 - alpha_bar) of each picture in the batch, (B, 1, 1, 1) each."""
        alpha_bar = self.alpha_bar.to(t.device)[t][:, None, None, None]
        return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()


def _check(what: str, name: str, choices: tuple[str, ...]) -> None:
    if name not in choices:
        raise ValueError(f"{what} must be one of {', '.join(choices)}, not {name!r}")
