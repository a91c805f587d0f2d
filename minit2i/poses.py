"""Where a scene stands in a frame, and a picture, features or noise carried along as it moves.

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
    cos, sin = factor * angle.cos(), factor * angle.sin()
    turn = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], dim=1)  # (N, 2, 2)
    with torch.autocast(had.device.type, enabled=False):  # places need all their bits
        shift = had[:, :2, None] - turn @ wanted[:, :2, None]
        # Poses measure in widths of the frame, and this in halves of it
        return F.affine_grid(torch.cat([turn, 2 * shift], dim=2), [len(had), 1, H, W], align_corners=False)


def reposed(x: Tensor, had: Tensor, wanted: Tensor) -> Tensor:
    """Pictures or features (N, C, H, W) whose scenes stand as they `had`, carried over to poses `wanted`.

    had, wanted: (N, POSE), or one for all, (POSE,). What comes in from outside is what is at the edge.
    """
    poses = (pose.to(x.device, torch.float32).expand(len(x), -1) for pose in (had, wanted))
    return F.grid_sample(x.float(), look_at(*poses, *x.shape[2:]), align_corners=False, padding_mode="border")


def moving_noise(poses: Tensor, shape: tuple[int, int, int], generator: Generator) -> Tensor:
    """Noise for the frames of clips that moves along with the scene: (B F, C, H, W).

    Each frame looks at one large canvas of noise of its clip, from where its scene stands. It takes the
    nearest number each time: a mean of several would be weaker noise. So each frame is N(0, I), but where a
    turned frame takes a number twice. poses: (B, F, POSE); shape: C, H, W.
    Papers: Ge et al. 2023 (frames share noise), Chang et al. 2024 (noise moves along).
    """
    (B, frames, _), (C, H, W) = poses.shape, shape
    canvas = torch.randn(B, C, 2 * H, 2 * W, generator=generator)
    poses = poses.float().cpu()
    # The canvas is seen as in the frame where the scene is largest: from all others more of it is seen, so
    # that no number has to serve two places
    had = torch.zeros_like(poses)
    had[..., 2] = poses[..., 2].amax(dim=1, keepdim=True)
    across, down = look_at(had.flatten(0, 1), poses.flatten(0, 1), H, W).unbind(-1)  # (B F, H, W)
    # The frame is the middle of the canvas, which begins anew beyond its edges
    column = ((across + 2) * W / 2).floor().long() % (2 * W)
    row = ((down + 2) * H / 2).floor().long() % (2 * H)
    place = (row * 2 * W + column).view(B, 1, -1).expand(-1, C, -1)  # (B, C, F H W)
    return canvas.flatten(2).gather(2, place).view(B, C, frames, H, W).transpose(1, 2).flatten(0, 1)
