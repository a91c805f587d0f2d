"""How the reader is trained: to say what scenes show and where the head is, though a part may be covered."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor

from minit2i.checkpoint import load_model
from minit2i.clip import CLIP
from minit2i.evaluate.train_judge import soften
from minit2i.images import to_float, to_pil
from minit2i.train.recipe import Recipe
from minit2i.utils import device_of
from minit2i.viz import grid
from minit2i.world.batches import new_scenes, one_each, render_all, scene_pictures
from minit2i.world.render import layout
from minit2i.world.scenes import ATTRIBUTES, Scene

from .masks import random_masks
from .scene_reader import SceneReader, SceneReaderConfig, read_scenes


@dataclass(frozen=True)
class ReaderRecipe(Recipe):
    """Scenes of the training split, softened a little, half of them with a part covered in grey."""

    batch: int = 64
    minutes: float = 3
    lr: float = 2e-3
    place: float = 20.0  # how much it counts where the head is
    needs: ClassVar[tuple[str, ...]] = ("clip",)

    def load_data(self, folder: str | Path) -> CLIP:
        return load_model("clip", folder)

    def build(self, data: CLIP) -> SceneReader:
        return SceneReader(SceneReaderConfig())

    def loss(self, model: SceneReader, data: CLIP, generator: Generator) -> Tensor:
        scenes, on = new_scenes(self.batch, generator), device_of(data)
        x = soften(to_float(render_all(scenes).to(on)), generator)
        covered = random_masks(self.batch, generator).to(on) * (one_each(x, generator) < 0.5)
        with torch.no_grad():
            tokens = data.image.tokens(x * (1 - covered))
        logits, heads = model(tokens)
        right = torch.tensor(
            [[values.index(getattr(scene, name)) for name, values in ATTRIBUTES.items()] for scene in scenes]
        )
        losses = (F.cross_entropy(logit, right[:, i].to(on)) for i, logit in enumerate(logits))
        return sum(losses) + self.place * F.l1_loss(heads, heads_of(scenes).to(on))

    @torch.no_grad()
    def preview(self, model: SceneReader, data: CLIP) -> Image.Image:
        pictures = to_float(scene_pictures("train", 16, 64, seed=2)[0]).to(device_of(data))
        shown = read_scenes(data, model, pictures)
        captions = [f"{s.animal}, {s.colour} {s.headwear}, {s.size:.2f}" for s, _ in shown]
        return grid(to_pil(pictures), captions=captions)


def heads_of(scenes: list[Scene]) -> Tensor:
    """The squares of the heads: left, top and side, (B, 3), as fractions of the frame."""
    return torch.tensor([layout(scene)[0][2:] for scene in scenes], dtype=torch.float32)
