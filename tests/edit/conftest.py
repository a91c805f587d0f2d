"""What the tests of editing share: a tiny editor without training, the pretrained one, pictures and masks."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from minit2i.autoencoder import Autoencoder, AutoencoderConfig
from minit2i.edit.editor import Editor
from minit2i.edit.scene_reader import SceneReader, SceneReaderConfig
from minit2i.text2image import TextToImage
from minit2i.unet import UNet, UNetConfig
from minit2i.world.noise_words import known_words
from minit2i.world.scenes import LAYOUT, STYLES

CONFIG = UNetConfig(
    channels=8,
    picture_size=16,
    patch=1,
    widths=(16, 32),
    heads=2,
    embedding=32,
    text_width=32,
    text_pooled=32,
    prediction="v",
    layout=LAYOUT,
)


def untrained(config: UNetConfig = CONFIG) -> UNet:
    """A small denoiser of latents in which nothing is zero, for zeros hide what it is conditioned on."""
    denoiser = UNet(config)
    for parameter in denoiser.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return denoiser.eval()


@pytest.fixture(scope="session")
def editor(tiny_weights) -> Editor:
    tiny = TextToImage.load(tiny_weights)
    torch.manual_seed(0)
    small = AutoencoderConfig(width=16, encoder_blocks=1, decoder_blocks=1, exit_channels=8)
    card = {**tiny.card, "words": [*known_words(), *STYLES]}  # as a pretrained one's: no warnings
    autoencoder = Autoencoder(small).eval()
    t2i = TextToImage(tiny.clip, tiny.tokenizer, untrained(), autoencoder, tiny.upscaler, card)
    reader = SceneReader(SceneReaderConfig(token_width=32, hidden=16)).eval()
    return Editor(t2i, reader, untrained(replace(CONFIG, inpaint_cond=9)))


@pytest.fixture(scope="session")
def pretrained() -> Editor:
    return Editor.load()


@pytest.fixture
def pictures() -> torch.Tensor:
    return 2 * torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) - 1


@pytest.fixture
def masks() -> torch.Tensor:
    masks = torch.zeros(2, 1, 64, 64)
    masks[0, :, 5:30, 9:40] = 1
    masks[1, :, 33:34, 20:60] = 1
    return masks


@pytest.fixture(scope="session")
def noise_picture():
    """A picture of noise, of this width and height."""

    def make(*size: int) -> Image.Image:
        return Image.fromarray(np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8))

    return make
