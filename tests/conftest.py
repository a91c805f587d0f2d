"""What many tests need: a folder of weights that fit together, tiny and untrained."""

import dataclasses

import pytest
import torch

from minit2i import checkpoint
from minit2i.clip import CLIP, CLIPConfig
from minit2i.describe.captioner import Captioner, CaptionerConfig
from minit2i.edit.scene_reader import SceneReader, SceneReaderConfig
from minit2i.sketch.controlnet import ControlNet
from minit2i.tokenizer import Tokenizer
from minit2i.unet import UNet, UNetConfig
from minit2i.upscaler import Upscaler, UpscalerConfig
from minit2i.video.planner import Planner, PlannerConfig
from minit2i.video.temporal import TemporalConfig, TemporalLayers
from minit2i.world.scenes import LAYOUT


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory):
    """A folder with tokenizer.json and the weights of all that draws and edits; do not write to it."""
    folder = tmp_path_factory.mktemp("tiny-weights")
    torch.manual_seed(0)
    captions = ["a cat wearing a blue baseball cap", "a dog in a red hat", "an image of a crying face"]
    tokenizer = Tokenizer.train(captions * 2, vocabulary=600)
    tokenizer.save(folder / "tokenizer.json")
    width = 32
    clip = CLIP(
        CLIPConfig(
            width=width,
            depth=1,
            heads=2,
            text_width=width,
            text_depth=1,
            text_heads=2,
            vocabulary=tokenizer.vocabulary,
            embedding=width,
        )
    )
    denoiser = UNet(
        UNetConfig(
            widths=(16, 32),
            blocks=1,
            heads=2,
            embedding=width,
            exit_channels=8,
            text_width=width,
            text_pooled=width,
            layout=LAYOUT,
        )
    )
    torch.nn.init.normal_(
        denoiser.conv_out[-1].weight, std=0.1
    )  # it starts at zero, and so would its pictures
    inpaint = UNet(dataclasses.replace(denoiser.config, inpaint_cond=4))
    inpaint.load_state_dict(inpaint.state_dict() | denoiser.state_dict())
    upscaler = Upscaler(UpscalerConfig(width=8, blocks=1))
    words = sorted({word for caption in captions for word in caption.split()})
    checkpoint.save_model(folder / "clip.safetensors", clip, {"name": "clip"})
    card = {
        "name": "denoiser",
        "words": words,
        "upscaler": True,
        "suggest_words": "world.parse:suggest_words",
    }
    card["random_layouts"] = "world.scenes:random_layouts"
    checkpoint.save_model(folder / "denoiser.safetensors", denoiser, card)
    checkpoint.save_model(folder / "inpaint.safetensors", inpaint, {"name": "inpaint"})
    planner = Planner(PlannerConfig(width=16, depth=1, heads=2, vocabulary=tokenizer.vocabulary))
    layers = TemporalLayers(
        TemporalConfig((16, 32, 32, 32, 16), entry=16, cond_width=width, heads=2, embedding=8)
    )
    captioner = Captioner(
        CaptionerConfig(tokenizer.vocabulary, width=16, depth=1, heads=2, picture_width=width)
    )
    made = {"planner": planner, "video": layers, "caption": captioner, "caption-blind": captioner}
    for name, model in made.items():
        checkpoint.save_model(folder / f"{name}.safetensors", model, {"name": name})
    checkpoint.save_model(folder / "sketch.safetensors", ControlNet.of(denoiser), {"name": "sketch"})
    reader = SceneReader(SceneReaderConfig(token_width=width, hidden=8))
    checkpoint.save_model(folder / "reader.safetensors", reader, {"name": "reader"})
    checkpoint.save_model(folder / "upscaler.safetensors", upscaler, {"name": "upscaler"})
    return folder
