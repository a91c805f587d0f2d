"""The report: complete, with intervals that hold the value, and printed one way for whatever is in it."""

import json
import re

import pytest
import torch
from PIL import Image

from minit2i.checkpoint import NETWORKS
from minit2i.evaluate.judge import QUESTIONS
from minit2i.evaluate.report import Bench, as_markdown, as_text, evaluate, rows_of
from minit2i.evaluate.scenes import JOINT
from minit2i.evaluate.shares import in_fifties, number, quantiles, share
from minit2i.text2image import TextToImage
from minit2i.utils import InputError, resolve

MEASURED = {name: entry.measure for name, entry in NETWORKS.items() if entry.measure}
CHAPTERS = [name for name, measure in MEASURED.items() if not measure.startswith("evaluate.")]

# ---- What a report is made of ----


def test_a_share_comes_with_n_and_an_interval_around_it():
    for right in (torch.tensor([True] * 9 + [False]), [True] * 9 + [False]):
        entry = share(right)
        assert (entry["value"], entry["n"]) == (0.9, 10)
        assert entry["interval"][0] < 0.9 < entry["interval"][1]


def test_an_empty_share_is_none_and_printed_as_a_dash():
    for right in (torch.tensor([]), torch.ones(3).bool()[torch.zeros(3).bool()], []):
        assert share(right) == {"value": None, "n": 0, "interval": None}
    assert list(rows_of({"hats": share([])})) == [("hats", "-", "", "0")]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), torch.tensor(float("-inf"))])
def test_a_number_that_json_cannot_say_is_none(value):
    assert number(value, 3, "dB") == {"value": None, "n": 3, "unit": "dB"}
    assert list(rows_of({"x": number(value, 3, "dB")})) == [("x", "-", "", "3")]


def test_quantiles():
    found = quantiles(torch.arange(101))
    assert {name: entry["value"] for name, entry in found.items()} == {"median": 50, "10th percentile": 10}
    assert {(entry["n"], entry["unit"]) for entry in found.values()} == {(101, "dB")}
    assert [entry["value"] for entry in quantiles(torch.zeros(0)).values()] == [None, None]


def test_in_fifties_hands_out_every_part_once_in_order():
    parts = []

    def function(some: slice, i: int) -> torch.Tensor:
        parts.append((some.start, some.stop, i))
        return torch.arange(120)[some]

    assert torch.equal(in_fifties(function, 120, "counting"), torch.arange(120))
    assert parts == [(0, 50, 0), (50, 100, 1), (100, 120, 2)]


# ---- Printed ----


def test_every_leaf_is_a_row_with_the_words_on_the_way_to_it():
    figures = {
        "a": {"b": share([True, False]), "c": {"d": number(26.3456, 2000, "dB")}},
        "changed": number(0, 500),
        "flicker": number(0.01449, 5),
    }
    assert list(rows_of(figures)) == [
        ("a: b", "50.0 %", "9.5 to 90.5", "2"),
        ("a: c: d", "26.35 dB", "", "2,000"),
        ("changed", "0", "", "500"),
        ("flicker", "0.01449", "", "5"),
    ]


def test_a_report_is_printed_whole_as_text_and_as_markdown():
    report = {"n": 2000, "seed": 3, "sketch": {"overlap": number(0.82, 500)}, "clip": {"hat": share([True])}}
    text, markdown = as_text(report), as_markdown(report)
    for name in ("sketch", "clip"):
        title = f"{name}: {NETWORKS[name].about}"
        assert title in text.splitlines() and f"## {title}" in markdown.splitlines()
    for what, value in (("overlap", "0.8200"), ("hat", "100.0 %")):
        assert re.search(rf"^ +{what} +{value} ", text, re.MULTILINE)
        assert f"| {what} | {value} |" in markdown
    tables = [line for line in markdown.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} == {5}
    assert "minit2i evaluate -n 2000 --seed 3 --markdown" in markdown


# ---- Measured ----


def test_every_measure_that_the_registry_names_is_there():
    assert len(CHAPTERS) >= 4
    assert all(callable(resolve(measure)) for measure in MEASURED.values())


def test_the_report_has_what_a_program_would_read(measured):
    report = json.loads(json.dumps(measured[0], allow_nan=False))
    scenes = report["denoiser"]
    assert (report["n"], report["seed"]) == (2, 0)
    for group in ("drawn, combinations never seen", "drawn, combinations seen in training"):
        assert scenes[group].keys() == {JOINT, *QUESTIONS}
        assert {entry["n"] for entry in scenes[group].values()} == {2}
    assert scenes.keys() > {"real pictures (the ceiling)", "fidelity at 64x64", "fidelity at 256x256"}
    assert scenes["what people type: all that is said, and an intact picture"]["n"] == 2
    assert scenes["Fréchet distance"].keys() == {"drawn", "real", "their ratio"}
    swaps = report["clip"]["the right caption against one with"]
    assert len(swaps) == 6 and all("value" in entry for entry in swaps.values())
    assert set(report["clip"]["naming one animal of 20"]) == {
        "as it is", "a quarter of the way to noise", "half of the way"
    }  # fmt: skip
    assert report["clip"]["an emoji by its name, style never seen"].keys() == {"noto", "fluent"}
    for figures in report.values():
        for _, value, interval, n in rows_of(figures) if isinstance(figures, dict) else ():
            low, high = map(float, interval.split(" to ")) if interval else (0, 0)
            assert not interval or low <= float(value.split()[0]) <= high
            assert int(n.replace(",", "")) > 0


def test_all_is_loaded_once_and_little_is_looked_through_for_few_pictures(measured):
    _, noted, copies = measured
    assert sorted(noted["loaded"]) == [("denoiser",), ("denoiser-fashion",)]
    assert noted["looked through"] == [80]
    assert Image.open(copies).width > 200


def test_the_untrained_upscaler_measures_as_bicubic_does(measured):
    figures = measured[0]["upscaler"]
    ours = [name for name in figures if ", ours" in name]
    assert len(ours) == 6
    for name in ours:
        assert figures[name]["value"] == pytest.approx(
            figures[name.replace("ours", "bicubic")]["value"], abs=0.01
        )


def test_one_picture_makes_no_distance(judged_weights):
    with pytest.raises(InputError, match="at least 2"):
        evaluate(judged_weights, n=1)


def test_a_bench_loads_when_it_is_asked_and_once(judged_weights, monkeypatch):
    loaded = []
    monkeypatch.setattr(TextToImage, "load", lambda folder: loaded.append(folder) or object())
    bench = Bench(judged_weights)
    assert not loaded
    assert bench.t2i is bench.t2i and loaded == [judged_weights]
    assert bench.judge is bench.judge


@pytest.mark.parametrize("name", CHAPTERS)
def test_no_chapter_loads_the_pipeline_anew(name, judged_weights, monkeypatch):
    class Asked(Exception):
        pass

    class Asking(Bench):
        @property
        def t2i(self):
            raise Asked

    monkeypatch.setattr(TextToImage, "load", lambda *_: pytest.fail("loaded anew"))
    with pytest.raises(Asked):
        resolve(NETWORKS[name].measure)(Asking(judged_weights, 2))
