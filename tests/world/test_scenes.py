"""Scenes: a number always gives the same scene, nothing leaks from the held-out split, pictures match it."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from PIL import Image

from minit2i.world.datasets import load_scenes
from minit2i.world.render import anchors, layout, paints, parts, render, sprite
from minit2i.world.scenes import (
    ANIMALS,
    BACKGROUNDS,
    COLOURS,
    EYEWEAR,
    HEADWEAR,
    HELD_OUT,
    STYLES,
    Scene,
    draw_scene,
    held_out,
)

CAT = Scene("cat", "baseball cap", "blue", "none", "green", "noto")


def every_head_and_hat():
    return [(s, a, h) for s in STYLES for a in ANIMALS for h in ("none", *HEADWEAR)]


# ---- Which scenes there are ----


def test_there_is_enough_of_everything():
    assert len(ANIMALS) >= 20
    assert (len(HEADWEAR), len(COLOURS), len(EYEWEAR), len(BACKGROUNDS), len(STYLES)) == (6, 8, 3, 8, 3)


def test_scene_is_the_same_each_time_it_is_drawn():
    assert [draw_scene(3, i) for i in range(50)] == [draw_scene(3, i) for i in range(50)]
    assert draw_scene(0, 0) != draw_scene(0, 1) != draw_scene(1, 1)
    assert draw_scene(0, 7, "train") != draw_scene(0, 7, "held_out")
    scene = replace(draw_scene(0, 0), x=0, y=0, size=0)  # trained weights rely on these never changing
    assert scene == Scene("hamster", "none", "none", "none", "grey", "twemoji", 0, 0, 0)


def test_held_out_triples_are_frozen():
    assert held_out("cat", "baseball cap", "blue")
    assert not any(held_out(animal, "none", "none") for animal in ANIMALS)
    assert len(HELD_OUT) == 157
    assert 0.13 <= len(HELD_OUT) / (len(ANIMALS) * len(HEADWEAR) * len(COLOURS)) <= 0.17


def test_training_still_shows_every_animal_every_hat_and_every_colour():
    kept = [(a, h, c) for a in ANIMALS for h in HEADWEAR for c in COLOURS if not held_out(a, h, c)]
    assert {(a, h) for a, h, _ in kept} == {(a, h) for a in ANIMALS for h in HEADWEAR}
    assert {(h, c) for _, h, c in kept} == {(h, c) for h in HEADWEAR for c in COLOURS}
    assert {(a, c) for a, _, c in kept} == {(a, c) for a in ANIMALS for c in COLOURS}


def test_splits_hold_what_they_say():
    for split, expected in (("train", {False}), ("held_out", {True}), ("all", {True, False})):
        scenes = [draw_scene(0, i, split) for i in range(1000)]
        assert {held_out(s.animal, s.headwear, s.colour) for s in scenes} == expected
    with pytest.raises(ValueError, match="split"):
        draw_scene(0, 0, "test")


def test_shares_of_bare_heads_and_of_eyewear():
    scenes = [draw_scene(1, i) for i in range(4000)]
    assert np.mean([s.headwear == "none" for s in scenes]) == pytest.approx(0.10, abs=0.02)
    assert np.mean([s.eyewear == "none" for s in scenes]) == pytest.approx(0.70, abs=0.03)
    assert all((s.headwear == "none") == (s.colour == "none") for s in scenes)


# ---- Pictures ----


def test_nothing_is_cut_off_at_the_extremes_of_the_jitter():
    for style, animal, hat in every_head_and_hat():
        for eyewear in EYEWEAR:
            for size, room in ((0.74, 0.06), (0.86, 0.06), (0.94, 0.02)):
                for sign in (-1, 1):
                    scene = Scene(animal, hat, "red", eyewear, "white", style, sign * room, sign * room, size)
                    for name, _, left, top, side in layout(scene):
                        box = parts()[style, name]["outline"] * side + (left, top, left, top)
                        assert box.min() > 0.005, scene
                        assert box.max() < 0.995, scene


def test_drawn_jitter_stays_within_those_extremes():
    for i in range(2000):
        scene = draw_scene(2, i)
        assert 0.74 <= scene.size <= 0.94
        assert max(abs(scene.x), abs(scene.y)) <= min(0.06, (0.98 - scene.size) / 2)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("hat", HEADWEAR)
def test_hat_leaves_both_eyes_free(style, hat):
    alpha = np.asarray(parts()[style, hat]["image"].getchannel("A"))
    for animal in set(ANIMALS) - {"penguin"}:  # which two styles draw from the side
        (_, _, left, top, side), (_, _, hat_left, hat_top, hat_side) = layout(
            Scene(animal, hat, "red", "none", "white", style)
        )
        eyes_x, eyes_y, distance = anchors()["heads"][style][animal]["eyes"]
        for eye_x in (eyes_x - distance / 2, eyes_x + distance / 2):
            x = int(512 * (left + side * eye_x - hat_left) / hat_side)
            y = int(512 * (top + side * eyes_y - hat_top) / hat_side)
            inside = 0 <= x < 512 and 0 <= y < 512
            assert not inside or alpha[y, x] < 128, animal


@pytest.mark.parametrize("style", STYLES)
def test_hat_is_unmistakably_of_its_colour(style):
    plain = np.float32([paints()["hats"][colour][1] for colour in COLOURS])
    for hat in HEADWEAR:
        for i, colour in enumerate(COLOURS):
            rgba = np.asarray(sprite(style, hat, colour, 64), np.float32)
            rgb = np.median(rgba[rgba[..., 3] > 200][:, :3], 0)
            distances = np.linalg.norm(plain - rgb, axis=1)
            assert distances.argmin() == i, (hat, colour, rgb)
            assert np.sort(distances)[1] > 2 * distances[i], (hat, colour, rgb)


def test_every_size_shows_the_same():
    for i in range(12):
        scene = draw_scene(0, i, "all")
        large = np.asarray(render(scene, 256).resize((64, 64), Image.BOX), np.float32)
        middle = render(scene, 64)
        assert np.abs(large - np.asarray(middle, np.float32)).mean() < 3
        small = np.asarray(render(scene, 32), np.float32)
        assert np.abs(np.asarray(middle.resize((32, 32), Image.BOX), np.float32) - small).mean() < 4


@pytest.mark.parametrize("size", [32, 33, 64, 100, 256, 1024])
def test_any_size_is_drawn(size):
    picture = render(replace(CAT, eyewear="glasses"), size)
    assert picture.size == (size, size)
    assert picture.mode == "RGB"
    assert picture.getpixel((0, 0)) == tuple(paints()["backgrounds"]["green"])


def test_smallest_size_draws_every_head_with_every_hat():
    for style, animal, hat in every_head_and_hat():
        colour = "none" if hat == "none" else "black"
        render(Scene(animal, hat, colour, "glasses", "pink", style, 0.013, -0.041, 0.741), 32)


def test_picture_moves_smoothly():
    """A quarter of a pixel to the right changes the picture, but by little."""
    first, second = (np.asarray(render(replace(CAT, x=x), 64), np.float32) for x in (0.0, 0.25 / 64))
    assert 0.2 < np.abs(first - second).mean() < 6


# ---- Many scenes ----


def test_load_scenes_keeps_the_scene_beside_picture_and_caption(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path)
    rows = load_scenes("held_out", n=5, size=32, seed=4)
    assert set(rows.column_names) == {"image", "caption", *asdict(CAT)}
    for i, row in enumerate(rows):
        scene = Scene(**{key: row[key] for key in asdict(CAT)})
        assert scene == draw_scene(4, i, "held_out")
        assert np.array_equal(np.asarray(row["image"]), np.asarray(render(scene, 32)))
        assert row["caption"]


def test_the_outlines_that_are_noted_are_those_of_the_art():
    noted = anchors()["outlines"]
    assert {(style, name) for style in noted for name in noted[style]} == parts().keys()
    for (style, name), part in parts().items():
        assert (np.array(noted[style][name]) / 512 == part["outline"]).all()
