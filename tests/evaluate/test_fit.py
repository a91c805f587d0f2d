import math
import statistics
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import ImageFilter
from torch.testing import assert_close

from minit2i.evaluate.fit import fidelity, nearest_scene, nelder_mead
from minit2i.images import to_tensor
from minit2i.world import render as renderer  # the module, whose `layout` is changed below
from minit2i.world.render import layout, render
from minit2i.world.scenes import draw_scene

MANY = [scene for scene in (draw_scene(21, i, "all") for i in range(16)) if scene.headwear != "none"][:12]


def test_nelder_mead_finds_the_bottom_of_a_bowl_on_any_number_of_axes():
    for D in (1, 2, 3, 5):
        bottom = np.arange(1.0, D + 1)
        point, value = nelder_mead(
            lambda x, b=bottom: float((b * (x - b) ** 2).sum()) + 7, np.zeros(D), 0.5, 1e-7, 999
        )
        assert_close(point, bottom, atol=1e-5, rtol=0)
        assert value == pytest.approx(7)


def test_nelder_mead_follows_the_bent_valley_of_rosenbrock():
    point, value = nelder_mead(
        lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2, [-1.2, 1], 0.5, 1e-7
    )
    assert_close(point, np.ones(2), atol=1e-5, rtol=0)
    assert value < 1e-10


def test_nelder_mead_leaves_its_start_alone_and_stops_after_so_many_rounds():
    start, calls = np.zeros(2), []
    point, value = nelder_mead(lambda x: calls.append(x) or float(x.sum()), start, 1.0, 1e-9, rounds=10)
    assert start.tolist() == [0, 0]
    assert len(calls) <= 3 + 2 * 10 and value == point.sum() < -10  # downhill without end


def test_nelder_mead_equals_scipy_on_our_kind_of_function():
    minimize = pytest.importorskip("scipy.optimize").minimize

    def wavy(x):
        return float(np.square(x - [0.3, -0.2, 0.1]).sum() + 0.02 * np.sin(9 * x).sum())

    simplex = np.array([np.zeros(3), *0.1 * np.eye(3)])
    settings = {"initial_simplex": simplex, "xatol": 1e-6, "fatol": np.inf}
    expected = minimize(wavy, np.zeros(3), method="Nelder-Mead", options=settings)
    point, value = nelder_mead(wavy, np.zeros(3), 0.1, 1e-6)
    assert_close(point, expected.x, atol=1e-12, rtol=0)
    assert value == pytest.approx(expected.fun, abs=1e-12)


def test_real_scenes_are_found_again_whatever_place_and_style_the_asked_one_names():
    reached = []
    for scene in MANY:
        asked = replace(scene, style="fluent", x=0.0, y=0.0, size=0.84)
        found, psnr = nearest_scene(to_tensor(render(scene, 64))[0], asked)
        assert replace(found, x=scene.x, y=scene.y, size=scene.size) == scene  # with its true style
        for name in ("x", "y", "size"):  # to a 30th of a pixel
            assert getattr(found, name) == pytest.approx(getattr(scene, name), abs=0.0005), name
        reached.append(psnr)
    assert min(reached) > 55 and statistics.median(reached) > 60


def test_the_psnr_is_that_of_red_green_and_blue_to_the_scene_returned():
    picture = to_tensor(render(MANY[0], 64).filter(ImageFilter.GaussianBlur(1)))  # (1, 3, 64, 64)
    found, psnr = nearest_scene(picture[0], MANY[0])
    mse = (to_tensor(render(found, 64)) - picture).square().mean().item()
    assert psnr == pytest.approx(10 * math.log10(2**2 / mse), abs=1e-3)  # from -1 to 1 the peak is 2


def test_a_picture_equal_to_its_scene_has_no_error():
    bare = replace(MANY[0], headwear="none", colour="none", x=0.0, y=0.0, size=0.84)  # one of the starts
    found, psnr = nearest_scene(to_tensor(render(bare, 64))[0], bare)
    assert found == bare and psnr == math.inf


def median_psnr(pictures) -> float:
    return fidelity(to_tensor(pictures), MANY, processes=1).median().item()


@pytest.mark.parametrize("pixels, decibels", [(1, 28), (2, 23)])
def test_a_hat_out_of_place_costs_what_it_should(monkeypatch, pixels, decibels):
    def moved(scene):
        return [
            (n, c, x + pixels / 64 * (n == scene.headwear), y, side) for n, c, x, y, side in layout(scene)
        ]

    monkeypatch.setattr(renderer, "layout", moved)
    pictures = [render(scene, 64) for scene in MANY]
    monkeypatch.undo()
    assert median_psnr(pictures) == pytest.approx(decibels, abs=1.5)


def test_a_blur_of_one_pixel_costs_what_it_should():
    blurred = [render(scene, 64).filter(ImageFilter.GaussianBlur(1)) for scene in MANY]
    assert median_psnr(blurred) == pytest.approx(26, abs=1.5)


def test_one_process_and_two_give_the_same_in_the_same_order():
    pictures = to_tensor([render(scene, 64) for scene in MANY])
    alone = fidelity(pictures, MANY, processes=1)
    assert alone.shape == (len(MANY),) and alone.dtype == torch.float32
    assert torch.equal(alone, fidelity(pictures, MANY, processes=2))
    assert alone[3].item() == pytest.approx(nearest_scene(pictures[3], MANY[3])[1])


def test_a_process_that_searches_loads_no_torch():
    code = "import sys, minit2i.fit; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_no_pictures_have_no_psnr():
    assert fidelity(torch.zeros(0, 3, 64, 64), []).shape == (0,)


@pytest.mark.parametrize(
    "picture",
    [torch.zeros(3, 32, 32), torch.zeros(1, 64, 64), torch.zeros(64, 64, 3), torch.zeros(1, 3, 64, 64),
     torch.zeros(64, 64), torch.zeros(3, 64, 64, dtype=torch.uint8)],
)  # fmt: skip
def test_other_shapes_and_bytes_are_refused(picture):
    with pytest.raises(ValueError, match=r"\(B, 3, 64, 64\)"):
        nearest_scene(picture, MANY[0])
    with pytest.raises(ValueError, match=r"\(B, 3, 64, 64\)"):
        fidelity(picture[None], MANY[:1])


def test_every_picture_needs_its_scene():
    with pytest.raises(ValueError, match="one scene a picture"):
        fidelity(torch.zeros(2, 3, 64, 64), MANY[:1])
