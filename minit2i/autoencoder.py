"""The autoencoder: a picture encoded in a sixth of its numbers, and decoded again.

Most of a picture says little: plain areas, soft shading. A network learns to keep what matters, at 16x16
positions of 8 numbers each instead of 64x64 pixels of 3: the latents z. A denoiser of latents has far less to
compute, and need not draw single pixels; the decoder knows how edges look.
Paper: Rombach et al. 2022 (latent diffusion); Hinton & Salakhutdinov 2006 (autoencoders).

Shapes: B batch, C channels, H W height, width of a picture, Z channels of its latents, P patch (4).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import ResidualBlock


@dataclass(frozen=True)
class AutoencoderConfig:
    """Sizes of both halves. `patch`: how many pixels, in each direction, become one position."""

    channels: int = 3
    latent_channels: int = 8
    patch: int = 4
    width: int = 96
    encoder_blocks: int = 1
    decoder_blocks: int = 2
    exit_channels: int = 16


class Autoencoder(nn.Module):
    """Encoder and decoder, both convolutional: they take pictures of any size that `patch` divides."""

    def __init__(self, config: AutoencoderConfig):
        super().__init__()
        self.config = config
        C, Z, P = config.channels, config.latent_channels, config.patch
        width, full = config.width, config.exit_channels
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(P),
            nn.Conv2d(C * P**2, width, 3, padding=1),
            *(ResidualBlock(width, width) for _ in range(config.encoder_blocks)),
            nn.GroupNorm(8, width),
            nn.SiLU(),
            nn.Conv2d(width, Z, 1),
            # Each channel with mean 0 and variance 1, so that noise of one strength hides all alike
            nn.BatchNorm2d(Z, affine=False, momentum=0.01),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(Z, width, 3, padding=1),
            *(ResidualBlock(width, width) for _ in range(config.decoder_blocks)),
            nn.GroupNorm(8, width),
            nn.SiLU(),
            nn.Conv2d(width, full * P**2, 1),
            nn.PixelShuffle(P),
            nn.Conv2d(full, full, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(full, C, 3, padding=1),
        )

    def encode(self, x: Tensor) -> Tensor:
        """Pictures (B, C, H, W) in [-1, 1] -> latents (B, Z, H/P, W/P), of about unit scale."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Latents (B, Z, H/P, W/P) -> pictures (B, C, H, W), in about [-1, 1]: clamp them to show them."""
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        """What is left of pictures (B, C, H, W) in [-1, 1] after both halves; the same shape."""
        return self.decode(self.encode(x))


def reconstruction_loss(x_hat: Tensor, x: Tensor) -> Tensor:
    """How far pictures (B, C, H, W) are from those that they should be, and their edges; a scalar.

    The mean distance alone forgives a soft edge, which is wrong in few pixels only. The squares do not, since
    there it is very wrong, nor do the slopes, from each pixel to its neighbours (Mathieu et al. 2016,
    "gradient difference loss").
    """
    edges = sum(F.l1_loss(x_hat.diff(dim=dim), x.diff(dim=dim)) for dim in (2, 3))
    return F.l1_loss(x_hat, x) + 4 * F.mse_loss(x_hat, x) + 0.5 * edges


def false_colours(z: Tensor) -> Tensor:
    """Three channels of latents (B, Z, H, W) as red, green and blue: (B, 3, H, W) in [-1, 1]."""
    return (z[:, :3] / 3).clamp(-1, 1)


def noised(z: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Latents with noise of this standard deviation, so that near latents mean alike pictures."""
    return z + strength * torch.randn(z.shape, generator=generator).to(z.device)
