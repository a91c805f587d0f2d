"""Words steer the samplers: guidance changes the denoiser's prediction, so it fits every sampler.

Paper: Ho & Salimans 2022 (classifier-free guidance).

Shapes: B batch, C channels, H W height, width.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .clip import Text
from .samplers import Denoise, denoiser_of
from .schedule import Schedule


def guided(
    model: nn.Module,
    schedule: Schedule,
    cond: Text,
    uncond: Text,
    guidance_scale: float,
    clamp: bool = True,
    **conditioning: Tensor | Callable,
) -> Denoise:
    """Classifier-free guidance: go further in the direction in which the words change the prediction.

    cond, uncond: text of the captions and of as many empty ones. guidance_scale s: 0 unconditional, 1
    conditional (one forward pass each), above 1 exaggerated (Ho & Salimans 2022, eq. 6, s = 1 + w). clamp:
    keep x_0_hat in [-1, 1]. conditioning: what the model is given with the words and without.
    """
    if guidance_scale in (0, 1):
        return denoiser_of(model, schedule, cond if guidance_scale == 1 else uncond, clamp, **conditioning)
    text = Text(*(torch.cat(pair) for pair in zip(uncond, cond, strict=True)))  # a batch of 2B
    twice = {k: torch.cat([v, v]) if isinstance(v, Tensor) else v for k, v in conditioning.items()}
    denoise_both = denoiser_of(model, schedule, text, clamp=False, **twice)

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        both = denoise_both(x_t.repeat(2, 1, 1, 1), t.repeat(2))  # (2B, C, H, W)
        x_0_hat_uncond, x_0_hat_cond = both.chunk(2)
        # eps_hat = eps_uncond + s (eps_cond - eps_uncond). At fixed x_t, x_0 = a x_t - b eps, so x_0_hat
        # = x_0_uncond - s b (eps_cond - eps_uncond) = x_0_uncond + s (x_0_cond - x_0_uncond)
        x_0_hat = x_0_hat_uncond + guidance_scale * (x_0_hat_cond - x_0_hat_uncond)
        return x_0_hat.clamp(-1, 1) if clamp else x_0_hat

    return denoise
