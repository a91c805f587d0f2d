"""The judge: knows what was asked, can learn it, and takes nothing broken for a picture."""

import torch
import torch.nn.functional as F

from minit2i.checkpoint import load_model
from minit2i.evaluate.judge import QUESTIONS, Judge, JudgeConfig, truth, verdicts
from minit2i.evaluate.train_judge import (
    JudgeData,
    JudgeRecipe,
    blend,
    break_pictures,
    half_denoise,
    judge_loss,
    shuffle_tiles,
    smear,
    soften,
)
from minit2i.images import to_float
from minit2i.trainer import Training, fit
from minit2i.world import scenes
from minit2i.world.batches import render_all


def some(n: int) -> tuple[torch.Tensor, list[scenes.Scene]]:
    drawn = [scenes.draw_scene(9, i, "all") for i in range(n)]
    return to_float(render_all(drawn)), drawn


def test_the_truth_is_read_off_the_scene():
    scene = scenes.Scene("cat", "baseball cap", "blue", "none", "green", "noto")
    right = truth([scene])[0].tolist()
    assert [answers[i] for answers, i in zip(QUESTIONS.values(), right, strict=True)] == [
        "cat",
        "baseball cap",
        "blue",
        "none",
        "green",
        "intact",
    ]


def test_broken_pictures_are_changed_but_stay_pictures():
    pictures, _ = some(12)
    generator = torch.Generator().manual_seed(0)
    for spoil in (shuffle_tiles, half_denoise, blend, smear, break_pictures):
        broken = spoil(pictures, generator)
        assert broken.shape == pictures.shape
        assert broken.abs().max() <= 1
        assert ((broken - pictures).abs().mean(dim=(1, 2, 3)) > 0.01).all(), spoil.__name__


def test_shuffled_tiles_keep_every_pixel():
    pictures, _ = some(2)
    shuffled = shuffle_tiles(pictures, torch.Generator().manual_seed(0))
    assert torch.equal(shuffled.flatten(2).sort().values, pictures.flatten(2).sort().values)


def test_it_learns_a_few_pictures_and_their_broken_twins():
    torch.manual_seed(0)
    pictures, drawn = some(12)
    broken = break_pictures(pictures, torch.Generator().manual_seed(0))
    pictures, broken = (F.avg_pool2d(x, 2) for x in (pictures, broken))  # small ones are learnt sooner
    right = truth(drawn)
    of_broken = right.clone()
    of_broken[:, -1] = 0
    training = Training(Judge(JudgeConfig(widths=(16, 24, 32))), lr=5e-3, decay=0.9)
    both, answers = torch.cat([pictures, broken]), torch.cat([right, of_broken])
    for _ in fit(training, lambda m, _: judge_loss(m, both, answers), steps=120):
        pass
    assert verdicts(training.average, pictures, drawn)["joint"].float().mean() > 0.9
    assert verdicts(training.average, broken, drawn)["intact"].float().mean() < 0.1
    # the right pictures for the wrong scenes
    assert verdicts(training.average, pictures, drawn[1:] + drawn[:1])["joint"].float().mean() < 0.2


def test_one_question_is_the_cross_entropy_of_its_answers():
    torch.manual_seed(0)
    model = Judge(JudgeConfig(channels=1, widths=(8, 8), answers=(10,)))
    pictures, labels = torch.rand(4, 1, 32, 32) * 2 - 1, torch.tensor([3, 0, 9, 3])
    expected = F.cross_entropy(model(pictures)[0], labels)
    assert torch.equal(judge_loss(model, pictures, labels[:, None]), expected)


def test_a_lesson_breaks_a_quarter_and_leaves_the_data_as_it_was():
    pictures, drawn = some(48)
    data = JudgeData(((pictures + 1) * 127.5).round().to(torch.uint8), truth(drawn), list(QUESTIONS.values()))
    x, right = JudgeRecipe().lesson(data, torch.arange(48), torch.Generator().manual_seed(0))
    assert x.shape == pictures.shape and x.abs().max() <= 1
    assert right[:, -1].tolist() == [0] * 12 + [1] * 36
    assert torch.equal(right[:, :-1], truth(drawn)[:, :-1]) and torch.equal(data.right, truth(drawn))
    changed = (x - pictures).abs().mean(dim=(1, 2, 3))
    assert changed[:12].mean() > 2 * changed[12:].mean()


def test_the_shipped_judge_calls_melted_scenes_broken_and_wobbly_ones_intact():
    pictures, drawn = some(120)  # of a seed that it was not trained on
    judge, generator = load_model("judge"), torch.Generator().manual_seed(0)
    melted = verdicts(judge, smear(pictures, generator), drawn)
    assert melted["intact"].float().mean() < 0.15
    assert verdicts(judge, soften(pictures, generator), drawn)["joint"].float().mean() > 0.95
