"""What is measured of edits: complete, and right where it is known what comes out."""

from dataclasses import replace
from functools import partialmethod
from types import SimpleNamespace

import pytest
import torch

from minit2i.edit import evaluate
from minit2i.edit.editor import Editor
from minit2i.evaluate.judge import Judge, JudgeConfig
from minit2i.evaluate.report import Bench
from minit2i.evaluate.shares import REAL_SEED
from minit2i.images import to_float
from minit2i.text2image import TextToImage
from minit2i.world.batches import render_all
from minit2i.world.render import layout
from minit2i.world.scenes import draw_scene


@pytest.mark.parametrize("i", range(8))
def test_one_thing_was_another_and_the_head_where_it_is(i):
    scene = draw_scene(REAL_SEED, i, "held_out")
    before, name = evaluate.another(scene, i)
    parts = vars(scene).keys() - {"x", "y", "size"}
    assert [part for part in parts if getattr(before, part) != getattr(scene, part)] == [name]
    assert name == evaluate.CHANGES[i % 4]
    assert layout(before)[0][2:] == pytest.approx(layout(scene)[0][2:])


def test_the_measures_of_ways_that_do_what_is_asked_and_of_one_that_does_nothing(tiny_weights, monkeypatch):
    t2i = TextToImage.load(tiny_weights)
    wanted = to_float(render_all([draw_scene(REAL_SEED, i, "held_out") for i in range(2)]))
    monkeypatch.setattr(Editor, "inpaint", lambda self, x, m, p, way="", **_: torch.where(m == 1, wanted, x))
    monkeypatch.setattr(Editor, "vary", lambda self, x, p, strength, **_: x)
    monkeypatch.setattr(Editor, "edit", lambda self, x, p, **_: SimpleNamespace(pictures=wanted))
    monkeypatch.setattr(t2i, "draw", lambda p, **_: -wanted)
    monkeypatch.setattr(evaluate, "extend", lambda editor, picture, *_, **__: picture.resize((320, 256)))
    bench = SimpleNamespace(folder=tiny_weights, n=8, seed=0, t2i=t2i)
    bench.judge = Judge(JudgeConfig(widths=(8, 8))).eval()
    result = evaluate.measure(bench)
    assert len(result) == 8
    for name, rows in result.items():
        assert all({"value", "n"} <= row.keys() for row in rows.values())
        if name != "pictures extended":
            assert rows["what was asked for"]["n"] == 2
    masked = result["edits with a mask, to a combination never seen"]
    assert masked["moved elsewhere"]["value"] == 0 and masked["changed elsewhere"]["value"] == 0
    assert masked["fidelity, median"]["unit"] == "dB"
    assert masked["fidelity, median"]["value"] is None or masked["fidelity, median"]["value"] > 40
    assert result["variations of strength 0.9"]["changed elsewhere"]["value"] == 0
    assert result["pictures drawn afresh"]["moved elsewhere"]["value"] > 0.1


def test_a_measure_of_tiny_networks_has_every_row(editor, monkeypatch):
    monkeypatch.setattr(Editor, "load", lambda folder, t2i: editor)
    monkeypatch.setattr(TextToImage, "steps", partialmethod(TextToImage.steps, steps=1))
    monkeypatch.setattr(Editor, "edit", partialmethod(Editor.edit, steps=1))
    bench = SimpleNamespace(folder="", n=4, seed=0, t2i=editor.t2i)
    bench.judge = Judge(JudgeConfig(widths=(8, 8))).eval()
    result = evaluate.measure(bench)
    assert result["edits from words alone"]["both"]["n"] == 1
    assert result["pictures extended"]["step across the seam"]["value"] > 0


def test_the_reader_is_right_about_what_it_reads_right_and_near(monkeypatch):
    scenes = [draw_scene(REAL_SEED, i, "held_out") for i in range(4)]
    squares = [list(layout(scene)[0][2:]) for scene in scenes]
    for square, shift in zip(squares, (0.0, 0.04, 0.06, 0.04), strict=True):
        square[0] += shift
    squares[3][2] += 0.08  # a larger square, too: 0.04 + 0.08 / 2 to the right, 0.04 below
    said = [replace(scenes[0], animal="cat" if scenes[0].animal != "cat" else "dog"), *scenes[1:]]
    monkeypatch.setattr(evaluate, "load_beside_denoiser", lambda folder, *names: list(names))
    monkeypatch.setattr(
        evaluate, "read_scenes", lambda clip, reader, x: list(zip(said, squares, strict=True))
    )
    bench = SimpleNamespace(folder="", n=4, t2i=SimpleNamespace(clip=None))
    values = {name: entry["value"] for name, entry in evaluate.measure_reader(bench).items()}
    assert [values.pop(name) for name in ("animal", "where the head is, read")] == [0.75, 0.5]
    assert values.pop("where the head is, if always the mean") >= 0.5
    assert values == dict.fromkeys(("headwear", "colour", "eyewear", "background", "style"), 1.0)


def test_the_pretrained_reader_is_measured_in_parts():
    figures = evaluate.measure_reader(Bench(n=52))
    assert {entry["n"] for entry in figures.values()} == {52}
    assert all(entry["value"] > 0.9 for name, entry in figures.items() if "mean" not in name)
