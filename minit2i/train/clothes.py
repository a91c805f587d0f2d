"""How the two networks about clothes are trained: a denoiser that is told the class, and a classifier.

Data: Fashion-MNIST (Xiao et al. 2017), 28x28 grey with a border to 32x32.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor
from tqdm import tqdm

from minit2i.checkpoint import load_model, load_tokenizer
from minit2i.clip import CLIP
from minit2i.images import to_float, to_pil
from minit2i.text2image import TextToImage
from minit2i.tokenizer import Tokenizer, words_of
from minit2i.unet import UNet, UNetConfig, denoising_loss
from minit2i.utils import device
from minit2i.viz import grid
from minit2i.world.batches import drop_captions, python_rng, random_indices
from minit2i.world.datasets import load

from .recipe import Recipe


def clothes_pictures(split: str) -> tuple[Tensor, list[str], Tensor]:
    """Fashion-MNIST with a border to 32x32: uint8 (N, 1, 32, 32); captions; labels (N,)."""
    rows = load("fashion_mnist", split=split)
    pictures = np.stack([row["image"] for row in tqdm(rows, "reading clothes", leave=False, delay=1)])
    bordered = F.pad(torch.from_numpy(pictures)[:, None], (2, 2, 2, 2))
    return bordered, list(rows["caption"]), torch.tensor(rows["label"])


class ClothesData(NamedTuple):
    """Pictures (N, 1, 32, 32) uint8, their captions, and the frozen CLIP."""

    pictures: Tensor
    captions: list[str]
    clip: CLIP
    tokenizer: Tokenizer


@dataclass(frozen=True)
class ClothesRecipe(Recipe):
    """A small denoiser of clothes, told the class by its caption."""

    batch: int = 32
    minutes: float = 28
    lr: float = 5e-3
    config: UNetConfig = UNetConfig(
        channels=1, picture_size=32, widths=(64, 128), prediction="v", log_snr_shift=0.0
    )
    weighting: str = "v"
    needs: ClassVar[tuple[str, ...]] = ("tokenizer", "clip")

    def load_data(self, folder: str | Path) -> ClothesData:
        pictures, captions, _ = clothes_pictures("train")
        clip, tokenizer = load_model("clip", folder), load_tokenizer(folder)
        return ClothesData(pictures.to(device()), captions, clip, tokenizer)

    def build(self, data: ClothesData) -> UNet:
        return UNet(self.config)

    def loss(self, model: UNet, data: ClothesData, generator: Generator) -> Tensor:
        rng, on = python_rng(generator), data.pictures.device
        some = random_indices(len(data.pictures), self.batch, generator)
        x_0 = to_float(data.pictures[some.to(on)])  # not mirrored: all shoes of the set point to the left
        captions = drop_captions([data.captions[i] for i in some.tolist()], rng)
        with torch.no_grad():
            text = data.clip.text(data.tokenizer(captions).to(on))
        return denoising_loss(model, self.config.schedule, x_0, text, generator, self.weighting)

    def note(self, data: ClothesData) -> dict:
        return {"words": sorted({word for caption in data.captions for word in words_of(caption)})}

    def preview(self, model: UNet, data: ClothesData) -> Image.Image:
        prompts = sorted(set(data.captions)) * 4
        t2i = TextToImage(data.clip, data.tokenizer, model)
        return grid(to_pil(t2i.draw(prompts, guidance_scale=2.0)), columns=len(prompts) // 4)
