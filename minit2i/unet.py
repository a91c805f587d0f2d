"""The denoiser: a U-Net that looks at a noisy picture, the time and the words, and says what the picture was.

A picture enters through `pixel_unshuffle`: each 2x2 square of pixels becomes one place with 12 channels, so
that the network works at 32x32, 16x16 and 8x8, where a CPU is fast. Attention at the lowest resolution mixes places
and words. At the exit the picture returns to full size, and two small convolutions there smooth the seams.
Papers: Ronneberger et al. 2015 (U-Net), Ho et al. 2020 (DDPM), Rombach et al. 2022 (text by attention).

Shapes: B batch, C channels, H W height and width, L text tokens, D width of a text token, E embedding.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from .clip import Text
from .layers import Attention, ResidualBlock, timestep_embedding
from .schedule import Schedule


@dataclass(frozen=True)
class UNetConfig:
    """Sizes of a denoiser. `widths`: channels at each resolution, each half the one before.

    `text_width` and `text_pooled` are 0 for a denoiser that hears no words. `prediction` says what the network's
    output means: "eps", "x_0" or "v" (schedule.py). `log_snr_shift` belongs to the schedule it was trained with.
    """

    channels: int = 3
    picture_size: int = 64
    patch: int = 2
    widths: tuple[int, ...] = (32, 64, 128)
    blocks: int = 1
    heads: int = 4
    embedding: int = 256
    exit_channels: int = 8
    text_width: int = 128
    text_pooled: int = 128
    prediction: str = "x_0"
    log_snr_shift: float = -1.0


class TextAttention(nn.Module):
    """Each place in the picture looks at all other places and at all words, then adds what it learnt."""

    def __init__(self, channels: int, heads: int, text_width: int):
        super().__init__()
        self.norm = nn.GroupNorm(8, channels)
        self.attention = Attention(channels, heads, text_width or None)

    def forward(self, x: Tensor, text: Text | None) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        B, C, H, W = x.shape
        places = self.norm(x).flatten(2).transpose(1, 2)  # (B, HW, C)
        words = (text.tokens, text.mask) if text is not None else (None, None)
        return x + self.attention(places, *words).transpose(1, 2).reshape(B, C, H, W)


class UNet(nn.Module):
    """Down through the resolutions, across with attention, and up again with what was seen on the way down."""

    def __init__(self, config: UNetConfig):
        super().__init__()
        self.config = config
        self.prediction = config.prediction
        widths, E, patch = config.widths, config.embedding, config.patch
        self.time = nn.Sequential(nn.Linear(widths[0], E), nn.SiLU(), nn.Linear(E, E))
        self.pooled = nn.Linear(config.text_pooled, E) if config.text_pooled else None

        def attend(level: int) -> nn.Module | None:
            lowest = level == len(widths) - 1
            return TextAttention(widths[level], config.heads, config.text_width) if lowest else None

        self.enter = nn.Conv2d(config.channels * patch**2, widths[0], 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        seen = [widths[0]]  # channels of each picture kept for the way up
        for level, width in enumerate(widths):
            if level > 0:
                self.down.append(
                    nn.ModuleDict({"shrink": nn.Conv2d(widths[level - 1], width, 3, stride=2, padding=1)})
                )
                seen.append(width)
            for _ in range(config.blocks):
                self.down.append(
                    nn.ModuleDict({"block": ResidualBlock(width, width, E), "attend": attend(level)})
                )
                seen.append(width)
        self.middle = ResidualBlock(widths[-1], widths[-1], E)
        for level, width in reversed(list(enumerate(widths))):
            for i in range(config.blocks + 1):
                below = widths[level + 1] if i == 0 and level + 1 < len(widths) else width
                self.up.append(
                    nn.ModuleDict(
                        {"block": ResidualBlock(below + seen.pop(), width, E), "attend": attend(level)}
                    )
                )
            if level > 0:
                self.up.append(nn.ModuleDict({"grow": nn.Upsample(scale_factor=2)}))

        full = config.exit_channels
        self.leave = nn.Sequential(
            nn.GroupNorm(8, widths[0]), nn.SiLU(), nn.Conv2d(widths[0], full * patch**2, 1)
        )
        self.finish = nn.Sequential(
            nn.Conv2d(full + config.channels, full, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(full, config.channels, 3, padding=1),
        )
        nn.init.zeros_(self.finish[-1].weight)
        nn.init.zeros_(self.finish[-1].bias)

    def forward(self, x_t: Tensor, t: Tensor, text: Text | None = None) -> Tensor:
        """x_t: (B, C, H, W); t: (B,) int64; text: of the same batch. Returns the prediction, shaped as x_t.

        H and W must be multiples of patch * 2^(levels - 1).
        """
        embedding = self.time(timestep_embedding(t, self.config.widths[0]))  # (B, E)
        if self.pooled is not None:
            embedding = embedding + self.pooled(
                F.normalize(text.pooled, dim=-1) * text.pooled.shape[-1] ** 0.5
            )
        embedding = F.silu(embedding)

        x = self.enter(F.pixel_unshuffle(x_t, self.config.patch))  # (B, widths[0], H/patch, W/patch)
        kept = [x]
        for step in self.down:
            if "shrink" in step:
                x = step["shrink"](x)
            else:
                x = self._block(step, x, embedding, text)
            kept.append(x)
        x = self.middle(x, embedding)
        for step in self.up:
            if "grow" in step:
                x = step["grow"](x)
            else:
                x = self._block(step, torch.cat([x, kept.pop()], dim=1), embedding, text)
        x = F.pixel_shuffle(self.leave(x), self.config.patch)  # (B, exit_channels, H, W)
        return self.finish(torch.cat([x, x_t], dim=1))

    def _block(self, step: nn.ModuleDict, x: Tensor, embedding: Tensor, text: Text | None) -> Tensor:
        x = step["block"](x, embedding)
        return step["attend"](x, text) if step["attend"] is not None else x


def denoising_loss(
    model: UNet, schedule: Schedule, x_0: Tensor, text: Text | None, generator: Generator, weighting: str
) -> Tensor:
    """Noise a batch at random times and ask for what was there; the weighted mean squared error, a scalar.

    x_0: (B, C, H, W) in [-1, 1]; weighting: see `Schedule.loss_weight`. Source: Ho et al. 2020, algorithm 1.
    """
    t = schedule.random_t(len(x_0), generator)
    eps = torch.randn(x_0.shape, generator=generator)
    x_t = schedule.add_noise(x_0, eps, t)
    prediction = model(x_t, t, text)
    error = (prediction - schedule.target(model.prediction, x_0, eps, t)).square().mean(dim=(1, 2, 3))  # (B,)
    return (schedule.loss_weight(t, model.prediction, weighting) * error).mean()
