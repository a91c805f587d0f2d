"""The denoiser: a U-Net that looks at a noisy picture, the time and the words, and says what the picture was.

A picture enters through `pixel_unshuffle`: each 2x2 square of pixels becomes one position with 12 channels,
so that the network works at 32x32, 16x16 and 8x8, where a CPU is fast. At the lowest resolution attention
mixes positions and words. At the end the picture returns to full size, where two small convolutions smooth
the seams.
Papers: Ronneberger et al. 2015 (U-Net), Ho et al. 2020 (DDPM), Rombach et al. 2022 (text by attention).

Shapes: B batch, C channels, H W height and width, L text tokens, D width of a text token, E embedding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from .clip import Text
from .layers import WAVES, Attention, AttentionHook, ResidualBlock, frame_waves, timestep_embedding, zeroed
from .schedule import Schedule


@dataclass(frozen=True)
class UNetConfig:
    """Sizes of a denoiser. `widths`: channels at each resolution, each half the one before.

    `text_width` and `text_pooled` are 0 for a denoiser without text, and `layout`, how many numbers say what
    captions leave out, for one without; the last three of them are a frame (see `frame_waves`).
    `inpaint_cond`: channels of the known part of a picture, for one that inpaints (edit/editor.py).
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
    inpaint_cond: int = 0
    prediction: str = "x_0"
    log_snr_shift: float = -1.0

    @cached_property
    def schedule(self) -> Schedule:
        """The noise schedule that the denoiser is trained with, and has to be asked with."""
        return Schedule.cosine().shifted(self.log_snr_shift)


class BlockInputs(NamedTuple):
    """What every block is given beside the picture: time, text and layout as one vector (B, E); the text;
    and what a caller hooks in: see `Attention`, and what becomes of a block's output."""

    embedding: Tensor
    text: Text | None
    attention_hook: AttentionHook | None = None
    after_block: Callable[[Tensor], Tensor] | None = None


class TextAttention(nn.Module):
    """Each position in the picture attends to all positions and all words, then adds what it learnt."""

    def __init__(self, channels: int, heads: int, text_width: int):
        super().__init__()
        self.norm = nn.GroupNorm(8, channels)
        self.attention = Attention(channels, heads, text_width or None)

    def forward(self, x: Tensor, inputs: BlockInputs) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        B, C, H, W = x.shape
        positions = self.norm(x).flatten(2).transpose(1, 2)  # (B, HW, C)
        words = (None, None) if inputs.text is None else (inputs.text.tokens, inputs.text.mask)
        attended = self.attention(positions, *words, hook=inputs.attention_hook)
        return x + attended.transpose(1, 2).reshape(B, C, H, W)


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

    def forward(self, x: Tensor, inputs: BlockInputs) -> tuple[Tensor, list[Tensor]]:
        """(B, channels_in, H, W) -> (B, channels, H/2, W/2), and the skips that the way up will see again."""
        skips = []
        if self.downsample is not None:
            x = self.downsample(x)
            skips.append(x)
        for i, residual in enumerate(self.residuals):
            x = residual(x, inputs.embedding)
            if self.attentions:
                x = self.attentions[i](x, inputs)
            skips.append(x)
        if inputs.after_block is not None:
            x = skips[-1] = inputs.after_block(x)
        return x, skips


class UpBlock(nn.Module):
    """One resolution on the way up: residual blocks that see the skips, then (but for the last) double it."""

    def __init__(self, config: UNetConfig, inputs: list[int], channels: int, upsample: bool, attend: bool):
        """inputs: how many channels each residual block sees, its skip included."""
        super().__init__()
        self.residuals = nn.ModuleList(ResidualBlock(n, channels, config.embedding) for n in inputs)
        self.attentions = nn.ModuleList(
            TextAttention(channels, config.heads, config.text_width) for _ in range(len(inputs) * attend)
        )
        self.upsample = nn.Upsample(scale_factor=2) if upsample else None

    def forward(self, x: Tensor, skips: list[Tensor], inputs: BlockInputs) -> Tensor:
        """(B, channels_in, H, W) -> (B, channels, 2H, 2W); takes its skips from the end of the list."""
        for i, residual in enumerate(self.residuals):
            x = residual(torch.cat([x, skips.pop()], dim=1), inputs.embedding)
            if self.attentions:
                x = self.attentions[i](x, inputs)
        if inputs.after_block is not None:
            x = inputs.after_block(x)
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
        self.inpaint_cond = None
        if config.inpaint_cond:  # zero at first: a trained denoiser goes on as it was
            self.inpaint_cond = zeroed(nn.Conv2d(config.inpaint_cond * patch**2, widths[0], 3, padding=1))
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        lowest = len(widths) - 1
        skips = [widths[0]]  # channels of each skip, in the order in which the way down makes them
        for level, width in enumerate(widths):
            before = widths[max(0, level - 1)]
            self.down.append(DownBlock(config, before, width, downsample=level > 0, attend=level == lowest))
            skips += [width] * (config.blocks + (level > 0))
        self.middle = ResidualBlock(widths[-1], widths[-1], E)
        for level, width in reversed(list(enumerate(widths))):
            below = [widths[min(lowest, level + 1)], *[width] * config.blocks]
            seen = [channels + skips.pop() for channels in below]
            self.up.append(UpBlock(config, seen, width, upsample=level > 0, attend=level == lowest))

        full = config.exit_channels
        self.to_pixels = nn.Sequential(
            nn.GroupNorm(8, widths[0]), nn.SiLU(), nn.Conv2d(widths[0], full * patch**2, 1)
        )
        self.conv_out = nn.Sequential(
            nn.Conv2d(full + config.channels, full, 3, padding=1),
            nn.SiLU(),
            zeroed(nn.Conv2d(full, config.channels, 3, padding=1)),
        )

    def forward(
        self,
        x_t: Tensor,
        t: Tensor,
        text: Text | None = None,
        layout: Tensor | None = None,
        inpaint_cond: Tensor | None = None,
        residuals: list[Tensor] | None = None,
        attention_hook: AttentionHook | None = None,
    ) -> Tensor:
        """x_t: (B, C, H, W); t: (B,) int64; text: of the same batch. Returns the prediction, shaped as x_t.

        layout: (B, config.layout), all zero where it is left to chance. inpaint_cond: (B,
        config.inpaint_cond, H, W). residuals: what to add to each skip and, last, to the middle, as a
        ControlNet does. attention_hook: see `Attention`. H and W must be multiples of patch * 2^(levels - 1).
        """
        inputs = BlockInputs(self.embed(t, text, layout), text, attention_hook)
        x, skips = self.encode(self.enter(x_t, layout, inpaint_cond), inputs)
        if residuals is not None:
            skips = [skip + residual for skip, residual in zip(skips, residuals[:-1], strict=True)]
            x = x + residuals[-1]
        return self.leave(self.decode(x, skips, inputs), x_t)

    def embed(self, t: Tensor, text: Text | None, layout: Tensor | None) -> Tensor:
        """Time, text and layout as one vector, which modulates every block: (B, E)."""
        embedding = self.time(timestep_embedding(t, self.config.widths[0]))  # (B, E)
        if self.pooled is not None:
            pooled = F.normalize(text.pooled, dim=-1) * text.pooled.shape[-1] ** 0.5
            embedding = embedding + self.pooled(pooled)
        if layout is not None:
            embedding = embedding + self.layout(layout)
        return F.silu(embedding)

    def enter(
        self,
        x_t: Tensor,
        layout: Tensor | None,
        inpaint_cond: Tensor | None = None,
        angle: Tensor | None = None,
    ) -> Tensor:
        """What the first block works on, (B, widths[0], H/patch, W/patch): the noisy picture, where its
        positions are in the frame, and what is known of it. angle: see `frame_waves`."""
        x = self.conv_in(F.pixel_unshuffle(x_t, self.config.patch))
        if layout is not None:
            x = x + self.frame(frame_waves(layout[:, -3:], *x.shape[2:], angle))
        if inpaint_cond is not None:
            x = x + self.inpaint_cond(F.pixel_unshuffle(inpaint_cond, self.config.patch))
        return x

    def encode(self, x: Tensor, inputs: BlockInputs) -> tuple[Tensor, list[Tensor]]:
        """Down and across: what `decode` begins with, and the skips that it will see again."""
        skips = [x]
        for block in self.down:
            x, more = block(x, inputs)
            skips += more
        x = self.middle(x, inputs.embedding)
        return (x if inputs.after_block is None else inputs.after_block(x)), skips

    def decode(self, x: Tensor, skips: list[Tensor], inputs: BlockInputs) -> Tensor:
        """Up again, with the skips: (B, widths[0], H/patch, W/patch)."""
        skips = list(skips)
        for block in self.up:
            x = block(x, skips, inputs)
        return x

    def leave(self, x: Tensor, x_t: Tensor) -> Tensor:
        """From what the last block says of the noisy picture x_t to the prediction, (B, C, H, W)."""
        x = F.pixel_shuffle(self.to_pixels(x), self.config.patch)  # (B, exit_channels, H, W)
        return self.conv_out(torch.cat([x, x_t], dim=1))


def denoising_loss(
    model: nn.Module,
    schedule: Schedule,
    x_0: Tensor,
    text: Text | None,
    generator: Generator,
    weighting: str,
    logit_normal: tuple[float, float] | None = None,
    noise: tuple[Tensor, Tensor] | None = None,
    **conditioning: Tensor,
) -> Tensor:
    """Noise a batch at random times and ask for what was there; the weighted mean squared error, a scalar.

    x_0: (B, C, H, W) of about unit scale; weighting: see `Schedule.loss_weight`, which raises ValueError for
    an unknown one; logit_normal: see `Schedule.random_t`; noise: t (B,) and eps, shaped as x_0, if not at
    random; conditioning: what else the model is given.
    Source: Ho et al. 2020, algorithm 1.
    """
    if noise is None:
        t = schedule.random_t(len(x_0), generator, logit_normal)
        noise = t, torch.randn(x_0.shape, generator=generator)
    t, eps = (part.to(x_0.device) for part in noise)
    x_t = schedule.add_noise(x_0, eps, t)
    prediction = model(x_t, t, text, **conditioning)
    error = (prediction - schedule.target(model.prediction, x_0, eps, t)).square().mean(dim=(1, 2, 3))  # (B,)
    return (schedule.loss_weight(t, model.prediction, weighting) * error).mean()
