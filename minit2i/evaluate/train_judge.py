"""How the judges are trained. That of scenes sees all combinations, softened a little, and a quarter broken.

A picture that a poor denoiser draws has to count as broken, whatever animal its colours suggest. So the judge
sees what such pictures look like, made from real scenes: it never sees a drawn one.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor

from minit2i.images import to_float, to_pil
from minit2i.train.recipe import Recipe
from minit2i.utils import device
from minit2i.viz import grid
from minit2i.world.batches import clothes_pictures, mirror_half, normal_noise, one_each, scene_pictures

from .judge import QUESTIONS, Judge, JudgeConfig, answers, truth


class JudgeData(NamedTuple):
    """Pictures (N, C, H, W) uint8, the right answers (N, questions) int64, and the names of all answers."""

    pictures: Tensor
    right: Tensor
    names: list[tuple[str, ...]]


@dataclass(frozen=True)
class JudgeRecipe(Recipe):
    """The judge of scenes, on held-out combinations too, so that a rare one is not held against a picture."""

    batch: int = 96
    minutes: float = 13
    lr: float = 3e-3
    scenes: int = 40_000

    def load_data(self, folder: str | Path) -> JudgeData:
        pictures, scenes = scene_pictures("all", self.scenes, 64, seed=4)
        return JudgeData(pictures.to(device()), truth(scenes).to(device()), list(QUESTIONS.values()))

    def build(self, data: JudgeData) -> Judge:
        return Judge(JudgeConfig())

    def lesson(self, data: JudgeData, some: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Some of the pictures as a network is shown them, (B, C, H, W), and the right answers."""
        x, right, broken = to_float(data.pictures[some]), data.right[some], len(some) // 4
        right[:broken, -1] = 0
        return soften(torch.cat([break_pictures(x[:broken], generator), x[broken:]]), generator), right

    def loss(self, model: Judge, data: JudgeData, generator: Generator) -> Tensor:
        some = torch.randint(len(data.pictures), (self.batch,), generator=generator)
        return judge_loss(model, *self.lesson(data, some.to(data.pictures.device), generator))

    def preview(self, model: Judge, data: JudgeData) -> Image.Image:
        x, _ = self.lesson(data, torch.arange(48), Generator().manual_seed(0))
        said = answers(model, x).tolist()
        captions = [" ".join(names[i] for names, i in zip(data.names, row, strict=True)) for row in said]
        return grid(to_pil(x), columns=12, captions=captions)


@dataclass(frozen=True)
class ClothesJudgeRecipe(JudgeRecipe):
    """A classifier of clothes, independent of the denoiser: it asks one question, the class."""

    batch: int = 128
    minutes: float = 5
    weight_decay: float = 0.1

    def load_data(self, folder: str | Path) -> JudgeData:
        pictures, captions, labels = clothes_pictures("train")
        names = dict(sorted(zip(labels.tolist(), captions, strict=True)))
        return JudgeData(pictures.to(device()), labels[:, None].to(device()), [tuple(names.values())])

    def build(self, data: JudgeData) -> Judge:
        return Judge(JudgeConfig(channels=1, widths=(32, 64, 96), answers=(len(data.names[0]),)))

    def lesson(self, data: JudgeData, some: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        return mirror_half(to_float(data.pictures[some]), generator), data.right[some]


def judge_loss(model: Judge, pictures: Tensor, right: Tensor) -> Tensor:
    """Cross-entropy summed over the questions; of a picture whose last answer is 0, only the last is asked.

    pictures: (B, C, H, W) in [-1, 1]; right: (B, questions) int64. Returns a scalar.
    """
    *logits, intact = model(pictures)
    whole = right[:, -1].float()  # (B,), 1 where the picture is intact
    each = sum(F.cross_entropy(logit, right[:, i], reduction="none") for i, logit in enumerate(logits))
    return F.cross_entropy(intact, right[:, -1]) + (whole * each).sum() / whole.sum().clamp(min=1)


def soften(pictures: Tensor, generator: Generator) -> Tensor:
    """Mild changes that leave a picture intact, for content is judged: wobbly outlines, blur, noise."""
    pictures = warp(pictures, 0.5 * one_each(pictures, generator), generator)
    small = F.interpolate(pictures, scale_factor=0.5, mode="area")
    blurred = F.interpolate(small, pictures.shape[-2:], mode="bilinear", align_corners=False)
    # Both of random strength, each on half of the pictures.
    blur, grain = (one_each(pictures, generator) * (one_each(pictures, generator) < 0.5) for _ in range(2))
    noise = normal_noise(*pictures.shape, generator=generator, device=pictures.device)
    return ((1 - blur) * pictures + blur * blurred + 0.1 * grain * noise).clamp(-1, 1)


def break_pictures(pictures: Tensor, generator: Generator) -> Tensor:
    """Spoil pictures so that they are no scenes any more; half of them by smearing. B: a multiple of 12."""
    others, smeared = pictures.chunk(2)
    kinds = zip((shuffle_tiles, half_denoise, blend), others.chunk(3), strict=True)
    return torch.cat([*(kind(part, generator) for kind, part in kinds), smear(smeared, generator)])


def shuffle_tiles(pictures: Tensor, generator: Generator) -> Tensor:
    """Cut each picture into 4x4 tiles and lay them out in another order: right colours, wrong shape."""
    B, _, H, W = pictures.shape
    size = (H // 4, W // 4)
    tiles = F.unfold(pictures, size, stride=size)  # (B, C h w, 16)
    order = torch.rand(B, 16, generator=generator).argsort(dim=1).to(pictures.device)
    return F.fold(tiles.gather(2, order[:, None].expand_as(tiles)), (H, W), size, stride=size)


def half_denoise(pictures: Tensor, generator: Generator) -> Tensor:
    """What a poor denoiser makes of a scene: noise averaged over squares, which leaves blobs or specks."""
    result = []
    # The larger the squares over which noise was averaged, the more noise there may have been.
    for part, square in zip(pictures.chunk(2), (2, 4), strict=True):
        strength = square * (0.15 + 0.25 * one_each(part, generator))
        noisy = part + strength * normal_noise(*part.shape, generator=generator, device=part.device)
        coarse = F.interpolate(F.avg_pool2d(noisy, square), part.shape[-2:], mode="bicubic")
        share = 0.3 * one_each(part, generator)  # of the true picture, shining through
        # The flat background is denoised first: half of the time it is left clean.
        background = (part - part[:, :, :1, :1]).abs().amax(dim=1, keepdim=True) < 0.1
        clean = background & (one_each(part, generator) < 0.5)
        result.append(torch.where(clean, part, share * part + (1 - share) * coarse))
    return torch.cat(result).clamp(-1, 1)


def blend(pictures: Tensor, generator: Generator) -> Tensor:
    """Two pictures at once: half of them see-through, the others cut along a wavy line."""
    share = 0.35 + 0.3 * one_each(pictures, generator)
    cut = (hills(pictures, generator) > 0).float()
    mask = torch.where(one_each(pictures, generator) < 0.5, share, cut)
    return mask * pictures + (1 - mask) * pictures.roll(1, dims=0)


def smear(pictures: Tensor, generator: Generator) -> Tensor:
    """What a half-trained denoiser draws: shapes that melt, doubled features, patches out of focus."""
    melted = []  # a third is warped once, the others are the mean of two or four copies, warped differently
    for part, copies, weakest in zip(pictures.chunk(3), (1, 2, 4), (1.4, 1.0, 1.0), strict=True):
        strength = weakest + 2 * one_each(part, generator)
        melted.append(sum(warp(part, strength, generator) for _ in range(copies)) / copies)
    melted = torch.cat(melted)
    blurred = F.avg_pool2d(F.pad(melted, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
    return torch.where(hills(melted, generator) > 0, blurred, melted)


def warp(pictures: Tensor, strength: Tensor, generator: Generator) -> Tensor:
    """Move every pixel by a smooth random displacement field of `strength` (B, 1, 1, 1), in pixels."""
    B, _, H, W = pictures.shape
    coarse = strength * normal_noise(B, 2, 8, 8, generator=generator, device=pictures.device)
    field = F.interpolate(coarse, (H, W), mode="bicubic").permute(0, 2, 3, 1)  # (B, H, W, 2), in pixels
    still = torch.eye(2, 3, device=pictures.device).expand(B, 2, 3)
    here = F.affine_grid(still, list(pictures.shape), align_corners=False)  # in halves of the frame
    # Kept to the middles of the outermost pixels: beyond the edge is what is at the edge.
    where = (here + 2 / W * field).clamp(1 / W - 1, 1 - 1 / W)
    return F.grid_sample(pictures, where, align_corners=False)


def hills(pictures: Tensor, generator: Generator) -> Tensor:
    """A smooth random landscape (B, 1, H, W) around 0, for masks with wavy outlines."""
    coarse = normal_noise(len(pictures), 1, 4, 4, generator=generator, device=pictures.device)
    return F.interpolate(coarse, pictures.shape[-2:], mode="bicubic")
