"""The report: complete, with intervals that hold the value, and with baselines that mean what they say."""

import json

import numpy as np
import pytest
import torch
from minit2i.evaluate.probes import linear_probe, middles
from minit2i.evaluate.wording import best_values, read_wording

from minit2i.checkpoint import save_model
from minit2i.evaluate import clothes, probes, wording
from minit2i.evaluate.clip import measure_naming, measure_swaps
from minit2i.evaluate.judge import QUESTIONS, Judge, JudgeConfig
from minit2i.evaluate.report import evaluate, print_report
from minit2i.evaluate.scenes import attributes, copy_check
from minit2i.evaluate.shares import quantiles, share
from minit2i.images import to_tensor
from minit2i.unet import UNet, UNetConfig
from minit2i.utils import InputError
from minit2i.world import scenes
from minit2i.world.batches import scene_pictures
from minit2i.world.render import paints, render
from minit2i.world.scenes import COLOURS, Scene


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
    prompts = read_wording("look")[:10]
    with pytest.MonkeyPatch.context() as patch:  # fewer, to be quick
        patch.setattr(probes, "TRAINING_SCENES", 200)
        patch.setattr(wording, "read_wording", lambda half: prompts)
        return evaluate(folder, n=20, seed=0)[0]


def test_the_report_has_what_a_program_would_read(report):
    report = json.loads(json.dumps(report))
    for group in ("held_out", "inpaint_cond", "ceiling"):
        for question in ("joint", "animal", "headwear", "colour", "background", "eyewear", "intact"):
            entry = report[group][question]
            assert entry["n"] == 20
            assert entry["interval"][0] <= entry["value"] <= entry["interval"][1]
    assert report["frechet"]["real"] < report["frechet"]["generated"]  # untrained weights draw no scenes
    assert set(report["clip"]) >= {
        *(f"swap_{name}" for name in ("animal", "headwear", "colour", "eyewear", "background", "hat")),
        *(f"animal_naming{noise}" for noise in ("", "_noised_quarter", "_noised_half")),
        *("wording_prompts", "wording_attributes", "caption_plain", "caption_meaningless"),
        *("emoji_noto", "emoji_high-contrast", "emoji_never_seen_emojione"),
        *("probe_animal", "probe_eyewear", "probe_place", "probe_place_baseline"),
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
    assert result["guidance"].keys() == {"1", "2"}
    assert result["guidance"]["2"]["accuracy"]["n"] == 80
    assert result["guidance"]["2"]["frechet"]["n"] == 50
    (real, others), *drawn = compared
    assert [others is against for _, against in drawn] == [True, True]
    assert len(real) == len(others) == 50
    assert not (real[:, None] == others[None]).flatten(2).all(2).any()


class Spy:
    """A matcher to whom everything is alike, and who notes what it was asked."""

    def __init__(self):
        self.asked = []
        self.model = torch.nn.Linear(1, 1)  # it only has to be somewhere
        self.model.embed_pictures = lambda pixels: torch.ones(len(pixels), 2)

    def embed(self, pictures):
        return torch.ones(len(pictures), 2)

    def embed_texts(self, texts):
        self.asked.extend(texts)
        return torch.ones(len(texts), 2)


def test_an_animal_is_named_with_the_article_that_training_uses():
    spy = Spy()
    measure_naming(spy, *scene_pictures("held_out", 2, 64, seed=0))
    assert "an owl" in spy.asked
    assert not [text for text in spy.asked if text.startswith("a owl")]


# ---- CLIP ----


def test_swapped_captions_differ_in_one_attribute_and_what_is_alike_counts_as_wrong():
    spy = Spy()
    pixels, shown = scene_pictures("held_out", 12, 64, seed=0)
    result = measure_swaps(spy, pixels, shown)
    assert {entry["value"] for entry in result.values()} == {0.0}
    own, swapped = spy.asked[48:60], spy.asked[60:72]  # of the third swap, the colours
    for scene, a, b in zip(shown, own, swapped, strict=True):
        assert scene.colour in a
        assert {*a.split()} ^ {*b.split()} <= {*COLOURS, "a", "an"}
    eyewear = spy.asked[72:96]
    assert all("glasses" in text for text in eyewear)
    hats = list(zip(spy.asked[-24:-12], spy.asked[-12:], strict=True))
    assert all(("no hat" in a) != ("no hat" in b) for a, b in hats)


def test_a_matcher_that_knows_colours_reads_colours():
    class Colours:
        """Embeds a hat's colour and nothing else, of texts by the word, of pictures by the nearest paint."""

        paints = torch.tensor([paints()["hats"][colour][1] for colour in COLOURS]).float()

        def embed(self, pictures):
            x = torch.stack([torch.from_numpy(np.array(p)).float() for p in pictures]).flatten(1, 2)
            near = (x[:, :, None] - self.paints).norm(dim=3) < 30  # (B, pixels, colours)
            return near.float().mean(1)

        def embed_texts(self, texts):
            return torch.tensor([[float(c in text) for c in COLOURS] for text in texts])

    matcher, right = Colours(), 0
    for i, colour in enumerate(COLOURS):
        asked = {"animal": "cow", "headwear": "sun hat", "colour": colour, "background": "grey"}
        [answers] = best_values(matcher, [f"a cow in a {colour} sun hat"], asked, i)
        assert answers.keys() == asked.keys()
        right += answers["colour"] == colour
    assert right >= 7


def test_a_linear_probe_finds_a_linear_answer():
    generator = torch.Generator().manual_seed(0)
    known, asked = (torch.randn(n, 10, generator=generator) * 3 + 1 for n in (500, 50))
    W = torch.randn(10, 2, generator=generator)
    torch.testing.assert_close(linear_probe(known, known @ W + 4, asked), asked @ W + 4, rtol=0.1, atol=0.3)


def test_the_middle_of_a_head_is_where_the_scene_is_moved_to():
    a, b = (Scene("cat", "none", "none", "none", "grey", "noto", x=x, size=0.8) for x in (0.0, 0.05))
    (x_a, y_a), (x_b, y_b) = middles([a, b]).tolist()
    assert x_b - x_a == pytest.approx(0.05)
    assert y_b == pytest.approx(y_a)
    assert x_a == pytest.approx(0.5, abs=0.05)


def test_quantiles():
    assert quantiles(torch.arange(101)) == {"median": 50, "percentile_10": 10, "n": 101}
