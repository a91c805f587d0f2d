"""How the upscaler is trained: to undo shrinking, on crops of scenes, emoji and photographs.

Batches are made on the CPU, where pictures are compressed as JPEG, and then moved to the network's device.
"""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor

from minit2i.images import to_float, to_pil, to_tensor
from minit2i.text2image import TextToImage
from minit2i.upscaler import Upscaler, UpscalerConfig, bicubic
from minit2i.utils import device, device_of, in_batches
from minit2i.viz import grid
from minit2i.world import batches
from minit2i.world.captions import full_caption
from minit2i.world.datasets import load
from minit2i.world.scenes import Scene

from .recipe import Recipe

SIDE = 96  # pixels of a crop, before it is shrunk by 4


class UpscalerData(NamedTuple):
    """What it learns from."""

    scenes: Tensor  # (N, 3, 256, 256) uint8
    redrawn: Tensor  # the same as the denoiser draws them, (N, 3, 64, 64) in [-1, 1]
    emoji: Tensor  # (M, 4, 128, 128) uint8
    photos: list[Tensor]  # (1, 3, H, W) in [-1, 1]


@dataclass(frozen=True)
class UpscalerRecipe(Recipe):
    """Six crops of scenes, four of emoji and six of photographs (all but Chelsea the cat) a step.

    Half of the scenes are shrunk, half redrawn by the denoiser: it will be asked to enlarge what that draws.
    """

    batch: int = 16
    minutes: float = 25
    lr: float = 2e-3
    scenes: int = 2_000

    def load_data(self, folder: str | Path) -> UpscalerData:
        t2i = TextToImage.load(folder)  # first, so that a mistake in it does not wait for what takes long
        pictures, scenes = batches.scene_pictures("train", self.scenes, 256, seed=3)
        emoji, entries = batches.emoji_pictures(128)
        photos = [to_tensor(row["image"]) for row in load("photos") if row["name"] != "chelsea"]
        return UpscalerData(pictures, redraw(scenes, t2i), emoji[~unseen_emoji(entries)], photos)

    def build(self, data: UpscalerData) -> Upscaler:
        return Upscaler(UpscalerConfig())

    def loss(self, model: Upscaler, data: UpscalerData, generator: Generator) -> Tensor:
        some = batches.random_indices(len(data.scenes), 6, generator)
        scenes = to_float(data.scenes[some])
        # Each pixel of a small picture is a square of four by four, so that both are cut at the same place
        small = data.redrawn[some[:3]].repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
        pairs = random_crops(torch.cat([small, scenes[:3]], dim=1), SIDE, generator, step=4)
        redrawn, true = pairs[:, :3, ::4, ::4], pairs[:, 3:]
        rows = batches.random_indices(len(data.emoji), 4, generator)
        emoji = batches.on_backgrounds(data.emoji[rows], generator)
        drawn = torch.cat([random_crops(pictures, SIDE, generator) for pictures in (scenes[3:], emoji)])
        photos = torch.cat([piece_of(data.photos, generator) for _ in range(self.batch - 6 - 4)])
        photos = batches.mirror_half(photos, generator)
        # Photographs stay undamaged: fur looks like noise, and should not be smoothed away as such.
        low = torch.cat([redrawn, degrade(drawn, generator), degrade(photos, generator, p_clean=1)])
        on = device_of(model)
        return F.l1_loss(model(low.to(on)), torch.cat([true, drawn, photos]).to(on))

    @torch.no_grad()
    def preview(self, model: Upscaler, data: UpscalerData) -> Image.Image:
        high, low = to_float(data.scenes[:4]), data.redrawn[:4]
        ours = model(low.to(device_of(model))).cpu()
        return grid(to_pil(torch.cat([bicubic(low, 256, 256), ours, high])), columns=4)


def redraw(scenes: list[Scene], t2i: TextToImage) -> Tensor:
    """Small pictures of scenes as the denoiser draws them: nearly right. (n, 3, 64, 64) in [-1, 1].

    Each is noised to a middle time and denoised in a few steps, given its full caption and its layout. So
    lines wobble as they do in what is drawn from pure noise, and yet the true picture is known.
    Source: Ho et al. 2022, "Cascaded diffusion models", section 4 (conditioning augmentation).
    """
    times = torch.randint(100, 600, (len(scenes),), generator=Generator().manual_seed(0)).tolist()

    def redrawn(numbers: range) -> Tensor:
        some, i = [scenes[number] for number in numbers], numbers[0]
        z = t2i.encode_pictures(to_float(batches.render_all(some).to(device())))
        layout = torch.tensor([scene.layout_vector() for scene in some], dtype=torch.float32)
        settings = {"layout": layout, "guidance_scale": 1, "seed": i, "steps": 8, "start": (z, times[i])}
        return t2i.draw([full_caption(scene) for scene in some], **settings).cpu()

    return in_batches(redrawn, range(len(scenes)), 50, "redrawing scenes")


def unseen_emoji(entries: list[dict]) -> Tensor:
    """True for the tenth of the emoji concepts that the upscaler never sees, chosen by a hash of the name."""
    digests = (hashlib.sha256(entry["name"].encode()).digest() for entry in entries)
    return torch.tensor([digest[0] < 26 for digest in digests])  # of 256


def piece_of(photos: list[Tensor], generator: Generator) -> Tensor:
    """A piece of 20 to 160 pixels of some photograph, brought to one size: (1, 3, SIDE, SIDE) in [-1, 1].
    Small ones turn soft, as what is out of focus is: else every soft edge is made hard, as in a drawing."""
    photo = photos[batches.random_indices(len(photos), 1, generator)]
    side = int(20 * 8 ** torch.rand((), generator=generator))
    return bicubic(random_crops(photo, side, generator), SIDE, SIDE).clamp(-1, 1)


def random_crops(pictures: Tensor, size: int, generator: Generator, step: int = 1) -> Tensor:
    """Cut one square out of each picture, at a random position that is a multiple of `step`: (B, C, H, W) to
    (B, C, size, size). Raises ValueError when a side is shorter than `size`."""
    B, _, H, W = pictures.shape
    if min(H, W) < size:
        raise ValueError(f"cannot cut {size}x{size} out of {H}x{W}")
    tops, lefts = (step * torch.randint((n - size) // step + 1, (B,), generator=generator) for n in (H, W))
    corners = zip(pictures, tops.tolist(), lefts.tolist(), strict=True)
    return torch.stack([picture[:, y : y + size, x : x + size] for picture, y, x in corners])


def degrade(high: Tensor, generator: Generator, p_clean: float = 0.5) -> Tensor:
    """Small pictures (B, 3, H, W) from which the upscaler must find `high` (B, 3, 4H, 4W), in [-1, 1], again.

    All are shrunk by 4. A share p_clean stays like that; the others are damaged a little, as what one
    generates or downloads is: blurred, noised, and every second one compressed as JPEG.
    Raises ValueError when a side is no multiple of 4.
    """
    height, width = high.shape[-2:]
    if height % 4 or width % 4:
        raise ValueError(f"sides must be multiples of 4, got {height}x{width}")
    low = bicubic(high, height // 4, width // 4).clamp(-1, 1)
    damaged = torch.rand(len(low), generator=generator) >= p_clean
    for i in damaged.nonzero().flatten().tolist():
        blur, noise, compress, quality = torch.rand(4, generator=generator).tolist()
        sigma = 0.2 + 0.4 * blur  # in pixels; 0.2 does nothing
        window = batches.gaussian_window(sigma, radius=3).to(low).expand(3, 1, 7, 7)
        padded = F.pad(low[i : i + 1], (3, 3, 3, 3), mode="replicate")  # (1, 3, H+6, W+6)
        grain = torch.randn(low[i].shape, generator=generator).to(low)
        low[i] = (F.conv2d(padded, window, groups=3)[0] + 0.06 * noise * grain).clamp(-1, 1)
        if compress < 0.5:
            file = io.BytesIO()
            to_pil(low[i : i + 1])[0].save(file, "JPEG", quality=round(50 + 45 * quality))
            low[i] = to_tensor(Image.open(file))[0]
    return low
