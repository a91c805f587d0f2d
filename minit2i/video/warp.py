"""Where a scene stands in a frame, and how a picture, features or noise are warped as it moves.

A pose says of a scene x and y of its middle and its size, as fractions of the frame, as in `Scene`, and the
angle by which it is turned clockwise, in radians: (N, POSE) for N frames.
"""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


def look_at(had: Tensor, wanted: Tensor, H: int, W: int) -> Tensor:
    """Where to look in a frame whose scene stands as it `had`, to see it as `wanted`: (N, H, W, 2).

    had, wanted: (N, POSE), float32, sizes above 0. Returns across and down, from -1 to 1 within the frame.
    """
    # p looks at  xy_had + size_had / size_wanted R(angle_had - angle_wanted) (p - xy_wanted)
    factor, angle = had[:, 2] / wanted[:, 2], had[:, 3] - wanted[:, 3]
    cos, sin = ((factor * wave)[:, None, None] for wave in (angle.cos(), angle.sin()))
    # Poses measure in widths of the frame, and this in halves of it
    (x_had, y_had), (x_wanted, y_wanted) = ((2 * pose[:, :2, None, None]).unbind(1) for pose in (had, wanted))
    across, down = ((2 * torch.arange(n, device=had.device, dtype=had.dtype) + 1) / n - 1 for n in (W, H))
    x, y = across[None, None, :] - x_wanted, down[None, :, None] - y_wanted
    return torch.stack([x_had + cos * x - sin * y, y_had + sin * x + cos * y], dim=-1)


def warp(x: Tensor, had: Tensor, wanted: Tensor) -> Tensor:
    """Pictures or features (N, C, H, W) whose scenes stand as they `had`, warped to poses `wanted`.

    had, wanted: (N, POSE), or one for all, (POSE,). What comes in from outside is what is at the edge.
    """
    poses = (pose.to(x.device, torch.float32).expand(len(x), -1) for pose in (had, wanted))
    return F.grid_sample(x.float(), look_at(*poses, *x.shape[2:]), align_corners=False, padding_mode="border")


def warp_along(picture: Tensor, path: Tensor) -> Tensor:
    """A picture (C, H, W), warped along a path (F, POSE) that begins at its scene: (F, C, H, W)."""
    return warp(picture.expand(len(path), -1, -1, -1), path[0], path)


def moving_noise(poses: Tensor, shape: tuple[int, int, int], generator: Generator) -> Tensor:
    """Noise for the frames of videos that moves along with the scene: (B F, C, H, W), on the CPU.

    Each frame looks at one large canvas of noise of its video, from where its scene stands. It takes the
    nearest number each time: a mean of several would be weaker noise. So each frame is N(0, I), but where a
    turned frame takes a number twice. poses: (B, F, POSE); shape: C, H, W.
    Papers: Ge et al. 2023 (frames share noise), Chang et al. 2024 (noise moves along).
    """
    (B, frames, _), (C, H, W) = poses.shape, shape
    canvas = torch.randn(B, C, 2 * H, 2 * W, generator=generator, dtype=torch.float32, device="cpu")
    poses = poses.float().cpu()
    # The canvas is seen as in the frame where the scene is largest: from all others more of it is seen, so
    # that no number has to serve two positions
    had = torch.zeros_like(poses)
    had[..., 2] = poses[..., 2].amax(dim=1, keepdim=True)
    across, down = look_at(had.flatten(0, 1), poses.flatten(0, 1), H, W).unbind(-1)  # (B F, H, W)
    # The frame is the middle of the canvas, which begins anew beyond its edges
    column = ((across + 2) * W / 2).floor().long() % (2 * W)
    row = ((down + 2) * H / 2).floor().long() % (2 * H)
    index = (row * 2 * W + column).view(B, 1, -1).expand(-1, C, -1)  # (B, C, F H W)
    return canvas.flatten(2).gather(2, index).view(B, C, frames, H, W).transpose(1, 2).flatten(0, 1)
