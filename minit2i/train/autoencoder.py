"""How the autoencoder is trained: on scenes, drawn anew for each batch, to give back what it was shown."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor

from minit2i.autoencoder import Autoencoder, AutoencoderConfig, noised, reconstruction_loss
from minit2i.images import to_float, to_pil
from minit2i.utils import device_of
from minit2i.viz import grid
from minit2i.world.batches import new_scenes, render_all, scene_pictures

from .recipe import Recipe


@dataclass(frozen=True)
class AutoencoderRecipe(Recipe):
    """New scenes of the training split for each batch. noise: what is added to latents of unit scale.

    halved: how much it counts that latents at half the size mean the picture at half the size. Else fine
    detail hides in whatever pattern suits the decoder, and a denoiser has to learn that pattern
    (Skorokhodov et al. 2025, "Improving the diffusability of autoencoders"; Kouzelis et al. 2025, EQ-VAE).
    """

    batch: int = 16
    minutes: float = 10
    lr: float = 3e-3
    decay: float = 0.998
    noise: float = 0.1
    halved: float = 0.25
    config: AutoencoderConfig = AutoencoderConfig()

    def build(self, data: None) -> Autoencoder:
        return Autoencoder(self.config)

    def loss(self, model: Autoencoder, data: None, generator: Generator) -> Tensor:
        x = to_float(render_all(new_scenes(self.batch, generator)).to(device_of(model)))
        z = model.encode(x)
        whole = reconstruction_loss(model.decode(noised(z, self.noise, generator)), x)
        small = reconstruction_loss(model.decode(F.avg_pool2d(z, 2)), F.avg_pool2d(x, 2))
        return whole + self.halved * small

    @torch.no_grad()
    def preview(self, model: Autoencoder, data: None) -> Image.Image:
        """Pictures, what comes back, and their difference, enlarged."""
        x = to_float(scene_pictures("train", 8, 64, seed=2)[0]).to(device_of(model))
        x_hat = model(x).clamp(-1, 1)
        return grid(to_pil(torch.cat([x, x_hat, (4 * (x_hat - x)).clamp(-1, 1)])), columns=8)
