"""Pictures of any size: what is known stays the caller's own, and what is new goes on with it."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageChops

from minit2i.edit import any_size
from minit2i.upscaler import bicubic
from minit2i.utils import InputError

CAT = "a cat wearing a blue baseball cap"


@pytest.mark.parametrize("size", [(256, 256), (300, 200), (1, 1)])
def test_known_pixels_of_any_picture_are_the_callers_own(editor, noise_picture, size):
    picture = noise_picture(*size)
    mask = Image.new("L", (8, 8))
    mask.paste(255, (2, 2, 6, 5))
    drawn, mask = any_size.inpaint(editor, picture, mask, CAT, steps=1)
    assert drawn.size == size
    known = np.asarray(mask) == 0
    assert np.array_equal(np.asarray(drawn)[known], np.asarray(picture)[known])
    if size != (1, 1):
        assert known.any() and not np.array_equal(drawn, picture)
    empty = Image.new("L", size)
    assert np.array_equal(any_size.inpaint(editor, picture, empty, CAT, steps=1)[0], picture)
    assert any_size.inpaint(editor, picture, Image.new("L", size, 255), CAT, steps=1)[0].size == size
    assert any_size.vary(editor, picture, CAT, 0.5, steps=1).size == size
    edited, mask = any_size.edit(editor, picture, "a crown", steps=2, threshold=0.98)
    known = np.asarray(mask) == 0
    assert size == (1, 1) or (known.any() and not known.all())
    assert np.array_equal(np.asarray(edited)[known], np.asarray(picture)[known])


def test_a_mask_from_a_drawing_program_covers_its_strokes_alone(editor, noise_picture):
    picture, mask = noise_picture(256, 256), Image.new("RGBA", (256, 256))
    mask.paste("white", (30, 5, 235, 125))
    drawn, understood = any_size.inpaint(editor, picture, mask, CAT, steps=1)
    assert understood.getbbox() == (30, 5, 235, 125)
    changed = ImageChops.difference(drawn, picture)
    left, top, right, bottom = changed.getbbox()
    assert left >= 30 and top >= 5 and right <= 235 and bottom <= 125
    white_on_black = Image.new("L", mask.size)
    white_on_black.paste(255, (30, 5, 235, 125))
    assert np.array_equal(any_size.inpaint(editor, picture, white_on_black, CAT, steps=1)[0], drawn)


def test_a_picture_that_did_not_change_comes_back_as_it_was(editor, noise_picture, monkeypatch):
    picture = noise_picture(90, 60)
    assert np.array_equal(any_size.vary(editor, picture, CAT, 0), picture)
    monkeypatch.setattr(editor, "vary", lambda pictures, *rest, **settings: pictures.clone())
    assert np.array_equal(any_size.vary(editor, picture, CAT, 0.5), picture)  # whichever tensor says so


@pytest.mark.parametrize(
    ("side", "size", "pixels"),
    [(side, (90, 60), 100) for side in any_size.TOWARDS]
    + [("left", (256, 256), 64), ("up", (256, 256), 64), ("right", (256, 256), 400)],
)
def test_a_picture_grows_by_what_was_asked_for_and_keeps_what_it_was(
    editor, noise_picture, side, size, pixels, monkeypatch
):
    monkeypatch.setattr(editor, "inpaint", lambda pictures, *rest, **settings: pictures)
    picture = noise_picture(*size)
    grown = any_size.extend(editor, picture, [CAT], side, pixels)
    x, y = any_size.TOWARDS[side]
    assert grown.size == (size[0] + abs(x) * pixels, size[1] + abs(y) * pixels)
    left, top = pixels if x < 0 else 0, pixels if y < 0 else 0
    assert np.array_equal(grown.crop((left, top, left + size[0], top + size[1])), picture)


def test_what_is_new_is_drawn(editor, noise_picture):
    picture = noise_picture(60, 90)
    first, second = (any_size.extend(editor, picture, [CAT], "down", 30, steps=1, seed=s) for s in (0, 1))
    assert not np.array_equal(first, second)
    assert np.array_equal(first.crop((0, 0, 60, 90)), second.crop((0, 0, 60, 90)))


@pytest.mark.parametrize("side", any_size.TOWARDS)
def test_turned_twice_is_as_it_was_and_the_side_lies_to_the_right(side):
    x = torch.rand(1, 3, 5, 5)
    ends = {"left": x[..., 0], "right": x[..., -1], "up": x[..., 0, :], "down": x[..., -1, :]}
    assert torch.equal(any_size.turned(any_size.turned(x, side), side), x)
    right = any_size.turned(x, side)[..., -1]
    assert torch.equal(right, ends[side]) or torch.equal(right, ends[side].flip(-1))


@pytest.mark.parametrize("side", any_size.TOWARDS)
def test_no_seam_is_drawn_where_none_has_to_be(editor, side, monkeypatch):
    flat = Image.new("RGB", (256, 256), (250, 240, 60))
    monkeypatch.setattr(editor, "inpaint", lambda pictures, *rest, **settings: pictures)
    monkeypatch.setattr(editor.t2i, "enlarge", lambda small, size: bicubic(small, size, size).clamp(-1, 1))
    grown = np.asarray(any_size.extend(editor, flat, ["a cat"], side, 200)).astype(int)
    assert np.abs(grown - (250, 240, 60)).max() <= 1


def test_each_window_shows_what_its_prompt_says(editor, noise_picture, monkeypatch):
    shown = []

    def inpaint(pictures, masks, prompts, **settings):
        shown.append((prompts[0], round(masks.mean().item(), 2), settings["layout"][0, -3:].tolist()))
        return pictures

    monkeypatch.setattr(editor, "inpaint", inpaint)
    any_size.extend(editor, noise_picture(256, 256), ["a", "b", "c"], "right", 576)
    assert [prompt for prompt, _, _ in shown] == ["a", "b", "c"]
    for _, share, (x, y, size) in shown:
        assert (share, y) == (0.75, 0)
        assert (x, size) == pytest.approx((0.125, 0.735))
    shown.clear()
    any_size.extend(editor, noise_picture(256, 256), ["a"], "up", 256)  # what has no room goes on
    assert [(prompt, share) for prompt, share, _ in shown] == [("a", 0.75), ("a", 0.25)]


@pytest.mark.parametrize(
    ("side", "pixels", "prompts"),
    [("north", 9, ["a"]), ("left", 0, ["a"]), ("left", 9, []), ("up", 999, ["a"]), ("up", 2, ["a"] * 99)],
)
def test_an_impossible_extension_is_refused(editor, noise_picture, side, pixels, prompts):
    with pytest.raises(InputError, match="say by how many pixels|too far|too many"):
        any_size.extend(editor, noise_picture(9, 9), prompts, side, pixels)
