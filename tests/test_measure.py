"""The report: complete, with intervals that hold the value, and with baselines that mean what they say."""

import json

import pytest
import torch

from minit2i import scenes
from minit2i.errors import InputError
from minit2i.judge import QUESTIONS, Judge, JudgeConfig
from minit2i.measure import clothes
from minit2i.measure.clip import measure_clip
from minit2i.measure.report import evaluate, print_report
from minit2i.measure.scenes import attributes, copy_check
from minit2i.measure.shares import quantiles, share
from minit2i.pictures import to_tensor
from minit2i.render import render
from minit2i.unet import UNet, UNetConfig
from minit2i.weights import save_model


def test_a_share_comes_with_n_and_an_interval_around_it():
    entry = share(torch.tensor([True] * 9 + [False]))
    assert entry["value"] == 0.9
    assert entry["n"] == 10
    assert entry["interval"][0] < 0.9 < entry["interval"][1]


def test_joint_is_right_only_if_all_is_right():
    torch.manual_seed(0)
    drawn = [scenes.draw_scene(0, i, "all") for i in range(30)]
    pictures = torch.cat([to_tensor(render(scene)) for scene in drawn])
    report = attributes(Judge(JudgeConfig(widths=(8, 8))).eval(), pictures, drawn)
    assert report.keys() == {*QUESTIONS, "joint"}
    assert report["joint"]["value"] <= min(report[question]["value"] for question in QUESTIONS)


def test_the_copy_check_finds_a_copy():
    training = torch.randint(0, 256, (20, 3, 64, 64), dtype=torch.uint8)
    pictures = training[[3, 7]].float() / 127.5 - 1
    sheet = to_tensor(copy_check(pictures, training))
    above, below = sheet[:, :, 4:132], sheet[:, :, 136:264]  # each row is 128 pixels high, with gaps of 4
    assert torch.equal(above, below)


@pytest.fixture(scope="module")
def report(tiny_weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("judged")
    for file in tiny_weights.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    torch.manual_seed(0)
    fashion = UNetConfig(
        channels=1,
        picture_size=32,
        patch=2,
        widths=(16, 32),
        heads=2,
        embedding=32,
        text_width=32,
        text_pooled=32,
    )
    save_model(folder / "denoiser-fashion.safetensors", UNet(fashion), {})
    save_model(folder / "judge.safetensors", Judge(JudgeConfig(widths=(8, 8))), {})
    save_model(
        folder / "judge-fashion.safetensors", Judge(JudgeConfig(channels=1, widths=(8, 8), answers=(10,))), {}
    )
    return evaluate(folder, n=20, seed=0)[0]


def test_the_report_has_what_a_program_would_read(report):
    report = json.loads(json.dumps(report))
    for group in ("held_out", "seen", "ceiling"):
        for question in ("joint", "animal", "headwear", "colour", "background", "eyewear", "intact"):
            entry = report[group][question]
            assert entry["n"] == 20
            assert entry["interval"][0] <= entry["value"] <= entry["interval"][1]
    assert report["frechet"]["real"] < report["frechet"]["generated"]  # untrained weights draw no scenes
    assert set(report["clip"]) >= {
        "swap_animal",
        "swap_headwear",
        "swap_colour",
        "animal_naming",
        "emoji_noto",
    }


def test_the_untrained_upscaler_measures_as_bicubic_does(report):
    for entry in report["upscaler"].values():
        assert entry["psnr_ours"] == pytest.approx(entry["psnr_bicubic"], abs=0.01)


def test_the_report_can_be_read_by_people(report, capsys):
    print_report(report)
    printed = capsys.readouterr().out
    for words in ("held_out.joint", "seen minus held out", "Fréchet", "PSNR"):
        assert words in printed


def test_one_picture_makes_no_distance(tiny_weights):
    with pytest.raises(InputError, match="at least 2"):
        evaluate(tiny_weights, n=1)


def test_the_two_halves_of_real_clothes_have_no_picture_in_common(monkeypatch):
    pixels = torch.randint(0, 256, (100, 1, 32, 32), dtype=torch.uint8)
    compared = []
    monkeypatch.setattr(
        clothes, "clothes_pictures", lambda split: (pixels, ["a bag"] * 100, torch.zeros(100).long())
    )
    monkeypatch.setattr(
        clothes, "draw_many", lambda t2i, prompts, *_, **__: torch.zeros(len(prompts), 1, 32, 32)
    )
    monkeypatch.setattr(clothes, "features", lambda judge, pictures: pictures)
    monkeypatch.setattr(clothes, "frechet_distance", lambda a, b: compared.append((a, b)) or 0.0)
    judge = Judge(JudgeConfig(channels=1, widths=(8, 8), answers=(10,)))
    result = clothes.measure_clothes(None, judge, n=80, seed=0)
    assert result["accuracy"]["n"] == 80
    assert result["frechet"]["n"] == 50
    real, others = compared[-1]
    assert len(real) == len(others) == 50
    assert not (real[:, None] == others[None]).flatten(2).all(2).any()


def test_an_animal_is_named_with_the_article_that_training_uses(monkeypatch):
    asked = []

    class Spy:
        def embed(self, pictures):
            return torch.ones(len(pictures), 2)

        def embed_texts(self, texts):
            asked.extend(texts)
            return torch.ones(len(texts), 2)

    measure_clip(Spy(), n=2)
    assert "an owl" in asked
    assert not [text for text in asked if text.startswith("a owl")]


def test_quantiles():
    assert quantiles(torch.arange(101)) == {"median": 50, "percentile_10": 10, "n": 101}
