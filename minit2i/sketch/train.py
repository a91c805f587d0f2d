"""How the branch for drawings is trained: on crude drawings made of scenes, anywhere in the frame."""

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


class Pair(NamedTuple):
    """A scene, its latents (Z, H, H) in half precision, and a crude drawing of it, uint8 (3, 64, 64)."""

    scene: Scene
    latents: Tensor
    drawing: Tensor


class SketchData(NamedTuple):
    """The networks that it works with, words to throw into prompts, and pairs so far."""

    t2i: TextToImage
    meaningless: list[str]
    pairs: dict[int, Pair]

    def pair(self, index: int) -> Pair:
        """A training scene and a drawing of it: made when first wanted, then kept (16 KB)."""
        if index not in self.pairs:
            scene = anywhere(draw_scene(SCENES_SEED, index, "train"), random.Random(f"sketch {index}"))
            picture = to_float(render_all([scene]).to(device_of(self.t2i.denoiser)))
            drawing = crude_drawings([scene], Generator().manual_seed(index)).pictures[0]
            drawing = ((drawing + 1) * 127.5).round().to(torch.uint8)
            self.pairs[index] = Pair(scene, self.t2i.encode_pictures(picture)[0].half(), drawing)
        return self.pairs[index]


@dataclass(frozen=True)
class SketchRecipe(Recipe):
    """The branch alone learns; the denoiser beside it is frozen, and is told no layout.

    scenes: how many there are, with one drawing each.
    """

    batch: int = 32
    minutes: float = 30
    lr: float = 3e-3
    scenes: int = 20_000
    needs: ClassVar[tuple[str, ...]] = ("tokenizer", "clip", "autoencoder", "denoiser")

    def load_data(self, folder: str | Path) -> SketchData:
        t2i = TextToImage.load(folder)
        t2i.denoiser.requires_grad_(False)
        return SketchData(t2i, meaningless_words(seen=True), pairs={})

    def build(self, data: SketchData) -> ControlNet:
        return ControlNet.of(data.t2i.denoiser)

    def loss(self, model: ControlNet, data: SketchData, generator: Generator) -> Tensor:
        rng, t2i, on = python_rng(generator), data.t2i, device_of(model)
        with torch.no_grad():
            some = random_indices(self.scenes, self.batch, generator).tolist()
            pairs = [data.pair(index) for index in some]
            captions = worded([p.scene for p in pairs], rng, DenoiserRecipe.in_full, data.meaningless)
            text = t2i.encode(drop_captions(captions, rng))
            x_0 = torch.stack([p.latents.float() for p in pairs])
            drawing = to_float(torch.stack([p.drawing for p in pairs]).to(on))
        conditioning = {"layout": torch.zeros(len(pairs), LAYOUT, device=on), "drawing": drawing}
        settings = DenoiserRecipe.weighting, DenoiserRecipe.logit_normal
        return denoising_loss(
            ControlledDenoiser(t2i.denoiser, model),
            t2i.schedule,
            x_0,
            text,
            generator,
            *settings,
            **conditioning,
        )

    @torch.no_grad()
    def preview(self, model: ControlNet, data: SketchData) -> Image.Image:
        """Scenes, crude drawings of them, and what these become."""
        generator = Generator().manual_seed(2)
        rng, on = python_rng(generator), device_of(model)
        scenes = [anywhere(draw_scene(2, index, "train"), rng) for index in range(16)]
        pictures, drawings = to_float(render_all(scenes)).to(on), crude_drawings(scenes, generator).pictures
        drawn = Sketcher(data.t2i, model).draw(drawings, [full_caption(scene) for scene in scenes])
        return grid(to_pil(torch.cat([pictures, drawings.to(on), drawn])), columns=16, side=64)


def anywhere(scene: Scene, rng: random.Random) -> Scene:
    """The scene somewhere in the frame, from 0.6 to 0.95 of it, for who draws does not keep to the middle."""
    size = rng.uniform(0.6, 0.95)
    room = (1 - size) / 2
    return replace(scene, x=rng.uniform(-room, room), y=rng.uniform(-room, room), size=size)
