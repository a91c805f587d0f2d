"""Layers along time: a denoiser of pictures, which stays as it is, becomes one of videos.

Each frame goes through the picture denoiser, whose waves are turned as far as the scene is. After each of its
blocks stand two new layers: one looks at its own frame and is given its angle, one looks at the same part of
the scene in all frames. They give zero at first: training begins with the picture denoiser, frame by frame.
Papers: Guo et al. 2023 (AnimateDiff), Geyer et al. 2023 (TokenFlow, features that follow what moves).

Shapes: B videos, F frames of each, C channels, H W height and width; frames of all videos stand in one row,
(B F, C, H, W), video by video.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from minit2i.clip import Text
from minit2i.layers import WAVES, Attention, ResidualBlock, frame_waves, timestep_embedding, zeroed
from minit2i.unet import BlockInputs, UNet, UNetConfig
from minit2i.utils import device_of
from minit2i.world.scenes import FRAMES, UPRIGHT

from .warp import warp


@dataclass(frozen=True)
class TemporalConfig:
    """Sizes of the layers. `widths`: channels behind each block of the denoiser; `entry`: before the first;
    `cond_width`: of its embedding of time, words and layout; `embedding`: of the same with the angle."""

    widths: tuple[int, ...] = (64, 128, 128, 128, 64)
    entry: int = 64
    cond_width: int = 256
    heads: int = 4
    embedding: int = 96

    @classmethod
    def of(cls, denoiser: UNetConfig) -> "TemporalConfig":
        """Those that fit this denoiser, with its blocks down, across and up."""
        down = denoiser.widths
        return cls((*down, down[-1], *reversed(down)), entry=down[0], cond_width=denoiser.embedding)


class AlongTime(nn.Module):
    """What one block has made of each frame, looked at once more: in its frame, then through all frames."""

    def __init__(self, channels: int, heads: int, embedding: int):
        super().__init__()
        self.within = ResidualBlock(channels, channels, embedding)
        self.norm = nn.GroupNorm(8, channels)
        self.attention = Attention(channels, heads)
        zeroed(self.attention.out)

    def forward(self, x: Tensor, turned: Tensor, poses: Tensor, moments: Tensor) -> Tensor:
        """x: (B F, C, H, W); turned: (B F, embedding), see `TemporalLayers.turn`; poses: (B F, POSE);
        moments: (F,), when each frame is. Returns the same shape as x."""
        x = self.within(x, turned)
        (_, C, H, W), frames, upright = x.shape, len(moments), poses.new_tensor(UPRIGHT)
        # An eye is elsewhere in each frame. Warped to one pose, it is at the same position in all of them
        still = warp(self.norm(x), poses, upright)
        # Attention runs along time: every position of every video is a sequence of its own, (B H W, F, C)
        rows = still.view(-1, frames, C, H * W).permute(0, 3, 1, 2).reshape(-1, frames, C)
        # Without an embedding of time, frames shuffled would give answers shuffled: no order could be told
        added = self.attention(rows + timestep_embedding(moments, C))
        added = added.view(-1, H * W, frames, C).permute(0, 2, 3, 1).reshape(x.shape)
        return x + warp(added, upright, poses)


class TemporalLayers(nn.Module):
    """All that is new, apart from the denoiser: one pair of layers behind each of its blocks (`along`), the
    angle for them (`turn`), and where each position lies in the scene, upright and turned (`waves`)."""

    def __init__(self, config: TemporalConfig):
        super().__init__()
        self.config = config
        E = config.embedding
        self.turn = nn.Sequential(nn.Linear(config.cond_width + 2, E), nn.SiLU(), nn.Linear(E, E), nn.SiLU())
        self.waves = zeroed(nn.Conv2d(8 * WAVES, config.entry, 1))
        self.along = nn.ModuleList(AlongTime(width, config.heads, E) for width in config.widths)


class VideoDenoiser(nn.Module):
    """A picture denoiser with layers along time."""

    def __init__(self, denoiser: UNet, layers: TemporalLayers, moments: Sequence[int] = range(FRAMES)):
        """moments: when the frames are that it is given; a video need not be whole."""
        super().__init__()
        self.denoiser, self.layers = denoiser, layers
        self.register_buffer("moments", torch.tensor(moments, device=device_of(denoiser)), persistent=False)
        self.config, self.prediction = denoiser.config, denoiser.prediction

    def forward(self, x_t: Tensor, t: Tensor, text: Text, layout: Tensor, angle: Tensor) -> Tensor:
        """As the denoiser's, of frames (B F, C, H, W). layout: (B F, LAYOUT) and angle: (B F,), in radians,
        say where the scene is in each frame, which may not be left to chance here, and how far it is turned.
        """
        net, layers, moments = self.denoiser, self.layers, self.moments
        embedding = net.embed(t, text, layout)
        turned = layers.turn(torch.cat([embedding, angle.sin()[:, None], 1 - angle.cos()[:, None]], dim=1))
        poses = torch.cat([layout[:, -3:], angle[:, None]], dim=1)
        x = net.enter(x_t, layout, angle=angle)
        # By waves the denoiser knows which part of the scene each position is, so they turn with the head.
        # These, through a convolution that starts at zero, say where each position lies upright and turned
        waves = [frame_waves(layout[:, -3:], *x.shape[2:], by) for by in (None, angle)]
        x, along = x + layers.waves(torch.cat(waves, dim=1)), iter(layers.along)
        inputs = BlockInputs(embedding, text, after_block=lambda x: next(along)(x, turned, poses, moments))
        return net.leave(net.decode(*net.encode(x, inputs), inputs), x_t)
