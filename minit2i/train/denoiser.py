"""How denoisers are trained to draw from words: scenes in latents, and in pixels to compare; and clothes.

What others that learn to denoise share with them is here, too.
Shapes: B pictures of a batch, Z channels and H sides of what the denoiser works on, latents or pixels.
"""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from PIL import Image
from torch import Generator, Tensor, nn

from minit2i.autoencoder import Autoencoder
from minit2i.checkpoint import load_model, load_tokenizer
from minit2i.clip import CLIP, Text
from minit2i.images import to_float, to_pil
from minit2i.text2image import TextToImage
from minit2i.tokenizer import Tokenizer, words_of
from minit2i.unet import UNet, UNetConfig, denoising_loss
from minit2i.utils import device, device_of
from minit2i.viz import grid
from minit2i.world import batches
from minit2i.world.captions import full_caption, prompt
from minit2i.world.noise_words import known_words, meaningless_words
from minit2i.world.scenes import LAYOUT, STYLES, Scene, draw_scene

from .recipe import Recipe

SCENES_SEED = 5  # of the training scenes


def worded(scenes: list[Scene], rng: random.Random, in_full: float, meaningless: list[str]) -> list[str]:
    """A caption of each scene: so often one that names everything, else one as people type it."""
    return [full_caption(s) if rng.random() < in_full else prompt(s, rng, meaningless).text for s in scenes]


def conditioned_text(clip: CLIP, tokenizer: Tokenizer, captions: list[str], rng: random.Random) -> Text:
    """Captions as a denoiser is conditioned on them, every tenth left empty."""
    return clip.text(tokenizer(batches.drop_captions(captions, rng)).to(device_of(clip)))


def drop_layouts(layouts: Tensor, generator: Generator, share: float = 0.1) -> Tensor:
    """Leave out a share of the layouts (B, LAYOUT), so that a denoiser also draws where it is given none."""
    return layouts.masked_fill(batches.one_each(layouts, generator)[..., 0, 0] < share, 0.0)


@dataclass(frozen=True)
class DenoisingRecipe(Recipe):
    """Noise is added at random times, and the network, a UNet of `config`, learns the way back.

    weighting: how much an error counts at which time (`Schedule.loss_weight`); logit_normal: which times to
    train at (`Schedule.random_t`).
    """

    batch: int = 32
    minutes: float = 20
    lr: float = 5e-3
    weighting: str = "none"
    logit_normal: tuple[float, float] | None = (0.5, 1.2)

    def build(self, data: Any) -> UNet:
        return UNet(self.config)

    def new_batch(self, data: Any, generator: Generator) -> tuple[Tensor, Text, dict[str, Tensor]]:
        """What it works on (B, Z, H, H), captions of it, and what else the denoiser is conditioned on."""

    def denoiser(self, model: nn.Module, data: Any) -> nn.Module:
        """The denoiser that the network in training is, or is a part of."""
        return model

    def loss(self, model: nn.Module, data: Any, generator: Generator) -> Tensor:
        with torch.no_grad():
            x_0, text, conditioning = self.new_batch(data, generator)
        net, settings = self.denoiser(model, data), (self.weighting, self.logit_normal)
        return denoising_loss(net, net.config.schedule, x_0, text, generator, *settings, **conditioning)


class DenoiserData(NamedTuple):
    """The frozen networks that a denoiser works with, words to throw into prompts, and latents so far."""

    clip: CLIP
    tokenizer: Tokenizer
    autoencoder: Autoencoder | None
    meaningless: list[str]
    latents: dict[int, Tensor]

    def latent(self, index: int) -> Tensor:
        """The latents of a training scene (Z, H, H): computed when first wanted, then kept (4 KB)."""
        if index not in self.latents:
            picture = to_float(batches.render_all([draw_scene(SCENES_SEED, index, "train")]))
            self.latents[index] = self.autoencoder.encode(picture.to(device_of(self.clip)))[0].half()
        return self.latents[index].float()


@dataclass(frozen=True)
class DenoiserRecipe(DenoisingRecipe):
    """The text-to-image denoiser on latents of training scenes.

    scenes: how many there are. It sees each a few times, with other noise and in other words. left_out: how
    often it is not given the layout. in_full: how often the caption names everything, so that less is open.
    """

    minutes: float = 50
    scenes: int = 80_000
    config: UNetConfig = UNetConfig(
        channels=8, picture_size=16, patch=1, widths=(64, 128), exit_channels=48, prediction="v",
        log_snr_shift=0.0, layout=LAYOUT,
    )  # fmt: skip
    left_out: float = 0.1
    in_full: float = 0.8
    needs: ClassVar[tuple[str, ...]] = ("tokenizer", "clip", "autoencoder")

    def load_data(self, folder: str | Path) -> DenoiserData:
        autoencoder = load_model("autoencoder", folder) if "autoencoder" in self.needs else None
        clip, tokenizer = load_model("clip", folder), load_tokenizer(folder)
        return DenoiserData(clip, tokenizer, autoencoder, meaningless_words(seen=True), latents={})

    @torch.no_grad()
    def new_batch(self, data: DenoiserData, generator: Generator) -> tuple[Tensor, Text, dict[str, Tensor]]:
        rng, on = batches.python_rng(generator), device_of(data.clip)
        some = batches.random_indices(self.scenes, self.batch, generator).tolist()
        scenes = [draw_scene(SCENES_SEED, index, "train") for index in some]
        conditioning = {}
        if self.config.layout:
            layouts = torch.tensor([scene.layout_vector() for scene in scenes], dtype=torch.float32)
            conditioning["layout"] = drop_layouts(layouts, generator, self.left_out).to(on)
        if data.autoencoder is None:
            x_0 = to_float(batches.render_all(scenes).to(on))
        else:
            x_0 = torch.stack([data.latent(index) for index in some])
        captions = worded(scenes, rng, self.in_full, data.meaningless)
        return x_0, conditioned_text(data.clip, data.tokenizer, captions, rng), conditioning

    def preview(self, model: UNet, data: DenoiserData) -> Image.Image:
        """One line of the headline prompt, and scenes of the training split."""
        prompts = ["a cat wearing a blue baseball cap"] * 6
        prompts += [full_caption(draw_scene(2, index, "train")) for index in range(18)]
        t2i = TextToImage(data.clip, data.tokenizer, model, data.autoencoder, card=self.note(data))
        return grid(to_pil(t2i.draw(prompts)), columns=6)

    def note(self, data: DenoiserData) -> dict:
        uses = {"random_layouts": "world.scenes:random_layouts", "suggest_words": "world.parse:suggest_words"}
        return {"words": sorted({*known_words(), *STYLES}), "upscaler": True, **uses}


@dataclass(frozen=True)
class PixelRecipe(DenoiserRecipe):
    """The same on pixels, at 64x64: what lessons 03 and 05 do, and what latents are compared with."""

    minutes: float = 105
    lr: float = 3e-3
    config: UNetConfig = UNetConfig()
    weighting: str = "clipped_v"
    logit_normal: tuple[float, float] | None = None
    needs: ClassVar[tuple[str, ...]] = ("tokenizer", "clip")


class ClothesData(NamedTuple):
    """Pictures (N, 1, 32, 32) uint8, their captions, and the frozen CLIP."""

    pictures: Tensor
    captions: list[str]
    clip: CLIP
    tokenizer: Tokenizer


@dataclass(frozen=True)
class ClothesRecipe(DenoisingRecipe):
    """A small denoiser of pixels; a caption names the class. Data: Fashion-MNIST (Xiao et al. 2017)."""

    minutes: float = 28
    config: UNetConfig = UNetConfig(
        channels=1, picture_size=32, widths=(64, 128), prediction="v", log_snr_shift=0.0
    )
    weighting: str = "v"
    logit_normal: tuple[float, float] | None = None
    needs: ClassVar[tuple[str, ...]] = ("tokenizer", "clip")

    def load_data(self, folder: str | Path) -> ClothesData:
        pictures, captions, _ = batches.clothes_pictures("train")
        clip, tokenizer = load_model("clip", folder), load_tokenizer(folder)
        return ClothesData(pictures.to(device()), captions, clip, tokenizer)

    def new_batch(self, data: ClothesData, generator: Generator) -> tuple[Tensor, Text, dict[str, Tensor]]:
        rng = batches.python_rng(generator)
        some = batches.random_indices(len(data.pictures), self.batch, generator)
        x_0 = to_float(data.pictures[some.to(data.pictures.device)])  # not mirrored: all shoes point left
        captions = [data.captions[i] for i in some.tolist()]
        return x_0, conditioned_text(data.clip, data.tokenizer, captions, rng), {}

    def preview(self, model: UNet, data: ClothesData) -> Image.Image:
        prompts = sorted(set(data.captions)) * 4
        t2i = TextToImage(data.clip, data.tokenizer, model)
        return grid(to_pil(t2i.draw(prompts, guidance_scale=2.0)), columns=len(prompts) // 4)

    def note(self, data: ClothesData) -> dict:
        return {"words": sorted({word for caption in data.captions for word in words_of(caption)})}
