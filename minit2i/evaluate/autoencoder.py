"""What does the autoencoder keep, does it use all that it has, and is what lies between two latents sound?"""

import torch
from torch import Tensor

from minit2i.autoencoder import Autoencoder
from minit2i.images import to_float
from minit2i.utils import device_of, in_batches

from .metrics import psnr


@torch.no_grad()
def measure_autoencoder(model: Autoencoder, pixels: Tensor) -> dict:
    """The figures for pictures, uint8 (N, 3, H, W), N even.

    psnr: between pictures and what comes back, in decibels, on red, green and blue. least_channel: by how
    much it falls without the channel that is missed least. halfway: how much edge, in the mean, is in a
    picture halfway between two latents, as a share of that in the two; more than 1 would be clutter that is
    in neither.
    """
    x = to_float(pixels.to(device_of(model)))
    z = in_batches(model.encode, x)
    back = in_batches(model.decode, z).clamp(-1, 1)
    whole = psnr(back, x, colour=True).mean().item()
    fallen = []
    for channel in range(z.shape[1]):
        without = z.clone()
        without[:, channel] = 0
        spoilt = in_batches(model.decode, without).clamp(-1, 1)
        fallen.append(whole - psnr(spoilt, x, colour=True).mean().item())
    one, other = z.chunk(2)
    halfway = in_batches(model.decode, (one + other) / 2).clamp(-1, 1)
    return {
        "psnr": whole,
        "least_channel": min(fallen),
        "halfway": (edges(halfway) / edges(x)).item(),
        "n": len(x),
    }


def edges(x: Tensor) -> Tensor:
    """The mean slope from a pixel to its neighbours, a scalar."""
    return x.diff(dim=2).abs().mean() + x.diff(dim=3).abs().mean()
