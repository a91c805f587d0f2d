"""How the two networks about clothes are trained: a denoiser that is told the class, and a classifier.

Data: Fashion-MNIST (Xiao et al. 2017), 28x28 grey with a border to 32x32.
"""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor
from tqdm import tqdm

from minit2i.data import load
from minit2i.device import device
from minit2i.judge import Judge, JudgeConfig
from minit2i.pictures import to_float, to_pil
from minit2i.text2image import TextToImage
from minit2i.unet import UNet, UNetConfig
from minit2i.viz import grid

from .batches import mirror_half, random_indices
from .denoiser import DenoiserData, DenoiserRecipe
from .recipe import Recipe


def clothes_pictures(split: str) -> tuple[Tensor, list[str], Tensor]:
    """Fashion-MNIST with a border to 32x32: uint8 (N, 1, 32, 32); captions; labels (N,)."""
    rows = load("fashion_mnist", split=split)
    pictures = np.stack([row["image"] for row in tqdm(rows, "reading clothes", leave=False, delay=1)])
    bordered = F.pad(torch.from_numpy(pictures)[:, None], (2, 2, 2, 2))
    return bordered, list(rows["caption"]), torch.tensor(rows["label"])


@dataclass(frozen=True)
class ClothesRecipe(DenoiserRecipe):
    """A small denoiser of clothes, told the class by its caption."""

    minutes: float = 20
    config: UNetConfig = UNetConfig(
        channels=1, picture_size=32, widths=(48, 96), prediction="v", log_snr_shift=0.0
    )
    weighting: str = "v"

    def load_data(self, folder: str | Path) -> DenoiserData:
        pictures, captions, _ = clothes_pictures("train")
        return self.with_text(pictures, captions, folder)

    def augment(self, x_0: Tensor, generator: Generator) -> Tensor:
        """A shoe may point either way."""
        return mirror_half(x_0, generator)

    def caption(self, shown: str, rng: random.Random) -> str:
        return shown

    def sheet(self, model: UNet, data: DenoiserData) -> Image.Image:
        prompts = sorted(set(data.shown)) * 4
        t2i = TextToImage(data.clip, data.tokenizer, model)
        return grid(to_pil(t2i.draw(prompts, guidance_scale=2.0)), columns=len(prompts) // 4)


class ClothesJudgeData(NamedTuple):
    """Pictures (N, 1, 32, 32) uint8, their labels (N,), and the name of each label."""

    pictures: Tensor
    labels: Tensor
    names: list[str]


@dataclass(frozen=True)
class ClothesJudgeRecipe(Recipe):
    """A classifier of clothes, independent of the denoiser: it asks one question, the class."""

    batch: int = 128
    minutes: float = 5
    lr: float = 3e-3
    weight_decay: float = 0.1

    def load_data(self, folder: str | Path) -> ClothesJudgeData:
        pictures, captions, labels = clothes_pictures("train")
        names = [name for _, name in sorted(dict(zip(labels.tolist(), captions, strict=True)).items())]
        return ClothesJudgeData(pictures.to(device()), labels.to(device()), names)

    def build(self, data: ClothesJudgeData) -> Judge:
        return Judge(JudgeConfig(channels=1, widths=(32, 64, 96), answers=(len(data.names),)))

    def loss(self, model: Judge, data: ClothesJudgeData, generator: Generator) -> Tensor:
        some = random_indices(len(data.pictures), self.batch, generator).to(data.pictures.device)
        x = mirror_half(to_float(data.pictures[some]), generator)
        return F.cross_entropy(model(x)[0], data.labels[some])

    @torch.no_grad()
    def sheet(self, model: Judge, data: ClothesJudgeData) -> Image.Image:
        x = to_float(data.pictures[:30])
        answers = [data.names[i] for i in model(x)[0].argmax(1).tolist()]
        return grid(to_pil(x), columns=10, captions=answers)
