"""What training batches are made of: sets of pictures as tensors, random draws, augmentation.

Everything random is drawn on the CPU by the generator that the checkpoint keeps: same seed, same batches.
Shapes: N pictures of a set, B of a batch, C channels, H height, W width. Sets are uint8, a quarter of the
bytes of float32; `images.to_float` makes the [-1, 1] of the models.
"""

import itertools
import math
import random

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor

from minit2i.utils import progress

from .datasets import load
from .render import render
from .scenes import STYLES, Scene, draw_scene


def scene_pictures(
    split: str, n: int, size: int, seed: int, styles: tuple[str, ...] = STYLES
) -> tuple[Tensor, list[Scene]]:
    """Render the first n scenes of these styles. Returns uint8 (n, 3, size, size), and what is in them."""
    numbered = (draw_scene(seed, index, split) for index in itertools.count())
    scenes = list(itertools.islice((scene for scene in numbered if scene.style in styles), n))
    return render_all(scenes, size), scenes


def new_scenes(count: int, generator: Generator) -> list[Scene]:
    """Scenes of the training split that no one has drawn before: place and size never repeat."""
    seeds = torch.randint(2**62, (count,), generator=generator).tolist()
    return [draw_scene(seed, 0, "train") for seed in seeds]


def render_all(scenes: list[Scene], size: int = 64) -> Tensor:
    """Render scenes, with a progress bar if there are many. Returns uint8 (n, 3, size, size)."""
    pictures = np.empty((len(scenes), size, size, 3), np.uint8)
    for i, scene in enumerate(progress(scenes, "rendering scenes")):
        pictures[i] = render(scene, size)
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()


def emoji_pictures(
    size: int, styles: tuple[str, ...] | None = STYLES, split: str = "train"
) -> tuple[Tensor, list[dict]]:
    """All emoji of these styles (None: of every style of the split): premultiplied RGBA, uint8
    (N, 4, size, size); and what else the set says of them."""
    rows = load("emoji", split)
    rows = rows.select([i for i, style in enumerate(rows["style"]) if styles is None or style in styles])
    pictures, entries = [], []
    for row in progress(rows, "reading emoji"):
        # Premultiplied ("RGBa"), so that shrinking does not mix in the colour of invisible pixels.
        premultiplied = row["image"].convert("RGBA").convert("RGBa")
        pictures.append(np.asarray(premultiplied.resize((size, size), Image.Resampling.BOX)))
        entries.append({key: row[key] for key in ("name", "keywords", "style", "codepoint")})
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous(), entries


def clothes_pictures(split: str) -> tuple[Tensor, list[str], Tensor]:
    """Fashion-MNIST with a border to 32x32: uint8 (N, 1, 32, 32); captions; labels (N,)."""
    rows = load("fashion_mnist", split)
    pictures = np.stack([row["image"] for row in progress(rows, "reading clothes")])
    bordered = F.pad(torch.from_numpy(pictures)[:, None], (2, 2, 2, 2))
    return bordered, list(rows["caption"]), torch.tensor(rows["label"])


def one_each(pictures: Tensor, generator: Generator) -> Tensor:
    """A uniform number from 0 to 1 for each of B pictures: (B, 1, 1, 1) float32 on their device."""
    return torch.rand(len(pictures), 1, 1, 1, generator=generator, dtype=torch.float32).to(pictures.device)


def normal_noise(*shape: int, generator: Generator, device: torch.device) -> Tensor:
    """Numbers from the standard normal distribution, float32 of this shape."""
    return torch.randn(shape, generator=generator, dtype=torch.float32).to(device)


def random_indices(n: int, count: int, generator: Generator) -> Tensor:
    """`count` random indices below n, (count,) int64."""
    return torch.randint(n, (count,), generator=generator)


def python_rng(generator: Generator) -> random.Random:
    """A Python generator for captions, seeded by the one that the checkpoint keeps."""
    return random.Random(int(torch.randint(2**62, (1,), generator=generator)))


def on_backgrounds(pictures: Tensor, generator: Generator, jitter: float = 0.15, turn: float = 0.0) -> Tensor:
    """Lay premultiplied RGBA pictures (B, 4, H, W) uint8 on plain colours, half of them white.

    jitter: they are resized by a factor from 1 - jitter to 1 + jitter, and moved by as much of half the
    frame; turn: turned by up to this many degrees. Returns (B, 3, H, W) in [-1, 1].
    """
    # affine_grid says where an output pixel looks: a picture grows by a factor if that is 1 / factor as far.
    factor = 1 + jitter * (2 * one_each(pictures, generator) - 1)  # (B, 1, 1, 1)
    x, y, angle = (2 * one_each(pictures, generator) - 1 for _ in range(3))
    cos, sin = (f(math.radians(turn) * angle[:, 0]) / factor[:, 0] for f in (torch.cos, torch.sin))
    grow = torch.cat([torch.cat([cos, -sin], dim=2), torch.cat([sin, cos], dim=2)], dim=1)  # (B, 2, 2)
    shift = jitter * torch.cat([x, y], dim=1)[..., 0]  # (B, 2, 1)
    grid = F.affine_grid(torch.cat([grow, shift], dim=2), list(pictures.shape), align_corners=False)
    moved = F.grid_sample(pictures.float() / 255, grid, align_corners=False)
    colour = torch.cat([one_each(pictures, generator) for _ in range(3)], dim=1)  # (B, 3, 1, 1)
    background = torch.where(one_each(pictures, generator) < 0.5, 1.0, colour)
    return 2 * (moved[:, :3] + (1 - moved[:, 3:]) * background) - 1


def mirror_half(pictures: Tensor, generator: Generator) -> Tensor:
    """Mirror about half of the pictures (B, C, H, W), left to right: what it is stays the same."""
    return torch.where(one_each(pictures, generator) < 0.5, pictures.flip(3), pictures)


def gaussian_window(sigma: float, radius: int) -> Tensor:
    """A Gaussian cut off at `radius` pixels: (2 radius + 1, 2 radius + 1) float32, weights that sum to 1."""
    distance = torch.arange(-radius, radius + 1, dtype=torch.float32)
    weights = torch.exp(-distance.square() / (2 * sigma**2))
    return torch.outer(weights / weights.sum(), weights / weights.sum())


def drop_captions(captions: list[str], rng: random.Random) -> list[str]:
    """Leave every tenth caption empty, so that a denoiser also learns to draw without words."""
    return ["" if rng.random() < 0.1 else caption for caption in captions]
