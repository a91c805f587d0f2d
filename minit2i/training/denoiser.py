"""How denoisers are trained: the text-to-image one on scenes, and what one on clothes shares with it."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from PIL import Image
from torch import Generator, Tensor

from minit2i.captions import caption, full_caption
from minit2i.clip import CLIP
from minit2i.device import device
from minit2i.pictures import to_float, to_pil
from minit2i.scenes import draw_scene
from minit2i.text2image import TextToImage
from minit2i.tokenizer import Tokenizer, words_of
from minit2i.unet import UNet, UNetConfig, denoising_loss
from minit2i.viz import grid
from minit2i.weights import load_model, load_tokenizer

from .batches import drop_captions, python_rng, random_indices, scene_pictures
from .recipe import Recipe


class DenoiserData(NamedTuple):
    """Pictures (N, C, H, W) uint8, what each shows (a scene or a caption), and the frozen CLIP."""

    pictures: Tensor
    shown: list
    clip: CLIP
    tokenizer: Tokenizer


@dataclass(frozen=True)
class DenoiserRecipe(Recipe):
    """The text-to-image denoiser on training scenes at 64x64."""

    batch: int = 32
    minutes: float = 105
    lr: float = 3e-3
    config: UNetConfig = UNetConfig()
    weighting: str = "clipped_v"
    scenes: int = 40_000
    needs: ClassVar[tuple[str, ...]] = ("tokenizer", "clip")

    def load_data(self, folder: str | Path) -> DenoiserData:
        pictures, scenes = scene_pictures("train", self.scenes, self.config.picture_size, seed=1)
        return self.with_text(pictures, scenes, folder)

    def with_text(self, pictures: Tensor, shown: list, folder: str | Path) -> DenoiserData:
        """The data, with the text tower that the denoiser will be told the words by."""
        return DenoiserData(pictures.to(device()), shown, load_model("clip", folder), load_tokenizer(folder))

    def build(self, data: DenoiserData) -> UNet:
        return UNet(self.config)

    def loss(self, model: UNet, data: DenoiserData, generator: Generator) -> Tensor:
        rng, on = python_rng(generator), data.pictures.device
        some = random_indices(len(data.pictures), self.batch, generator)
        x_0 = self.augment(to_float(data.pictures[some.to(on)]), generator)
        captions = drop_captions([self.caption(data.shown[i], rng) for i in some.tolist()], rng)
        with torch.no_grad():
            text = data.clip.text(data.tokenizer(captions).to(on))
        return denoising_loss(model, self.config.schedule, x_0, text, generator, self.weighting)

    def augment(self, x_0: Tensor, generator: Generator) -> Tensor:
        """Scenes are varied enough as they are."""
        return x_0

    def caption(self, shown: Any, rng: random.Random) -> str:
        """One caption of what a picture shows."""
        return caption(shown, rng)

    def sheet(self, model: UNet, data: DenoiserData) -> Image.Image:
        # To look at while training: combinations of the training split, and one line of the headline prompt.
        prompts = ["a cat wearing a blue baseball cap"] * 6
        prompts += [full_caption(draw_scene(2, index, "train")) for index in range(18)]
        return grid(to_pil(TextToImage(data.clip, data.tokenizer, model).draw(prompts)), columns=6)

    def note(self, data: DenoiserData) -> dict:
        rng = random.Random(0)
        return {
            "words": sorted({word for shown in data.shown for word in words_of(self.caption(shown, rng))})
        }
