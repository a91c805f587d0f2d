"""The upscaler: a small picture in, the same picture four times as large out.

Bicubic enlarging already gets the smooth parts right, so the network learns what is missing: sharp edges. It
works at the small size, where a convolution is cheap, and turns each pixel into 4 x 4 at the very end.

Papers: Lim et al. 2017 (EDSR: residual blocks without batch norm, L1 loss), Shi et al. 2016 (pixel shuffle),
Keys 1981 (bicubic).

Shape letters: B batch, C width, H and W height and width of the small picture, S scale (4).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .images import to_uint8
from .layers import zeroed
from .utils import progress


@dataclass(frozen=True)
class UpscalerConfig:
    """Sizes of the upscaler; the default has 249k parameters."""

    width: int = 40
    blocks: int = 8
    scale: int = 4


def bicubic(pictures: Tensor, height: int, width: int) -> Tensor:
    """Resize by bicubic interpolation, with antialiasing when it shrinks: what PIL's BICUBIC computes.

    pictures: (B, 3, H, W) in [-1, 1]. Returns (B, 3, height, width), beyond [-1, 1] beside hard edges.
    """
    return F.interpolate(pictures, size=(height, width), mode="bicubic", antialias=True)


class EDSRBlock(nn.Module):
    """EDSR's block (Lim et al. 2017, fig. 2c); a batch norm would only take range away from the features."""

    def __init__(self, width: int):
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        # x + conv(relu(conv(x)))
        return x + self.conv2(F.relu(self.conv1(x)))  # (B, C, H, W)


class Upscaler(nn.Module):
    """Bicubic enlarging plus a learned correction."""

    def __init__(self, config: UpscalerConfig = UpscalerConfig()):
        super().__init__()
        self.config = config
        self.head = nn.Conv2d(3, config.width, 3, padding=1)
        self.blocks = nn.Sequential(*[EDSRBlock(config.width) for _ in range(config.blocks)])
        # With a correction of zero an untrained network is bicubic, so training can only add to it.
        self.tail = zeroed(nn.Conv2d(config.width, 3 * config.scale**2, 3, padding=1))

    @property
    def reach(self) -> int:
        """How many small pixels away from its own position an output pixel still looks."""
        # Every 3x3 convolution adds 1: head, two a block, tail. (Bicubic's own reach is 2, which is no more.)
        return 2 + 2 * self.config.blocks

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge S times; training needs the answer unclamped, everyone else calls `upscale`.

        x: (B, 3, H, W) in [-1, 1]. Returns (B, 3, S*H, S*W), about [-1, 1].
        """
        scale = self.config.scale
        x = x.contiguous(memory_format=torch.channels_last)  # the same numbers; CPU convolutions run faster
        base = bicubic(x, scale * x.shape[-2], scale * x.shape[-1])  # (B, 3, S*H, S*W)
        features = self.head(x)  # (B, C, H, W)
        features = features + self.blocks(features)
        correction = F.pixel_shuffle(self.tail(features), scale)  # (B, 3*S*S, H, W) -> (B, 3, S*H, S*W)
        return base + correction


@torch.no_grad()
def upscale(model: Upscaler, x: Tensor, tile: int = 256, eight_bits: bool = False, desc: str = "") -> Tensor:
    """Enlarge a picture of any size, tile by tile so that memory stays small.

    Each tile is enlarged together with a margin as wide as the network can see, and the margin is cut off
    again. So no output pixel can tell that there are tiles, and there are no seams.

    x: (B, 3, H, W) in [-1, 1]. Returns (B, 3, S*H, S*W) in [-1, 1]; with eight_bits uint8, which takes a
    quarter of the memory. desc: what to write beside a progress bar.
    """
    (height, width), scale, margin = x.shape[-2:], model.config.scale, model.reach
    dtype = torch.uint8 if eight_bits else x.dtype
    large = torch.empty(len(x), 3, scale * height, scale * width, dtype=dtype, device=x.device)
    corners = [(top, left) for top in range(0, height, tile) for left in range(0, width, tile)]
    for top, left in progress(corners, desc):
        bottom, right = min(top + tile, height), min(left + tile, width)
        above, before = min(top, margin), min(left, margin)  # no margin beyond the picture's edge
        enlarged = model(x[:, :, top - above : bottom + margin, left - before : right + margin])
        inside = enlarged[:, :, scale * above :, scale * before :]
        inside = inside[:, :, : scale * (bottom - top), : scale * (right - left)].clamp(-1, 1)
        inside = to_uint8(inside) if eight_bits else inside
        large[:, :, scale * top : scale * bottom, scale * left : scale * right] = inside
    return large
