"""The judge: knows what was asked, can learn it, and takes nothing broken for a picture."""

import torch

from minit2i.checkpoint import load_model
from minit2i.evaluate.judge import QUESTIONS, Judge, JudgeConfig, truth, verdicts
from minit2i.evaluate.train_judge import (
    blend,
    break_pictures,
    half_denoise,
    judge_loss,
    shuffle_tiles,
    smear,
    soften,
)
from minit2i.trainer import Training, fit
from minit2i.world import scenes
from minit2i.world.render import render


def some(n: int) -> tuple[torch.Tensor, list[scenes.Scene]]:
    from minit2i.images import to_tensor

    drawn = [scenes.draw_scene(9, i, "all") for i in range(n)]
    return torch.cat([to_tensor(render(scene, 64)) for scene in drawn]), drawn


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
    right = truth(drawn)
    of_broken = right.clone()
    of_broken[:, -1] = 0
    model = Judge(JudgeConfig(widths=(16, 24, 32)))
    training = Training(model, lr=3e-3, decay=0.9)
    both, answers = torch.cat([pictures, broken]), torch.cat([right, of_broken])
    for _ in fit(training, lambda m, _: judge_loss(m, both, answers), steps=240):
        pass
    assert verdicts(training.average, pictures, drawn)["joint"].float().mean() > 0.9
    assert verdicts(training.average, broken, drawn)["intact"].float().mean() < 0.1
    # the right pictures for the wrong scenes
    assert verdicts(training.average, pictures, drawn[1:] + drawn[:1])["joint"].float().mean() < 0.2


def test_the_shipped_judge_calls_melted_scenes_broken_and_wobbly_ones_intact():
    pictures, drawn = some(120)  # of a seed that it was not trained on
    judge, generator = load_model("judge"), torch.Generator().manual_seed(0)
    melted = verdicts(judge, smear(pictures, generator), drawn)
    assert melted["intact"].float().mean() < 0.15
    assert verdicts(judge, soften(pictures, generator), drawn)["joint"].float().mean() > 0.95
