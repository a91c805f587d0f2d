"""How a denoiser is trained to draw scenes from words: in latents, and in pixels to compare."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
from PIL import Image
from torch import Generator, Tensor

from minit2i.autoencoder import Autoencoder
from minit2i.checkpoint import load_model, load_tokenizer
from minit2i.clip import CLIP, Text
from minit2i.images import to_float, to_pil
from minit2i.text2image import TextToImage
from minit2i.tokenizer import Tokenizer
from minit2i.unet import UNet, UNetConfig, denoising_loss
from minit2i.utils import device_of
from minit2i.viz import grid
from minit2i.world.batches import drop_captions, one_each, python_rng, random_indices, render_all
from minit2i.world.captions import full_caption
from minit2i.world.noise_words import known_words, meaningless_words
from minit2i.world.prompts import prompt
from minit2i.world.scenes import LAYOUT, STYLES, Scene, draw_scene

from .recipe import Recipe

SCENES_SEED = 5  # of the training scenes


class DenoiserData(NamedTuple):
    """The frozen networks that a denoiser works with, words to throw into prompts, and latents so far."""

    clip: CLIP
    tokenizer: Tokenizer
    autoencoder: Autoencoder | None
    meaningless: list[str]
    latents: dict[int, Tensor]

    def latent(self, index: int) -> Tensor:
        """The latents of a training scene (Z, H, W): computed when first wanted, then kept (4 KB)."""
        if index not in self.latents:
            picture = to_float(render_all([draw_scene(SCENES_SEED, index, "train")]).to(device_of(self.clip)))
            self.latents[index] = self.autoencoder.encode(picture)[0].half()
        return self.latents[index].float()


@dataclass(frozen=True)
class DenoiserRecipe(Recipe):
    """The text-to-image denoiser on latents of training scenes.

    scenes: how many there are. It sees each a few times, with other noise and in other words.
    bell: which times to train at (`Schedule.random_t`).
    left_out: how often the layout is left out, so that the network also draws without being told it.
    in_full: how often the caption names everything, so that there is less to guess.
    """

    batch: int = 32
    minutes: float = 50
    lr: float = 5e-3
    scenes: int = 80_000
    config: UNetConfig = UNetConfig(
        channels=8,
        picture_size=16,
        patch=1,
        widths=(64, 128),
        exit_channels=48,
        prediction="v",
        log_snr_shift=0.0,
        layout=LAYOUT,
    )
    weighting: str = "none"
    logit_normal: tuple[float, float] | None = (0.5, 1.2)
    left_out: float = 0.1
    in_full: float = 0.8
    needs: ClassVar[tuple[str, ...]] = ("tokenizer", "clip", "autoencoder")

    def load_data(self, folder: str | Path) -> DenoiserData:
        autoencoder = load_model("autoencoder", folder) if "autoencoder" in self.needs else None
        clip, tokenizer = load_model("clip", folder), load_tokenizer(folder)
        return DenoiserData(clip, tokenizer, autoencoder, meaningless_words(seen=True), latents={})

    def build(self, data: DenoiserData) -> UNet:
        return UNet(self.config)

    def loss(self, model: UNet, data: DenoiserData, generator: Generator) -> Tensor:
        x_0, text, conditioning = self.new_batch(data, generator)
        schedule = self.config.schedule
        return denoising_loss(
            model, schedule, x_0, text, generator, self.weighting, self.logit_normal, **conditioning
        )

    @torch.no_grad()
    def new_batch(self, data: DenoiserData, generator: Generator) -> tuple[Tensor, Text, dict[str, Tensor]]:
        """What it works on (B, C, H, W), captions of it, one in ten empty, and what else it is told."""
        rng, on = python_rng(generator), device_of(data.clip)
        some = random_indices(self.scenes, self.batch, generator).tolist()
        scenes = [draw_scene(SCENES_SEED, index, "train") for index in some]
        conditioning = {}
        if self.config.layout:
            layouts = torch.tensor([scene.layout_vector() for scene in scenes])
            left_out = one_each(layouts, generator)[..., 0, 0] < self.left_out  # (B, 1)
            conditioning["layout"] = layouts.masked_fill(left_out, 0.0).to(on)
        if data.autoencoder is None:
            x_0 = to_float(render_all(scenes).to(on))
        else:
            x_0 = torch.stack([data.latent(index) for index in some])
        captions = worded(scenes, rng, self.in_full, data.meaningless)
        return x_0, data.clip.text(data.tokenizer(drop_captions(captions, rng)).to(on)), conditioning

    def preview(self, model: UNet, data: DenoiserData) -> Image.Image:
        # To look at while training: combinations of the training split, and one line of the headline prompt.
        prompts = ["a cat wearing a blue baseball cap"] * 6
        prompts += [full_caption(draw_scene(2, index, "train")) for index in range(18)]
        t2i = TextToImage(data.clip, data.tokenizer, model, data.autoencoder, card=self.note(data))
        return grid(to_pil(t2i.draw(prompts)), columns=6)

    def note(self, data: DenoiserData) -> dict:
        return {
            "words": sorted({*known_words(), *STYLES}),
            "upscaler": True,
            "random_layouts": "world.scenes:random_layouts",
            "suggest_words": "world.parse:suggest_words",
        }


def worded(scenes: list[Scene], rng: random.Random, in_full: float, meaningless: list[str]) -> list[str]:
    """A caption of each scene: so often one that names everything, else one as people type it."""
    return [
        full_caption(scene) if rng.random() < in_full else prompt(scene, rng, meaningless).text
        for scene in scenes
    ]


@dataclass(frozen=True)
class PixelRecipe(DenoiserRecipe):
    """The same on pixels, at 64x64: what lessons 03 and 05 do, and what latents are compared with."""

    minutes: float = 105
    lr: float = 3e-3
    config: UNetConfig = UNetConfig()
    weighting: str = "clipped_v"
    logit_normal: tuple[float, float] | None = None
    needs: ClassVar[tuple[str, ...]] = ("tokenizer", "clip")
