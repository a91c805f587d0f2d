"""Masks, and the recipes of the inpainting denoiser and of the reader."""

import random

import pytest
import torch
from torch import Generator

from minit2i.checkpoint import load_model
from minit2i.edit.any_size import TOWARDS
from minit2i.edit.train import ReaderRecipe, covered_scenes, difference, random_masks, window
from minit2i.images import to_float
from minit2i.world.batches import render_all
from minit2i.world.scenes import draw_scene


def test_masks_are_black_and_white_and_of_all_sizes():
    masks = random_masks(60, Generator().manual_seed(0))
    assert masks.shape == (60, 1, 64, 64) and set(masks.unique().tolist()) == {0.0, 1.0}
    shares = masks.mean(dim=(1, 2, 3))
    assert shares.min() < 0.1 and shares.max() > 0.5
    assert torch.equal(masks, random_masks(60, Generator().manual_seed(0)))


def test_a_difference_covers_what_changed_and_so_many_pixels_around_it():
    a = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    b = a.clone()
    b[0, 1, 20:30, 40:44] = 255
    expected = torch.zeros(1, 1, 64, 64)
    expected[..., 18:32, 38:46] = 1
    assert torch.equal(difference(a, b, margin=2), expected)
    assert not difference(a, a, margin=2).any()


@pytest.mark.parametrize("seed", range(8))
def test_a_window_shows_the_scene_where_nothing_is_covered(seed):
    scene, rng = draw_scene(seed, 0), random.Random(seed)
    picture, mask, [shown] = window(scene, rng)
    rng = random.Random(seed)
    side, share = rng.choice(list(TOWARDS)), rng.uniform(0.1, 0.85)
    new = round(64 * share)
    expected = torch.zeros(1, 1, 64, 64)
    sides = {
        "left": expected[..., :new],
        "right": expected[..., -new:],
        "up": expected[..., :new, :],
        "down": expected[..., -new:, :],
    }
    sides[side].fill_(1)
    assert torch.equal(mask, expected)
    assert shown.background == scene.background
    there = to_float(render_all([shown]))
    covered = mask.expand_as(there) == 1
    assert torch.equal(picture[covered], there[covered])


def test_a_batch_has_a_mask_and_a_scene_for_each_picture():
    pictures, masks, scenes = covered_scenes(8, Generator().manual_seed(0), torch.device("cpu"))
    assert pictures.shape == (8, 3, 64, 64) and masks.shape == (8, 1, 64, 64) and len(scenes) == 8
    assert (masks.mean(dim=(1, 2, 3)) > 0).sum() >= 6


def test_a_reader_fits_the_clip_that_it_is_given(tiny_weights):
    clip, recipe = load_model("clip", tiny_weights), ReaderRecipe(batch=4)
    reader = recipe.build(clip)
    assert (reader.config.tokens, reader.config.token_width) == (16, clip.config.width)
    assert recipe.loss(reader, clip, Generator().manual_seed(0)).isfinite()
