"""How the autoencoder is trained: on scenes, drawn anew for each batch, to give back what it was shown."""

from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Generator, Tensor

from minit2i.autoencoder import Autoencoder, AutoencoderConfig, noised, reconstruction_loss
from minit2i.device import device, device_of
from minit2i.pictures import to_float, to_pil
from minit2i.viz import grid

from .batches import new_scenes, render_all, scene_pictures
from .recipe import Recipe


@dataclass(frozen=True)
class AutoencoderRecipe(Recipe):
    """Scenes of the training split. noise: what is added to latents of unit scale."""

    batch: int = 16
    minutes: float = 10
    lr: float = 3e-3
    decay: float = 0.998
    noise: float = 0.05
    config: AutoencoderConfig = AutoencoderConfig()

    def load_data(self, folder: str | Path) -> None:
        return None

    def build(self, data: None) -> Autoencoder:
        return Autoencoder(self.config)

    def loss(self, model: Autoencoder, data: None, generator: Generator) -> Tensor:
        x = to_float(render_all(new_scenes(self.batch, generator)).to(device_of(model)))
        return reconstruction_loss(model.decode(noised(model.encode(x), self.noise, generator)), x)

    @torch.no_grad()
    def sheet(self, model: Autoencoder, data: None) -> Image.Image:
        """Pictures, what comes back, and their difference, enlarged."""
        x = to_float(scene_pictures("train", 8, 64, seed=2)[0]).to(device())
        x_hat = model(x).clamp(-1, 1)
        return grid(to_pil(torch.cat([x, x_hat, (4 * (x_hat - x)).clamp(-1, 1)])), columns=8)
