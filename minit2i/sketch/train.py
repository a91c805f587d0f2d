"""How the ControlNet for drawings is trained: on crude drawings made of scenes, anywhere in the frame."""

import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
from PIL import Image
from torch import Generator, Tensor

from minit2i.images import to_float, to_pil
from minit2i.text2image import TextToImage
from minit2i.train.denoiser import SCENES_SEED, DenoiserRecipe, worded
from minit2i.train.recipe import Recipe
from minit2i.unet import denoising_loss
from minit2i.utils import device_of
from minit2i.viz import grid
from minit2i.world.batches import drop_captions, python_rng, random_indices, render_all
from minit2i.world.captions import full_caption
from minit2i.world.noise_words import meaningless_words
from minit2i.world.scenes import LAYOUT, Scene, draw_scene

from .controlnet import ControlledDenoiser, ControlNet
from .drawings import crude_drawings
from .sketcher import Sketcher


class SketchData(NamedTuple):
    """The networks that it works with, words to throw into prompts, and so far: scenes, their latents
    (Z, H, H) and drawings of them, uint8 (3, 64, 64)."""

    t2i: TextToImage
    meaningless: list[str]
    drawn: dict[int, tuple[Scene, Tensor, Tensor]]

    def drawing(self, index: int) -> tuple[Scene, Tensor, Tensor]:
        """A training scene, its latents and a drawing of it: made when first wanted, then kept (16 KB)."""
        if index not in self.drawn:
            scene = anywhere(draw_scene(SCENES_SEED, index, "train"), random.Random(f"sketch {index}"))
            picture = to_float(render_all([scene]).to(device_of(self.t2i.denoiser)))
            drawing = crude_drawings([scene], Generator().manual_seed(index)).pictures[0]
            drawing = ((drawing + 1) * 127.5).round().to(torch.uint8)
            self.drawn[index] = scene, self.t2i.encode_pictures(picture)[0].half(), drawing
        return self.drawn[index]


@dataclass(frozen=True)
class SketchRecipe(Recipe):
    """The ControlNet alone learns; the denoiser beside it is frozen, and is given no layout. scenes: how many
    there are, with one drawing each."""

    batch: int = 32
    minutes: float = 30
    lr: float = 3e-3
    scenes: int = 20_000
    needs: ClassVar[tuple[str, ...]] = ("tokenizer", "clip", "autoencoder", "denoiser")

    def load_data(self, folder: str | Path) -> SketchData:
        t2i = TextToImage.load(folder)
        t2i.denoiser.requires_grad_(False)
        return SketchData(t2i, meaningless_words(seen=True), drawn={})

    def build(self, data: SketchData) -> ControlNet:
        return ControlNet.of(data.t2i.denoiser)

    def loss(self, model: ControlNet, data: SketchData, generator: Generator) -> Tensor:
        rng, t2i = python_rng(generator), data.t2i
        some = random_indices(self.scenes, self.batch, generator).tolist()
        scenes, latents, drawings = zip(*map(data.drawing, some), strict=True)
        captions = drop_captions(worded(scenes, rng, DenoiserRecipe.in_full, data.meaningless), rng)
        drawing = to_float(torch.stack(drawings).to(device_of(model)))
        conditioning = {"drawing": drawing, "layout": drawing.new_zeros(self.batch, LAYOUT)}
        batch = t2i.schedule, torch.stack(latents).float(), t2i.encode(captions), generator
        settings = DenoiserRecipe.weighting, DenoiserRecipe.logit_normal
        return denoising_loss(ControlledDenoiser(t2i.denoiser, model), *batch, *settings, **conditioning)

    @torch.no_grad()
    def preview(self, model: ControlNet, data: SketchData) -> Image.Image:
        """Crude drawings of training scenes, and what they become."""
        scenes, _, drawings = zip(*map(data.drawing, range(16)), strict=True)
        drawings = to_float(torch.stack(drawings)).to(device_of(model))
        drawn = Sketcher(data.t2i, model).draw(drawings, [full_caption(scene) for scene in scenes])
        return grid(to_pil(torch.cat([drawings, drawn])), columns=16, side=64)


def anywhere(scene: Scene, rng: random.Random) -> Scene:
    """The scene somewhere in the frame, from 0.6 to 0.95 of it, for who draws does not keep to the middle."""
    size = rng.uniform(0.6, 0.95)
    room = (1 - size) / 2
    return replace(scene, x=rng.uniform(-room, room), y=rng.uniform(-room, room), size=size)
