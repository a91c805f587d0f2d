"""What is measured of drawings: right only if all is right, no copies, and two halves of real clothes."""

import pytest
import torch
from torch import nn

from minit2i.checkpoint import load_model
from minit2i.evaluate import scenes
from minit2i.evaluate.judge import QUESTIONS, Judge, JudgeConfig, features, truth
from minit2i.evaluate.report import Bench
from minit2i.evaluate.scenes import JOINT, attributes, copy_check, distances
from minit2i.images import to_float, to_tensor
from minit2i.text2image import TextToImage
from minit2i.train.denoiser import SCENES_SEED
from minit2i.world.batches import render_all
from minit2i.world.scenes import draw_scene


class Oracle(nn.Module):
    """A judge that answers what it is given: `right` (B, questions), whatever the pictures show."""

    def __init__(self, right: torch.Tensor):
        super().__init__()
        self.right, self.somewhere = right, nn.Parameter(torch.zeros(1))

    def forward(self, pictures):
        columns = zip(self.right.T, QUESTIONS.values(), strict=True)
        return [nn.functional.one_hot(column, len(answers)).float() for column, answers in columns]


def test_joint_is_right_only_if_all_is_right():
    asked = [draw_scene(0, i, "all") for i in range(8)]
    said = truth(asked)
    for i, question in enumerate(QUESTIONS):  # each of six pictures has one mistake, two have none
        said[i, i] = (said[i, i] + 1) % len(QUESTIONS[question])
    report = attributes(Oracle(said), torch.zeros(8, 3, 64, 64), asked)
    assert report.keys() == {JOINT, *QUESTIONS}
    assert report[JOINT]["value"] == 2 / 8
    assert {report[question]["value"] for question in QUESTIONS} == {7 / 8}


def test_noise_is_farther_from_scenes_than_other_scenes_are():
    some, others = (to_float(render_all([draw_scene(seed, i) for i in range(20)])) for seed in (1, 2))
    judge, noise = load_model("judge"), torch.rand(20, 3, 64, 64) * 2 - 1
    found = distances(judge, noise, some, features(judge, others))
    assert found["drawn"]["value"] > 2 * found["real"]["value"]
    assert found["their ratio"]["value"] == found["drawn"]["value"] / found["real"]["value"]


def test_the_copy_check_finds_a_copy():
    pictures = to_float(render_all([draw_scene(SCENES_SEED, i) for i in (3, 67)]))
    sheet = to_tensor(copy_check(pictures, 70))
    above, below = sheet[:, :, 4:132], sheet[:, :, 136:264]  # each row is 128 pixels high, with gaps of 4
    assert torch.equal(above, below)


def test_the_copy_check_never_holds_all_that_it_looks_through(monkeypatch):
    rendered = []
    monkeypatch.setattr(scenes, "render_all", lambda some: rendered.append(len(some)) or render_all(some))
    copy_check(torch.zeros(2, 3, 64, 64), 120)
    assert rendered == [50, 50, 20, 2]


def test_the_two_halves_of_real_clothes_have_no_picture_in_common(monkeypatch):
    pixels = torch.randint(0, 256, (100, 1, 32, 32), dtype=torch.uint8)
    compared = []
    monkeypatch.setattr(
        scenes, "clothes_pictures", lambda split: (pixels, ["a bag"] * 100, torch.zeros(100).long())
    )
    monkeypatch.setattr(
        scenes, "draw_many", lambda t2i, prompts, *_, **__: torch.zeros(len(prompts), 1, 32, 32)
    )
    monkeypatch.setattr(scenes, "features", lambda judge, pictures: pictures)
    monkeypatch.setattr(scenes, "frechet_distance", lambda a, b: compared.append((a, b)) or 0.0)
    judge = Judge(JudgeConfig(channels=1, widths=(8, 8), answers=(10,)))
    monkeypatch.setattr(scenes, "load_model", lambda *_: judge)
    monkeypatch.setattr(TextToImage, "load", lambda *_: None)
    result = scenes.measure_clothes(Bench(n=80))
    assert result["guidance 2: the class that was asked for"]["n"] == 80
    assert result["guidance 2: Fréchet distance"]["drawn"]["n"] == 50
    assert len(compared) == 4  # drawn and real, for both scales
    for drawn_or_real, others in compared:
        assert len(drawn_or_real) == len(others) == 50
        assert not (drawn_or_real[:, None] == others[None]).flatten(2).all(2).any()


@pytest.mark.parametrize("n, count", [(2, 80), (16, 640), (2000, 80_000), (10_000, 80_000)])
def test_as_many_training_pictures_are_looked_through_as_n_asks_for(n, count, monkeypatch):
    class Enough(Exception):
        pass

    def stop(pictures, looked_through):
        assert looked_through == count
        raise Enough

    nothing = torch.zeros(1, 3, 64, 64)
    monkeypatch.setattr(scenes, "scene_pictures", lambda *_, **__: (nothing, [draw_scene(0, 0)]))
    monkeypatch.setattr(scenes, "draw_many", lambda *_, **__: nothing)
    monkeypatch.setattr(scenes, "features", lambda *_: None)
    monkeypatch.setattr(scenes, "copy_check", stop)
    bench = Bench(n=n)
    bench.t2i = bench.judge = None
    with pytest.raises(Enough):
        scenes.measure(bench)
