"""The noise schedule says what it does and does what the papers say."""

import math

import pytest
import torch
from torch.testing import assert_close

from minit2i.schedule import PREDICTIONS, WEIGHTINGS, Schedule

SCHEDULES = {
    "linear": Schedule.linear(),
    "cosine": Schedule.cosine(),
    "shifted": Schedule.cosine().shifted(-2.0),
    "short": Schedule.linear(20),
}
every_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES.keys())


def pictures_and_noise(schedule: Schedule, n: int = 64):
    """n pictures in [-1, 1], as much noise, and timesteps that include both ends."""
    generator = torch.Generator().manual_seed(0)
    x_0 = 2 * torch.rand(n, 3, 4, 4, generator=generator) - 1
    eps = torch.randn(n, 3, 4, 4, generator=generator)
    t = torch.linspace(0, schedule.T - 1, n).round().long()
    return x_0, eps, t


@every_schedule
def test_quantities_follow_from_each_other(schedule):
    assert schedule.alpha_bar_prev[0] == 1
    assert_close(schedule.alpha_bar_prev[1:], schedule.alpha_bar[:-1])
    assert_close(schedule.alpha, 1 - schedule.beta)
    assert_close(schedule.alpha.double().cumprod(0).float(), schedule.alpha_bar, rtol=1e-4, atol=1e-6)
    assert_close(schedule.log_snr.exp(), schedule.snr)


@every_schedule
def test_the_picture_fades_into_noise_but_never_quite(schedule):
    assert (schedule.alpha_bar[1:] < schedule.alpha_bar[:-1]).all()
    assert (schedule.alpha_bar > 0).all() and (schedule.alpha_bar < 1).all()
    assert schedule.alpha_bar[-1] < 1e-4
    for name in ("alpha", "beta", "snr", "log_snr"):
        values = getattr(schedule, name)
        assert values.dtype == torch.float32 and values.shape == (schedule.T,)
        assert values.isfinite().all(), name


def test_shift_moves_log_snr_and_nothing_else():
    schedule = Schedule.cosine()
    shift = 2 * math.log(64 / 256)
    assert_close(schedule.shifted(shift).log_snr, schedule.log_snr + shift, rtol=1e-4, atol=1e-4)
    assert_close(schedule.shifted(0.0).alpha_bar, schedule.alpha_bar)
    assert (schedule.shifted(shift).alpha_bar < schedule.alpha_bar).all()


@pytest.mark.parametrize("name, theirs", [("linear", "linear"), ("cosine", "squaredcos_cap_v2")])
def test_equals_diffusers(name, theirs):
    diffusers = pytest.importorskip("diffusers")
    reference = diffusers.DDPMScheduler(beta_schedule=theirs)
    ours = SCHEDULES[name]
    assert_close(ours.beta, reference.betas, rtol=1e-4, atol=1e-7)
    assert_close(ours.alpha_bar, reference.alphas_cumprod, rtol=1e-4, atol=1e-7)
    x_0, eps, t = pictures_and_noise(ours)
    assert_close(ours.add_noise(x_0, eps, t), reference.add_noise(x_0, eps, t), rtol=1e-4, atol=1e-5)
    assert_close(ours.target("v", x_0, eps, t), reference.get_velocity(x_0, eps, t), rtol=1e-4, atol=1e-5)


@every_schedule
@pytest.mark.parametrize("fraction", [0.0, 0.3, 1.0])
def test_moments_of_the_noising(schedule, fraction):
    # q(x_t | x_0) has mean sqrt(alpha_bar) x_0 and variance 1 - alpha_bar (Ho et al. 2020, equation 4)
    t = round(fraction * (schedule.T - 1))
    alpha_bar = schedule.alpha_bar[t]
    n = 40_000
    eps = torch.randn(n, 1, 1, 2, generator=torch.Generator().manual_seed(0))
    x_0 = torch.tensor([-0.8, 0.5]).expand(n, 1, 1, 2)
    x_t = schedule.add_noise(x_0, eps, torch.full((n,), t))
    tolerance = 5 / math.sqrt(n)  # five standard errors
    assert_close(x_t.mean(0), alpha_bar.sqrt() * x_0[0], rtol=0, atol=tolerance)
    assert_close(x_t.var(0), (1 - alpha_bar).expand(1, 1, 2), rtol=math.sqrt(2) * tolerance, atol=0)


def test_adding_noise_step_by_step_is_adding_it_at_once():
    # x_t = sqrt(alpha_t) x_{t-1} + sqrt(beta_t) z (Ho et al. 2020, equation 2), T times over
    schedule = Schedule.linear(50)
    generator = torch.Generator().manual_seed(0)
    n = 40_000
    x_t = torch.full((n,), 0.7)
    for t in range(30):
        z = torch.randn(n, generator=generator)
        x_t = schedule.alpha[t].sqrt() * x_t + schedule.beta[t].sqrt() * z
    assert_close(x_t.mean(), 0.7 * schedule.alpha_bar[29].sqrt(), rtol=0, atol=5 / math.sqrt(n))
    assert_close(x_t.var(), 1 - schedule.alpha_bar[29], rtol=0, atol=5 * math.sqrt(2 / n))


@every_schedule
@pytest.mark.parametrize("kind", PREDICTIONS)
def test_a_perfect_prediction_gives_the_picture_back(schedule, kind):
    x_0, eps, t = pictures_and_noise(schedule)
    x_t = schedule.add_noise(x_0, eps, t)
    x_0_hat = schedule.to_x_0(kind, schedule.target(kind, x_0, eps, t), x_t, t)
    # from eps, x_t's rounding error comes back divided by sqrt(alpha_bar)
    error = (x_0_hat - x_0).abs().amax(dim=(1, 2, 3))
    signal = schedule.alpha_bar[t].sqrt() if kind == "eps" else torch.ones_like(error)
    assert_close(error * signal, torch.zeros_like(error), rtol=0, atol=3e-6)


@every_schedule
def test_ideal_prediction_for_gaussian_data(schedule):
    # if x_0 ~ N(0, I), then E[x_0 | x_t] = sqrt(alpha_bar) x_t and E[eps | x_t] = sqrt(1 - alpha_bar) x_t
    _, x_t, t = pictures_and_noise(schedule)
    alpha_bar = schedule.alpha_bar[t][:, None, None, None]
    x_0_hat = schedule.to_x_0("eps", (1 - alpha_bar).sqrt() * x_t, x_t, t)
    # an error of rounding in eps comes back divided by sqrt(alpha_bar)
    assert_close(alpha_bar.sqrt() * x_0_hat, alpha_bar * x_t, rtol=0, atol=1e-5)
    x_0_hat = schedule.to_x_0("v", torch.zeros_like(x_t), x_t, t)  # and the ideal v is 0: nothing moves
    assert_close(x_0_hat, alpha_bar.sqrt() * x_t)


@every_schedule
@pytest.mark.parametrize("kind", PREDICTIONS)
def test_weighted_errors_agree_whatever_is_predicted(schedule, kind):
    x_0, eps, t = pictures_and_noise(schedule)
    x_t = schedule.add_noise(x_0, eps, t)
    # one mistake, said in three ways: the picture is taken for another
    x_0_hat = x_0 + 0.1 * torch.randn(x_0.shape, generator=torch.Generator().manual_seed(1))
    alpha_bar = schedule.alpha_bar[t][:, None, None, None]
    eps_hat = (x_t - alpha_bar.sqrt() * x_0_hat) / (1 - alpha_bar).sqrt()
    error = (schedule.target(kind, x_0_hat, eps_hat, t) - schedule.target(kind, x_0, eps, t)).double()
    weighted = schedule.loss_weight(t, kind, "v") * error.square().mean(dim=(1, 2, 3))
    true = (schedule.target("v", x_0_hat, eps_hat, t) - schedule.target("v", x_0, eps, t)).double()
    # an eps error near pure noise is tiny beside eps, and lost in rounding
    enough = slice(None) if kind != "eps" else schedule.alpha_bar[t] > 1e-2
    assert_close(weighted[enough], true.square().mean(dim=(1, 2, 3))[enough], rtol=1e-2, atol=1e-6)


def test_loss_weights_by_their_formulas():
    schedule = Schedule.cosine()
    t = torch.arange(schedule.T)
    snr, alpha_bar = schedule.snr, schedule.alpha_bar
    assert_close(schedule.loss_weight(t, "v", "v"), torch.ones(schedule.T), rtol=2e-3, atol=0)
    assert_close(schedule.loss_weight(t, "x_0", "v"), 1 / (1 - alpha_bar), rtol=2e-3, atol=0)
    assert_close(schedule.loss_weight(t, "x_0", "clipped_v"), (1 + snr).clamp(max=20))
    assert_close(schedule.loss_weight(t, "eps", "v"), 1 / alpha_bar, rtol=2e-3, atol=0)
    for kind in PREDICTIONS:
        assert_close(schedule.loss_weight(t, kind, "none"), torch.ones(schedule.T))
        for weighting in WEIGHTINGS:
            assert schedule.loss_weight(t, kind, weighting).isfinite().all()


def test_draws_cover_both_ends():
    schedule = Schedule.linear(20)
    t = schedule.random_t(2_000, torch.Generator().manual_seed(0))
    assert t.dtype == torch.int64
    assert t.unique().tolist() == list(range(20))
    assert_close(t, schedule.random_t(2_000, torch.Generator().manual_seed(0)))


def test_a_bell_of_times_is_wide_and_leans_to_where_it_is_told():
    schedule = Schedule.cosine()
    t = schedule.random_t(20_000, torch.Generator().manual_seed(0), (0.5, 1.2))
    assert t.dtype == torch.int64 and t.min() >= 0 and t.max() < schedule.T
    logit = torch.logit((t + 0.5) / schedule.T)
    assert_close(logit.mean(), torch.tensor(0.5), atol=0.05, rtol=0)
    assert_close(logit.std(), torch.tensor(1.2), atol=0.05, rtol=0)
    certain = schedule.random_t(100, torch.Generator().manual_seed(0), (100.0, 1.0))
    assert certain.unique().tolist() == [schedule.T - 1]


def test_unknown_names_are_one_line_with_the_choices():
    schedule = Schedule.linear(20)
    x, t = torch.zeros(1, 1, 1, 1), torch.zeros(1, dtype=torch.int64)
    with pytest.raises(ValueError, match="prediction must be one of eps, x_0, v, not 'noise'"):
        schedule.to_x_0("noise", x, x, t)
    with pytest.raises(ValueError, match="prediction must be one of eps, x_0, v, not 'noise'"):
        schedule.target("noise", x, x, t)
    with pytest.raises(ValueError, match="weighting must be one of v, clipped_v, none, not 'snr'"):
        schedule.loss_weight(t, "v", "snr")
