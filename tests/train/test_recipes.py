"""Recipes: their batches, and that each trains and draws on whatever device its network is on."""

import copy
import dataclasses
import hashlib
import math
import random

import pytest
import torch
from torch import Generator, Tensor, nn

from minit2i.checkpoint import NETWORKS, load_tokenizer
from minit2i.clip import CLIP, CLIPConfig
from minit2i.edit.train import InpaintData
from minit2i.sketch.train import SketchData
from minit2i.text2image import TextToImage
from minit2i.tokenizer import Tokenizer
from minit2i.train.clip import ClipRecipe, Emoji, alike_scenes, answers, fits
from minit2i.train.denoiser import DenoiserRecipe, drop_layouts
from minit2i.train.recipe import recipe_for
from minit2i.train.restyle import CHANGES, hue, outline, palette, restyle
from minit2i.train.upscaler import UpscalerData
from minit2i.trainer import Training
from minit2i.unet import UNet, UNetConfig
from minit2i.utils import InputError, device
from minit2i.world.batches import gaussian_window, on_backgrounds, scene_pictures
from minit2i.world.captions import ANY, Prompt
from minit2i.world.datasets import load
from minit2i.world.scenes import LAYOUT, Scene, held_out


def small(name: str):
    """A recipe with few scenes, which need no minute to render."""
    recipe = recipe_for(name)
    return dataclasses.replace(recipe, scenes=8) if hasattr(recipe, "scenes") else recipe


@pytest.fixture(scope="module", autouse=True)
def few_pictures():
    """A quarter of the emoji's concepts, in all styles, and few clothes: reading them all takes long."""
    named = {"crying face", "cat face", "cat", "crown", "pizza"}

    def few(name: str, split: str = "train"):
        rows = load(name, split)
        if name == "fashion_mnist":
            return rows.select(range(200))
        concepts = zip(rows["name"], rows["codepoint"], strict=True)
        return rows.select(
            [i for i, (n, code) in enumerate(concepts) if n in named or hash_of(code) % 4 == 0]
        )

    def hash_of(text: str) -> int:
        return hashlib.sha256(text.encode()).digest()[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minit2i.world.batches.load", few)
        yield


def moved(data, to: str):
    """The data with its tensors and networks on another device. (The upscaler makes its batches on the
    CPU.)"""
    if data is None or isinstance(data, UpscalerData):
        return data
    if isinstance(data, nn.Module):
        return data.to(to)
    if isinstance(data, TextToImage):
        return TextToImage(data.clip.to(to), data.tokenizer, data.denoiser.to(to), data.autoencoder.to(to))
    if isinstance(data, InpaintData | SketchData):
        return data._replace(t2i=moved(data.t2i, to))
    if isinstance(data, Tokenizer):
        return data
    parts = data._asdict().items()
    return data._replace(**{key: part.to(to) for key, part in parts if isinstance(part, Tensor | nn.Module)})


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "tokenizer"])
def test_a_training_step_leaves_nothing_on_the_cpu(name):
    # A tensor on the "meta" device has a shape and no numbers. It cannot be combined with one on the CPU, so
    # a step that works there works on a GPU too, as far as devices go.
    recipe = small(name)
    data = recipe.load_data("no folder")
    model = recipe.build(data)
    data = moved(data, "meta")
    training = Training(copy.deepcopy(model).to("meta"), recipe.lr, recipe.weight_decay, recipe.decay)
    loss = recipe.loss(training.model, data, training.generator)
    assert loss.device.type == "meta"
    training.update(loss, progress=0.5)
    assert {p.device.type for p in training.average.parameters()} == {"meta"}
    # And the test can fail: with the network on the CPU and the data on meta it does.
    if not (data is None or isinstance(data, UpscalerData | Tokenizer) or name == "caption-blind"):
        with pytest.raises((RuntimeError, NotImplementedError)):
            recipe.loss(model, data, training.generator)


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


# ---- CLIP's batches ----


def named(i: int, *keywords: str) -> dict:
    """An emoji of a concept of its own."""
    return {"name": f"thing {i}", "keywords": list(keywords), "style": "noto", "codepoint": str(i)}


@pytest.mark.parametrize("seed", range(5))
def test_no_concept_is_twice_in_a_batch_and_half_of_them_are_alike(seed):
    emoji = Emoji([named(i, f"group {i // 8}") for i in range(400)])
    chosen = emoji.rows(88, 1, random.Random(seed))
    assert len(chosen) == len(set(chosen)) == 88
    whole = sum(len(set(group) & set(chosen)) >= 7 for group in emoji.alike)
    assert 4 <= whole <= 8  # six are drawn, of which one may come twice
    assert emoji.rows(88, 1, random.Random(seed)) == chosen


def test_groups_name_nobody_twice():
    entries = [named(i, "cat", "cat") for i in range(8)] + [named(8 + i, "dog") for i in range(7)]
    assert Emoji(entries).alike == [list(range(8))]


@pytest.fixture(scope="module")
def clip_data():
    return ClipRecipe(styles=("noto", "high-contrast")).load_data("no folder")


def test_a_batch_of_emoji_holds_each_concept_in_two_styles_side_by_side(clip_data):
    rows = clip_data.emoji.rows(128, 2, random.Random(0))
    assert 127 <= len(set(rows)) == len(rows) <= 128
    entries = [clip_data.emoji.entries[row] for row in rows]
    pairs = list(zip(entries[::2], entries[1::2], strict=False))
    alike = [a["codepoint"] == b["codepoint"] and a["style"] != b["style"] for a, b in pairs]
    assert all(alike[:-4])  # the few concepts that are drawn in one style only stand last


def test_a_text_fits_all_emoji_that_have_its_words(clip_data):
    row = next(i for i, entry in enumerate(clip_data.emoji.entries) if entry["name"] == "crying face")
    for seed in range(20):
        text, keys = clip_data.emoji.caption(row, random.Random(seed))
        fitting = clip_data.emoji.tags[:, [clip_data.emoji.column[key] for key in keys]].all(1).tolist()
        named = ("name", clip_data.emoji.entries[row]["codepoint"]) in keys
        assert fitting == [
            entry["name"] == "crying face" if named else all(key in entry["keywords"] for key in keys)
            for entry in clip_data.emoji.entries
        ], text
        assert fitting[row]


def test_a_batch_knows_right_wrong_and_undecided(clip_data):
    cat = Scene("cat", "crown", "red", "none", "blue", "noto")
    names = ("cat face", "cat", "crown", "pizza")
    rows = [next(i for i, e in enumerate(clip_data.emoji.entries) if e["name"] == name) for name in names]
    needed = [[("name", clip_data.emoji.entries[row]["codepoint"])] for row in rows]
    says = Prompt("a cat", {"animal": "cat"})
    right, wrong = answers(clip_data.emoji, [cat], [says], rows, needed)
    assert right.tolist() == torch.eye(5, dtype=bool).tolist()
    assert not (right & wrong).any()
    # Left open: whether the scene is "a cat face", "a cat" or "a crown", and whether a cat's face is "a cat".
    assert wrong[0].tolist() == [False, False, False, False, True]
    assert wrong[:, 0].tolist() == [False, False, True, False, True]
    assert wrong[1, 1:].tolist() == [False, False, True, True]
    assert wrong[2, 1:].tolist() == [True, False, True, True]


def test_families_of_scenes_are_alike_and_none_is_held_out():
    chosen = alike_scenes(64, random.Random(0))
    assert len(chosen) == 64
    assert not any(held_out(s.animal, s.headwear, s.colour) for s in chosen)
    names = ("animal", "headwear", "eyewear", "background")  # a colour goes with the hat
    for i in range(0, 64, 8):
        for scene in chosen[i + 1 : i + 8]:
            others = sum(getattr(scene, name) != getattr(chosen[i], name) for name in names)
            assert others <= 2
            assert others >= 1 or scene.colour != chosen[i].colour
            assert (scene.headwear == "none") == (scene.colour == "none")


def test_fits_reads_what_is_said_and_leaves_open_what_is_not():
    cat = Scene("cat", "crown", "red", "none", "blue", "noto")
    bare = dataclasses.replace(cat, headwear="none", colour="none")
    says = [
        {},
        {"animal": "cat"},
        {"headwear": ANY},
        {"headwear": "none"},
        {"headwear": ANY, "colour": "blue"},
    ]
    assert fits([cat, bare], says).tolist() == [
        [True, True, True, False, False],
        [True, True, False, True, False],
    ]


# ---- What all that learn to denoise share ----


def test_a_layout_is_left_out_whole_and_as_often_as_is_said():
    layouts = torch.ones(2000, LAYOUT)
    dropped = drop_layouts(layouts, Generator().manual_seed(0))
    assert set(dropped.sum(1).tolist()) == {0.0, LAYOUT}
    assert 0.08 < (dropped.sum(1) == 0).float().mean() < 0.12
    assert torch.equal(drop_layouts(layouts, Generator(), share=0.0), layouts)


def test_the_same_seed_gives_the_same_loss():
    """The number that the shipped weights' recipe gave when they were trained."""
    recipe = DenoiserRecipe(batch=4)
    data = recipe.load_data("no folder")
    torch.manual_seed(1)
    loss = recipe.loss(recipe.build(data), data, Generator().manual_seed(7))
    assert loss.item() == pytest.approx(0.94112, abs=1e-3)


def test_a_gaussian_window_sums_to_one_and_falls_off():
    window = gaussian_window(sigma=1.5, radius=5)
    assert window.shape == (11, 11)
    assert window.sum().item() == pytest.approx(1)
    assert (window[5, 7] / window[5, 5]).item() == pytest.approx(math.exp(-4 / (2 * 1.5**2)))


# ---- Augmentation ----


@pytest.mark.parametrize("name", ["palette", *CHANGES])
def test_a_change_of_style_keeps_shape_and_range_and_follows_the_seed(name):
    x = torch.rand(32, 3, 16, 16, generator=Generator().manual_seed(1)) * 2 - 1
    changed = restyle(x, Generator().manual_seed(0), (name,))
    assert changed.shape == x.shape
    assert changed.abs().max() <= 1
    touched = (changed != x).flatten(1).any(1)
    assert 0 < touched.sum() < 32
    assert torch.equal(changed, restyle(x, Generator().manual_seed(0), (name,)))
    assert torch.equal(restyle(x, Generator(), ()), x)


def test_a_palette_is_that_of_the_other_of_the_pair():
    noise = torch.randn(2, 1, 3, 32, 32, generator=Generator().manual_seed(1))
    dark, bright = noise[0] * 0.05 - 0.5, noise[1] * 0.2 + 0.4
    changed = palette(torch.cat([dark, bright]), Generator())
    assert abs(changed[0].mean() - 0.4) < 0.02
    assert changed[0].std() > 2 * dark.std()
    assert len(palette(torch.rand(3, 3, 8, 8), Generator())) == 3  # the last of an odd number has no other


def test_turning_the_hue_keeps_grey_and_brightness():
    x = torch.rand(16, 3, 8, 8)
    turned = hue(x, Generator().manual_seed(0))
    torch.testing.assert_close(turned.mean(1), x.mean(1))
    assert (turned - x).abs().max() > 0.1
    plain = x[:, :1].expand_as(x)
    torch.testing.assert_close(hue(plain, Generator()), plain)


def test_an_outline_is_white_where_nothing_changes():
    x = -torch.ones(1, 3, 16, 16)
    x[..., 8:] = 1
    lines = outline(x, Generator())
    assert (lines[..., :6] == 1).all()
    assert (lines[..., 7:9] < 0).all()


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
