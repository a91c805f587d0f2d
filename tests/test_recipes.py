"""Recipes: their batches, and that each trains and draws on whatever device its network is on."""

import dataclasses
import random

import pytest
import torch
from torch import Generator, Tensor, nn

from minit2i.clip import CLIP, CLIPConfig
from minit2i.device import device
from minit2i.errors import InputError
from minit2i.text2image import TextToImage
from minit2i.training.batches import on_backgrounds, scene_pictures
from minit2i.training.clip import groups_by, half_alike
from minit2i.training.loop import Training
from minit2i.training.run import RECIPES
from minit2i.training.upscaler import UpscalerData
from minit2i.unet import UNet, UNetConfig
from minit2i.weights import load_tokenizer


def small(name: str):
    """A recipe with few scenes, which need no minute to render."""
    recipe = RECIPES[name]
    return dataclasses.replace(recipe, scenes=400) if hasattr(recipe, "scenes") else recipe


def moved(data, to: str):
    """The data with its tensors and networks on another device. (The upscaler makes its batches on the
    CPU.)"""
    if isinstance(data, UpscalerData):
        return data
    parts = data._asdict().items()
    return data._replace(**{key: part.to(to) for key, part in parts if isinstance(part, Tensor | nn.Module)})


@pytest.mark.parametrize("name", RECIPES)
def test_a_training_step_leaves_nothing_on_the_cpu(name):
    # A tensor on the "meta" device has a shape and no numbers. It cannot be combined with one on the CPU, so
    # a step that works there works on a GPU too, as far as devices go.
    recipe = small(name)
    data = moved(recipe.load_data("no folder"), "meta")
    training = Training(recipe.build(data).to("meta"), recipe.lr, recipe.weight_decay, recipe.decay)
    loss = recipe.loss(training.model, data, training.generator)
    assert loss.device.type == "meta"
    training.update(loss, progress=0.5)
    assert {p.device.type for p in training.average.parameters()} == {"meta"}
    # And the test can fail: with the network on the CPU and the data on meta it does.
    if not isinstance(data, UpscalerData):
        with pytest.raises((RuntimeError, NotImplementedError)):
            recipe.loss(recipe.build(data), data, training.generator)


def test_a_sampling_step_leaves_nothing_on_the_cpu():
    tokenizer = load_tokenizer()
    clip = CLIP(CLIPConfig(vocabulary=tokenizer.vocabulary)).to("meta")
    t2i = TextToImage(clip, tokenizer, UNet(UNetConfig()).to("meta"))
    for sampler in ("ddpm", "ddim", "dpm_solver"):
        steps = list(t2i.steps(["a cat"], steps=2, sampler=sampler))
        assert [step.x_prev.device.type for step in steps] == ["meta", "meta"]


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_a_real_gpu_trains_and_draws(kind, monkeypatch):
    if not {"cuda": torch.cuda, "mps": torch.backends.mps}[kind].is_available():
        pytest.skip(f"there is no {kind} here")
    monkeypatch.setenv("MINIT2I_DEVICE", kind)
    recipe = small("denoiser")
    data = recipe.load_data("no folder")
    training = Training(recipe.build(data).to(device()), recipe.lr)
    training.update(recipe.loss(training.model, data, training.generator), progress=0.5)
    drawn = TextToImage.load().draw(["a cat wearing a blue baseball cap"], steps=2)
    assert drawn.device.type == kind
    assert drawn.isfinite().all()


def test_the_device_is_the_one_that_was_named(monkeypatch):
    monkeypatch.setenv("MINIT2I_DEVICE", "cpu")
    assert device() == torch.device("cpu")
    monkeypatch.setenv("MINIT2I_DEVICE", "abacus")
    with pytest.raises(InputError, match="no device 'abacus' here, only.*cpu"):
        device()


@pytest.mark.parametrize("seed", range(5))
def test_no_picture_is_twice_in_a_batch_and_half_of_them_are_alike(seed):
    groups = groups_by([[i % 7, -1 - i % 11] for i in range(400)])
    chosen = half_alike(400, groups, 96, random.Random(seed))
    assert len(chosen) == len(set(chosen)) == 96
    of_a_group = max(len(set(chosen) & set(group)) for group in groups)
    assert of_a_group >= 16
    assert half_alike(400, groups, 96, random.Random(seed)) == chosen


def test_groups_name_nobody_twice():
    assert groups_by([["cat", "cat"]] * 16 + [["dog"]] * 15) == [list(range(16))]


def test_a_picture_on_a_background_grows_and_shrinks_alike():
    square = torch.zeros(400, 4, 32, 32, dtype=torch.uint8)
    square[:, :, 8:24, 8:24] = 255  # 16 pixels wide, on nothing
    square[:, :3, 8:24, 8:24] = 0  # and black
    drawn = on_backgrounds(square, Generator().manual_seed(0), jitter=0.25)
    background = drawn[:, :, :1, :1]
    width = ((drawn - background).abs().sum(1).amax(1) / (1 + background).sum(1)[..., 0]).clamp(0, 1).sum(1)
    factor = width[background.sum(dim=(1, 2, 3)) > -2] / 16  # where the background is not black as well
    assert 0.72 < factor.min() < 0.8
    assert 1.2 < factor.max() < 1.28
    assert abs(factor.mean() - 1) < 0.03
    assert torch.allclose(
        on_backgrounds(square, Generator().manual_seed(0), jitter=0.0)[:, :, 9:23, 9:23], -torch.ones(())
    )


def test_scenes_of_some_styles_only():
    pictures, scenes = scene_pictures("train", 20, 16, seed=3, styles=("noto",))
    assert pictures.shape == (20, 3, 16, 16)
    assert pictures.dtype == torch.uint8
    assert {scene.style for scene in scenes} == {"noto"}
