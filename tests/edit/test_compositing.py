"""Any picture in a square and back, any mask in black and white, and what is known stays, bit for bit."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from minit2i.edit.compositing import SIDE, Letterbox, composite, feather, match_colours, to_mask
from minit2i.images import read_image
from minit2i.utils import InputError


@pytest.mark.parametrize("size", [(1, 1), (256, 256), (300, 200), (31, 500), (700, 700), (1, 100_000)])
def test_a_picture_is_fitted_and_comes_back_at_its_size(size, noise_picture):
    picture = noise_picture(*size)
    fitted = Letterbox(picture)
    assert fitted.square.size == (SIDE, SIDE)
    assert fitted.back(fitted.square).size == size
    if size == (SIDE, SIDE):
        assert np.array_equal(fitted.square, picture)
    flat = Image.new("RGB", size, (10, 200, 30))
    assert np.array_equal(Letterbox(flat).back(Letterbox(flat).square), flat)


# ---- Masks as people make them ----

MARKED = np.zeros((48, 64), bool)
MARKED[10:30, 20:51] = True


def painted(mode: str, ground, stroke) -> Image.Image:
    if mode == "I;16":  # PIL itself pastes other numbers
        return Image.fromarray(np.where(MARKED, stroke, ground).astype(np.uint16))
    picture = Image.new(mode, MARKED.shape[::-1], ground)
    picture.paste(stroke, (20, 10, 51, 30))
    return picture


def in_palette(picture: Image.Image) -> Image.Image:
    return picture.quantize(16, method=Image.Quantize.FASTOCTREE)


def over(picture: Image.Image, alpha: int) -> Image.Image:
    picture.putalpha(alpha)
    return picture


HAND_MADE = {
    "white on black, L": painted("L", 0, 255),
    "white on black, RGB": painted("RGB", "black", "white"),
    "light on dark, RGB": painted("RGB", (60, 30, 90), (240, 230, 90)),
    "white on black, 1": painted("1", 0, 1),
    "white on black, P": in_palette(painted("RGB", "black", "white")),
    "white on black, 16 bits": painted("I;16", 0, 65535),
    "light on dark, 16 bits": painted("I;16", 9000, 40_000),
    "white on black, nothing transparent": painted("RGBA", "black", "white"),
    "white on black, all of it half transparent": over(painted("RGB", "black", "white"), 100),
    "white on black, LA": over(painted("L", 0, 255), 255),
    "white on transparent": painted("RGBA", (0, 0, 0, 0), (255, 255, 255, 255)),
    "white on transparent white": painted("RGBA", (255, 255, 255, 0), (255, 255, 255, 255)),
    "black on transparent": painted("RGBA", (0, 0, 0, 0), (0, 0, 0, 255)),
    "grey on transparent": painted("RGBA", (0, 0, 0, 0), (128, 128, 128, 255)),
    "a red highlighter on transparent": painted("RGBA", (255, 255, 255, 0), (255, 0, 0, 90)),
    "white on transparent, LA": painted("LA", (0, 0), (255, 255)),
    "black on transparent, LA": painted("LA", (0, 0), (0, 255)),
    "black on transparent, P": in_palette(painted("RGBA", (0, 0, 0, 0), (0, 0, 0, 255))),
    "white on transparent, P": in_palette(painted("RGBA", (0, 0, 0, 0), (255, 255, 255, 255))),
}


@pytest.mark.parametrize("name", HAND_MADE)
def test_what_is_marked_is_drawn_anew_and_nothing_else(name, tmp_path):
    picture = HAND_MADE[name]
    picture.save(tmp_path / "mask.png")
    for mask in (picture, read_image(tmp_path / "mask.png")):
        assert np.array_equal(to_mask(mask, mask.size), np.where(MARKED, 255, 0)), mask.mode


@pytest.mark.parametrize(
    ("mode", "colour", "marked"),
    [("L", 0, 0), ("RGB", "white", 255), ("RGBA", (0, 0, 0, 255), 0), ("RGBA", (255, 255, 255, 0), 0),
     ("RGBA", (255, 255, 255, 255), 255), ("LA", (0, 0), 0), ("1", 1, 255), ("I;16", 0, 0)],
)  # fmt: skip
def test_a_mask_that_is_white_black_or_empty_all_over(mode, colour, marked):
    mask = to_mask(Image.new(mode, (9, 5), colour), (20, 30))
    assert mask.size == (20, 30) and mask.mode == "L"
    assert np.array_equal(mask, np.full((30, 20), marked))


@pytest.mark.parametrize(
    ("mode", "colour"),
    [("L", 128), ("L", 200), ("RGB", (200, 40, 40)), ("RGBA", (99, 99, 99, 255)), ("RGBA", (99, 99, 99, 90)),
     ("LA", (150, 255)), ("I;16", 30_000)],
)  # fmt: skip
def test_a_mask_that_says_nothing_is_refused_in_one_line(mode, colour):
    with pytest.raises(InputError, match="^the mask is of one shade all over: .*$"):
        to_mask(Image.new(mode, (9, 5), colour), (9, 5))


def test_grey_and_coloured_masks_have_their_limit_at_the_middle_grey():
    mask = to_mask(Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)), (16, 16))
    assert np.array_equal(np.asarray(mask).ravel(), np.repeat([0, 255], 128).astype(np.uint8))
    rng = np.random.default_rng(0)
    for pixels in (rng.integers(0, 256, (30, 40), np.uint8), rng.integers(0, 256, (30, 40, 3), np.uint8)):
        picture = Image.fromarray(pixels)
        resized = picture.resize((70, 20), Image.Resampling.BILINEAR).convert("L")
        assert np.array_equal(to_mask(picture, (70, 20)), 255 * (np.asarray(resized) >= 128))


# ---- Laid in ----


@pytest.mark.parametrize("rim", [0, 3])
def test_what_is_known_is_laid_around_bit_for_bit(pictures, masks, rim):
    mixed = composite(pictures, -pictures, masks, rim)
    known = masks.expand_as(pictures) == 0
    assert torch.equal(mixed[known], pictures[known])
    inner = feather(masks, rim).expand_as(pictures) == 1
    assert torch.equal(mixed[inner], -pictures[inner])
    assert torch.equal(composite(pictures, -pictures, torch.ones_like(masks), rim), -pictures)
    assert torch.equal(composite(pictures, -pictures, torch.zeros_like(masks), rim), pictures)


def test_a_thin_mask_is_drawn_in_full():
    mask = torch.zeros(1, 1, 9, 9)
    mask[..., 4] = 1
    assert torch.equal(feather(mask, 3), mask)


def test_a_rim_rises_within_the_mask_and_not_at_the_edge_of_the_picture():
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 3:] = 1
    assert_close(feather(mask, 2)[0, 0, 4], torch.tensor([0, 0, 0, 1 / 3, 2 / 3, 1, 1, 1]))


def test_another_shade_of_the_same_is_brought_back_and_another_thing_is_not():
    known = torch.full((1, 3, 64, 64), 0.2)
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 20:50, 20:50] = 1
    assert_close(match_colours(known, known - 0.05, mask), known, atol=0.005, rtol=0)
    other = match_colours(known, known - 0.9, mask)
    assert (other - (known - 0.9)).abs().max() < 0.05
