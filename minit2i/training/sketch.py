"""How the branch for drawings is trained: on crude drawings made of scenes, anywhere in the frame."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import torch
from PIL import Image
from torch import Generator, Tensor

from minit2i.captions import full_caption
from minit2i.control import Branch, Controlled
from minit2i.device import device_of
from minit2i.pictures import to_float, to_pil
from minit2i.prompts import prompt
from minit2i.scenes import LAYOUT, Scene
from minit2i.sketch import Sketcher
from minit2i.unet import denoising_loss
from minit2i.viz import grid

from .batches import drop_captions, new_scenes, python_rng, render_all
from .denoiser import DenoiserRecipe
from .drawings import crude_drawings
from .inpaint import InpaintData, InpaintRecipe
from .recipe import Recipe


@dataclass(frozen=True)
class SketchRecipe(Recipe):
    """The branch alone learns; the denoiser beside it is frozen, and is told no layout."""

    batch: int = 32
    minutes: float = 45
    lr: float = 3e-3
    needs: ClassVar[tuple[str, ...]] = ("tokenizer", "clip", "autoencoder", "denoiser")

    def load_data(self, folder: str | Path) -> InpaintData:
        return InpaintRecipe().load_data(folder)

    def build(self, data: InpaintData) -> Branch:
        return Branch.of(data.t2i.denoiser)

    def loss(self, model: Branch, data: InpaintData, generator: Generator) -> Tensor:
        rng, t2i, on = python_rng(generator), data.t2i, device_of(model)
        scenes = [anywhere(scene, rng) for scene in new_scenes(self.batch, generator)]
        with torch.no_grad():
            pictures = to_float(render_all(scenes).to(on))
            drawings = crude_drawings(scenes, generator).to(on)
            captions = [
                full_caption(scene)
                if rng.random() < DenoiserRecipe.in_full
                else prompt(scene, rng, data.meaningless).text
                for scene in scenes
            ]
            text, x_0 = t2i.encode(drop_captions(captions, rng)), t2i.encode_pictures(pictures)
        told = {"layout": torch.zeros(len(scenes), LAYOUT, device=on), "drawing": drawings}
        settings = DenoiserRecipe.weighting, DenoiserRecipe.bell
        model = Controlled(t2i.denoiser, model)
        return denoising_loss(model, t2i.schedule, x_0, text, generator, *settings, **told)

    @torch.no_grad()
    def sheet(self, model: Branch, data: InpaintData) -> Image.Image:
        """Scenes, crude drawings of them, and what these become."""
        generator = Generator().manual_seed(2)
        rng = python_rng(generator)
        scenes = [anywhere(scene, rng) for scene in new_scenes(16, generator)]
        pictures = to_float(render_all(scenes).to(device_of(model)))
        drawings = crude_drawings(scenes, generator).to(device_of(model))
        drawn = Sketcher(data.t2i, model).draw(drawings, [full_caption(scene) for scene in scenes])
        return grid(to_pil(torch.cat([pictures, drawings, drawn])), columns=16, side=64)


def anywhere(scene: Scene, rng) -> Scene:
    """The scene at any place and of any size, for who draws does not keep to the middle."""
    size = rng.uniform(0.55, 0.95)
    room = (1 - size) / 2
    return replace(scene, x=rng.uniform(-room, room), y=rng.uniform(-room, room), size=size)
