"""Sheets, strips and scrubbers: everything that was given is there, once, and where it belongs."""

import base64
import html
import io
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from minit2i import viz

RED, GREEN, BLUE = ((255, 0, 0), (0, 255, 0), (0, 0, 255))


def plain(colour, size=8):
    return Image.new("RGB", (size, size), colour)


def frame(colour):
    return torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, 16, 16) / 127.5 - 1


def test_a_grid_holds_every_picture_in_reading_order():
    sheet = viz.grid([plain(RED), plain(GREEN), plain(BLUE)], columns=2, side=20)
    assert sheet.size == (2 * 24 + 4, 2 * 24 + 4)
    assert [sheet.getpixel(place) for place in ((14, 14), (38, 14), (14, 38), (38, 38))] == [
        RED,
        GREEN,
        BLUE,
        (255, 255, 255),
    ]


def test_long_captions_are_wrapped_below_their_picture():
    without = viz.grid([plain(RED)], side=64)
    sheet = viz.grid(
        [plain(RED)], captions=["a cat wearing a blue baseball cap on a green background"], side=64
    )
    assert sheet.width == without.width
    below = sheet.crop((0, without.height, sheet.width, sheet.height))
    assert below.height > 3 * 14
    assert below.getextrema()[0][0] < 128  # something dark is written there


@pytest.mark.parametrize("count", [2, 5, 8])
def test_picked_frames_keep_both_ends(count):
    frames = viz.pick_frames(list(range(50)), count)
    assert len(frames) == count
    assert (frames[0], frames[-1]) == (0, 49)
    assert viz.pick_frames([1, 2], 8) == [1, 2]


def test_a_film_has_all_frames(tmp_path):
    viz.save_film([plain(RED), plain(GREEN), plain(BLUE)], tmp_path / "film.gif")
    assert Image.open(tmp_path / "film.gif").n_frames == 3


def test_a_scrubber_is_one_piece_with_every_frame_and_label():
    frames = [frame(colour) for colour in (RED, GREEN, BLUE)]
    page = viz.scrubber(frames, 'a "square" that <changes>', ["first", "it's second", "third"])
    sheet = Image.open(io.BytesIO(base64.b64decode(re.search(r"base64,([^)]+)\)", page)[1]))).convert("RGB")
    assert sheet.size == (48, 16)
    for i, colour in enumerate((RED, GREEN, BLUE)):
        assert max(abs(a - b) for a, b in zip(sheet.getpixel((8 + 16 * i, 8)), colour, strict=True)) < 20
    assert json.loads(html.unescape(re.search(r'data-labels="([^"]*)"', page)[1])) == [
        "first",
        "it's second",
        "third",
    ]
    assert 'role="img" aria-label="a &quot;square&quot; that &lt;changes&gt;"' in page
    assert 'max="2"' in page
    assert "http" not in page


def test_each_picture_of_a_score_table_stands_above_its_column():
    table = np.asarray(
        viz.score_table(
            [plain(RED), plain(BLUE)], ["a long caption", "blue"], torch.tensor([[9.0, 1.0], [2.0, 0.0]])
        )
    )

    def middle(colour):
        return np.where((table == colour).all(axis=2))[1].mean()

    viridis_yellow = (253, 231, 36)  # the highest score, in the first column
    assert abs(middle(RED) - middle(viridis_yellow)) < 2
    assert middle(BLUE) > middle(RED) + 40


def test_a_loss_curve_falls_where_the_loss_does():
    orange = tuple(int(viz.ORANGE[i : i + 2], 16) for i in (1, 3, 5))

    def heights(losses: list[float]) -> np.ndarray:
        """How far below the top the running mean is drawn, from left to right; the legend lies above it."""
        rows, columns = np.where((np.asarray(viz.loss_curve(losses)) == orange).all(axis=2))
        under = np.array([rows[columns == column].max() for column in np.unique(columns)])
        return under[60:]  # what lies to the left may be the legend

    falling, rising = heights([1.0, 0.5, 0.25, 0.125]), heights([0.125, 0.25, 0.5, 1.0])
    assert len(falling) > 100 and (np.diff(falling) >= 0).all() and falling[-1] > falling[0] + 30
    assert len(rising) > 100 and rising[-1] < rising[0] - 30
    nothing = np.asarray(viz.loss_curve([float("nan")] * 4))
    assert (nothing == orange).all(axis=2).sum() < 100  # nothing but the line in the legend
