"""The denoiser: a U-Net that looks at a noisy picture, the time and the words, and says what the picture was.

A picture enters through `pixel_unshuffle`: each 2x2 square of pixels becomes one place with 12 channels, so
that the network works at 32x32, 16x16 and 8x8, where a CPU is fast. At the lowest resolution attention mixes
places and words. At the end the picture returns to full size, and two small convolutions there smooth the
seams.
Papers: Ronneberger et al. 2015 (U-Net), Ho et al. 2020 (DDPM), Rombach et al. 2022 (text by attention).

Shapes: B batch, C channels, H W height and width, L text tokens, D width of a text token, E embedding.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from .clip import Text
from .layers import WAVES, Attention, ResidualBlock, frame_waves, timestep_embedding
from .schedule import Schedule


@dataclass(frozen=True)
class UNetConfig:
    """Sizes of a denoiser. `widths`: channels at each resolution, each half the one before.

    `text_width` and `text_pooled` are 0 for a denoiser without text, and `layout`, how many numbers say what
    captions leave out, for one that is not told; the last three of them are a frame (see `Scene.layout`).
    `seen`: channels of what it is shown beside the noise, such as the known part of a picture (edit.py).
    `prediction` says what the network's output means: "eps", "x_0" or "v" (schedule.py). `log_snr_shift`
    belongs to the schedule it was trained with.
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
    layout: int = 0
    seen: int = 0
    prediction: str = "x_0"
    log_snr_shift: float = -1.0

    @cached_property
    def schedule(self) -> Schedule:
        """The noise schedule that the denoiser is trained with, and has to be asked with."""
        return Schedule.cosine().shifted(self.log_snr_shift)


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


class DownBlock(nn.Module):
    """One resolution on the way down: halve the picture (but for the first), then residual blocks."""

    def __init__(self, config: UNetConfig, channels_in: int, channels: int, downsample: bool, attend: bool):
        super().__init__()
        self.downsample = nn.Conv2d(channels_in, channels, 3, stride=2, padding=1) if downsample else None
        self.residuals = nn.ModuleList(
            ResidualBlock(channels, channels, config.embedding) for _ in range(config.blocks)
        )
        self.attentions = nn.ModuleList(
            TextAttention(channels, config.heads, config.text_width) for _ in range(config.blocks * attend)
        )

    def forward(self, x: Tensor, embedding: Tensor, text: Text | None) -> tuple[Tensor, list[Tensor]]:
        """(B, channels_in, H, W) -> (B, channels, H/2, W/2), and the skips that the way up will see again."""
        skips = []
        if self.downsample is not None:
            x = self.downsample(x)
            skips.append(x)
        for i, residual in enumerate(self.residuals):
            x = residual(x, embedding)
            if self.attentions:
                x = self.attentions[i](x, text)
            skips.append(x)
        return x, skips


class UpBlock(nn.Module):
    """One resolution on the way up: residual blocks that see the skips, then (but for the last) double it."""

    def __init__(
        self,
        config: UNetConfig,
        channels_in: int,
        skips: list[int],
        channels: int,
        upsample: bool,
        attend: bool,
    ):
        """skips: how many channels each skip has, in the order of use."""
        super().__init__()
        self.residuals = nn.ModuleList(
            ResidualBlock(below + skip, channels, config.embedding)
            for below, skip in zip([channels_in] + [channels] * config.blocks, skips, strict=True)
        )
        self.attentions = nn.ModuleList(
            TextAttention(channels, config.heads, config.text_width) for _ in range(len(skips) * attend)
        )
        self.upsample = nn.Upsample(scale_factor=2) if upsample else None

    def forward(self, x: Tensor, skips: list[Tensor], embedding: Tensor, text: Text | None) -> Tensor:
        """(B, channels_in, H, W) -> (B, channels, 2H, 2W); takes its skips from the end of the list."""
        for i, residual in enumerate(self.residuals):
            x = residual(torch.cat([x, skips.pop()], dim=1), embedding)
            if self.attentions:
                x = self.attentions[i](x, text)
        return x if self.upsample is None else self.upsample(x)


class UNet(nn.Module):
    """Down through the resolutions, across, and up again with what was seen on the way down."""

    def __init__(self, config: UNetConfig):
        super().__init__()
        self.config = config
        self.prediction = config.prediction
        widths, E, patch = config.widths, config.embedding, config.patch
        self.time = nn.Sequential(nn.Linear(widths[0], E), nn.SiLU(), nn.Linear(E, E))
        self.pooled = nn.Linear(config.text_pooled, E) if config.text_pooled else None
        self.layout = nn.Linear(config.layout, E) if config.layout else None

        self.conv_in = nn.Conv2d(config.channels * patch**2, widths[0], 3, padding=1)
        self.frame = nn.Conv2d(4 * WAVES, widths[0], 1) if config.layout else None
        self.seen = nn.Conv2d(config.seen * patch**2, widths[0], 3, padding=1) if config.seen else None
        if self.seen is not None:  # at the start it changes nothing: a trained denoiser goes on as it was
            nn.init.zeros_(self.seen.weight)
            nn.init.zeros_(self.seen.bias)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        lowest = len(widths) - 1
        skips = [widths[0]]  # channels of each skip, in the order in which the way down makes them
        for level, width in enumerate(widths):
            before = widths[max(0, level - 1)]
            self.down.append(DownBlock(config, before, width, downsample=level > 0, attend=level == lowest))
            skips += [width] * (config.blocks + (level > 0))
        self.middle = ResidualBlock(widths[-1], widths[-1], E)
        for level, width in reversed(list(enumerate(widths))):
            below = widths[min(lowest, level + 1)]
            wanted = [skips.pop() for _ in range(config.blocks + 1)]
            self.up.append(UpBlock(config, below, wanted, width, upsample=level > 0, attend=level == lowest))

        full = config.exit_channels
        self.to_pixels = nn.Sequential(
            nn.GroupNorm(8, widths[0]), nn.SiLU(), nn.Conv2d(widths[0], full * patch**2, 1)
        )
        self.conv_out = nn.Sequential(
            nn.Conv2d(full + config.channels, full, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(full, config.channels, 3, padding=1),
        )
        nn.init.zeros_(self.conv_out[-1].weight)
        nn.init.zeros_(self.conv_out[-1].bias)

    def forward(
        self,
        x_t: Tensor,
        t: Tensor,
        text: Text | None = None,
        layout: Tensor | None = None,
        seen: Tensor | None = None,
        control: list[Tensor] | None = None,
    ) -> Tensor:
        """x_t: (B, C, H, W); t: (B,) int64; text: of the same batch. Returns the prediction, shaped as x_t.

        layout: (B, config.layout), all zero where it is left to chance. seen: (B, config.seen, H, W).
        control: what to add to each skip and to the middle, see control.py. H and W must be multiples of
        patch * 2^(levels - 1).
        """
        embedding = self.embed(t, text, layout)
        x, skips = self.way_down(self.entered(x_t, layout, seen), embedding, text)
        if control is not None:
            skips = [skip + more for skip, more in zip(skips, control[:-1], strict=True)]
            x = x + control[-1]
        for block in self.up:
            x = block(x, skips, embedding, text)
        return self.finished(x, x_t)

    def embed(self, t: Tensor, text: Text | None, layout: Tensor | None) -> Tensor:
        """Time, text and layout as one vector, which modulates every block: (B, E)."""
        embedding = self.time(timestep_embedding(t, self.config.widths[0]))  # (B, E)
        if self.pooled is not None:
            pooled = F.normalize(text.pooled, dim=-1) * text.pooled.shape[-1] ** 0.5
            embedding = embedding + self.pooled(pooled)
        if layout is not None:
            embedding = embedding + self.layout(layout)
        return F.silu(embedding)

    def entered(
        self, x_t: Tensor, layout: Tensor | None, seen: Tensor | None = None, angle: Tensor | None = None
    ) -> Tensor:
        """What the first block works on: the noisy picture, where its places are, and what is shown beside
        it, (B, widths[0], H/patch, W/patch). angle: see `frame_waves`."""
        x = self.conv_in(F.pixel_unshuffle(x_t, self.config.patch))  # (B, widths[0], H/patch, W/patch)
        if layout is not None:
            x = x + self.frame(frame_waves(layout[:, -3:], *x.shape[2:], angle))
        if seen is not None:
            x = x + self.seen(F.pixel_unshuffle(seen, self.config.patch))
        return x

    def way_down(self, x: Tensor, embedding: Tensor, text: Text | None) -> tuple[Tensor, list[Tensor]]:
        """Down and across: what the way up begins with, and the skips that it will see again."""
        skips = [x]
        for block in self.down:
            x, seen = block(x, embedding, text)
            skips += seen
        return self.middle(x, embedding), skips

    def finished(self, x: Tensor, x_t: Tensor) -> Tensor:
        """From what the last block says of the noisy picture x_t to the prediction, (B, C, H, W)."""
        x = F.pixel_shuffle(self.to_pixels(x), self.config.patch)  # (B, exit_channels, H, W)
        return self.conv_out(torch.cat([x, x_t], dim=1))


def denoising_loss(
    model: UNet,
    schedule: Schedule,
    x_0: Tensor,
    text: Text | None,
    generator: Generator,
    weighting: str,
    bell: tuple[float, float] | None = None,
    t: Tensor | None = None,
    eps: Tensor | None = None,
    **told: Tensor,
) -> Tensor:
    """Noise a batch at random times and ask for what was there; the weighted mean squared error, a scalar.

    x_0: (B, C, H, W) of about unit scale; weighting: see `Schedule.loss_weight`, which raises ValueError for
    an unknown one; bell: see `Schedule.random_t`; t: (B,), the times, and eps, shaped as x_0, the noise, if
    not at random; told: what else the model is given.
    Source: Ho et al. 2020, algorithm 1.
    """
    if t is None:
        t = schedule.random_t(len(x_0), generator, bell)
    if eps is None:
        eps = torch.randn(x_0.shape, generator=generator)
    t, eps = t.to(x_0.device), eps.to(x_0.device)
    x_t = schedule.add_noise(x_0, eps, t)
    prediction = model(x_t, t, text, **told)
    error = (prediction - schedule.target(model.prediction, x_0, eps, t)).square().mean(dim=(1, 2, 3))  # (B,)
    return (schedule.loss_weight(t, model.prediction, weighting) * error).mean()
