"""CLIP guidance, which lesson 05 builds on its page."""

import pytest
import torch
from on_page import on_page
from torch import Tensor
from torch.testing import assert_close

from minit2i.samplers import SAMPLERS, sample
from minit2i.schedule import Schedule

clip_guided = on_page("05", "clip_guided", torch=torch)
every_sampler = pytest.mark.parametrize("sampler", SAMPLERS)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def one_of(schedule: Schedule, members: Tensor):
    """The best denoiser there can be of pictures that are one of these."""

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        alpha_bar = schedule.alpha_bar[t][:, None]
        distance = (x_t.flatten(1)[:, None] - alpha_bar.sqrt()[:, None] * members.flatten(1)).square().sum(-1)
        return (torch.softmax(-distance / (2 * (1 - alpha_bar)), dim=1) @ members.flatten(1)).view_as(x_t)

    return denoise


def test_clip_guidance_moves_eps_by_the_formula():
    # the gradient by hand: score = a . x_0_hat with x_0_hat = tanh(x_t) has d score / d x_t = a (1 - tanh^2)
    schedule, a = Schedule.cosine(), noise(2, 4, 4, seed=5)
    x_t, t = noise(3, 2, 4, 4), torch.tensor([10, 500, 900])
    with torch.no_grad():
        x_0_hat = clip_guided(
            lambda x_t, t: x_t.tanh(), lambda x_0: (a * x_0).sum((1, 2, 3)), 0.7, schedule, clamp=False
        )(x_t, t)
    gradient = a * (1 - x_t.tanh().square())
    alpha_bar = schedule.alpha_bar[t][:, None, None, None]
    eps = (x_t - alpha_bar.sqrt() * x_t.tanh()) / (1 - alpha_bar).sqrt()
    expected = schedule.to_x_0("eps", eps - 0.7 * (1 - alpha_bar).sqrt() * gradient, x_t, t)
    assert_close(x_0_hat, expected, rtol=1e-4, atol=1e-4)
    assert not x_0_hat.requires_grad


@every_sampler
def test_clip_guidance_leads_to_what_scores_higher(sampler):
    schedule, members = Schedule.cosine(), noise(5, 3, 4, 4, seed=1).clamp(-1, 1)
    denoise, wanted = one_of(schedule, members), members[3]

    def score(x_0: Tensor) -> Tensor:
        return -(x_0 - wanted).square().sum((1, 2, 3))

    def mean_score(scale: float) -> Tensor:
        steered = clip_guided(denoise, score, scale, schedule)
        return score(sample(steered, (16, 3, 4, 4), schedule, sampler=sampler, steps=25)).mean()

    plain = score(sample(denoise, (16, 3, 4, 4), schedule, sampler=sampler, steps=25)).mean()
    assert_close(mean_score(0.0), plain, rtol=1e-3, atol=1e-3)
    assert mean_score(0.05) > plain + 5
    assert mean_score(0.3) > mean_score(0.05) + 5
