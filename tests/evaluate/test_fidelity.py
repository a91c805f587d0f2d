"""Fidelity: what is equal has no error, and what is a little off costs what it should."""

import math
from types import SimpleNamespace

import pytest
import torch
from PIL import ImageFilter

from minit2i.evaluate.fidelity import fidelity
from minit2i.evaluate.scenes import measure_fidelity
from minit2i.images import to_float, to_tensor
from minit2i.world import render as renderer  # the module, whose `layout` is changed below
from minit2i.world.batches import render_all
from minit2i.world.captions import full_caption
from minit2i.world.render import layout, render
from minit2i.world.scenes import draw_scene

MANY = [draw_scene(21, i, "held_out") for i in range(12)]  # all with hats


@pytest.mark.parametrize("size", [64, 256])
def test_a_picture_equal_to_its_scene_has_no_error(size):
    assert fidelity(to_float(render_all(MANY[:3], size)), MANY[:3]).tolist() == [math.inf] * 3


def test_it_is_the_psnr_of_red_green_and_blue_to_the_scene_in_its_own_place_and_style():
    pictures = to_tensor([render(scene).filter(ImageFilter.GaussianBlur(1)) for scene in MANY])
    mse = (to_tensor([render(scene) for scene in MANY]) - pictures).square().mean(dim=(1, 2, 3))
    found = fidelity(pictures, MANY)
    assert found.shape == (12,) and found.dtype == torch.float32
    torch.testing.assert_close(found, 10 * torch.log10(2**2 / mse))  # from -1 to 1 the peak is 2
    assert found.median().item() == pytest.approx(26, abs=1.5)
    assert (fidelity(pictures, MANY[1:] + MANY[:1]) < found - 5).all()  # another scene


@pytest.mark.parametrize("pixels, decibels", [(1, 28), (2, 23)])
def test_a_hat_out_of_place_costs_what_it_should(monkeypatch, pixels, decibels):
    def moved(scene):
        return [
            (n, c, x + pixels / 64 * (n == scene.headwear), y, side) for n, c, x, y, side in layout(scene)
        ]

    monkeypatch.setattr(renderer, "layout", moved)
    pictures = to_tensor([render(scene) for scene in MANY])
    monkeypatch.undo()
    assert fidelity(pictures, MANY).median().item() == pytest.approx(decibels, abs=1.5)


def test_no_pictures_have_no_psnr():
    assert fidelity(torch.zeros(0, 3, 64, 64), []).shape == (0,)


@pytest.mark.parametrize(
    "pictures",
    [torch.zeros(2, 3, 64, 64), torch.zeros(1, 1, 64, 64), torch.zeros(1, 64, 64, 3), torch.zeros(3, 64, 64),
     torch.zeros(1, 3, 64, 32), torch.zeros(1, 3, 64, 64, dtype=torch.uint8)],
)  # fmt: skip
def test_other_shapes_bytes_and_counts_are_refused(pictures):
    with pytest.raises(ValueError, match=r"\(1, 3, S, S\)"):
        fidelity(pictures, MANY[:1])


def test_scenes_are_drawn_from_their_full_captions_on_their_own_layouts():
    def draw(captions, layout, seed):
        i = [[full_caption(s) for s in MANY].index(caption) for caption in captions]
        assert layout.tolist() == torch.tensor([MANY[k].layout_vector() for k in i]).tolist()
        seeds.append(seed)
        return to_float(render_all([MANY[k] for k in i])) * 0.9

    def enlarge(small, size):
        return small if size == 64 else small.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)

    seeds, t2i = [], SimpleNamespace(draw=draw, enlarge=enlarge, upscaler=object())
    found = measure_fidelity(SimpleNamespace(t2i=t2i, seed=2), MANY)
    expected = fidelity(
        draw([full_caption(s) for s in MANY], torch.tensor([s.layout_vector() for s in MANY]), 0), MANY
    )
    assert found["fidelity at 64x64"]["median"]["value"] == pytest.approx(
        expected.double().quantile(0.5).item()
    )
    assert found["fidelity at 256x256"]["median"]["value"] < found["fidelity at 64x64"]["median"]["value"]
    assert seeds[0] == 2000
    t2i.upscaler = None
    assert measure_fidelity(SimpleNamespace(t2i=t2i, seed=2), MANY).keys() == {"fidelity at 64x64"}
