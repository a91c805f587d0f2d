"""Samplers end where an ideal denoiser says they must, and step as the papers and diffusers do."""

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from minit2i.clip import Text
from minit2i.guidance import guided
from minit2i.samplers import SAMPLERS, ddim, ddpm, denoiser_of, dpm_solver, sample, timesteps, trajectory
from minit2i.schedule import PREDICTIONS, Schedule

every_sampler = pytest.mark.parametrize("sampler", SAMPLERS)
both_schedules = pytest.mark.parametrize(
    "schedule", [Schedule.linear(), Schedule.cosine()], ids=["linear", "cosine"]
)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def small_set() -> Tensor:
    return noise(5, 3, 4, 4, seed=1).clamp(-1, 1)


def ideal(schedule: Schedule, members: Tensor, spread: float = 0.0):
    """The best denoiser there can be, E[x_0 | x_t], for pictures that are a member plus N(0, spread^2)."""

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        alpha_bar = schedule.alpha_bar[t][:, None].double()  # (B, 1)
        x, means = x_t.flatten(1).double(), members.flatten(1).double()  # (B, N), (M, N)
        variance = alpha_bar * spread**2 + 1 - alpha_bar  # of x_t, given the member
        distance = (x[:, None] - alpha_bar.sqrt()[:, None] * means).square().sum(-1)  # (B, M)
        share = torch.softmax(-distance / (2 * variance), dim=1)
        pull = spread**2 * alpha_bar.sqrt() / variance
        x_0_hat = share @ means + pull * (x - alpha_bar.sqrt() * (share @ means))
        return x_0_hat.view_as(x_t).float()

    return denoise


class Wordy(nn.Module):
    """A denoiser whose answer depends on everything it is told, and that counts how often it is asked."""

    def __init__(self, prediction: str):
        super().__init__()
        self.prediction = prediction
        self.batches: list[int] = []

    def forward(self, x_t: Tensor, t: Tensor, text: Text | None) -> Tensor:
        self.batches.append(len(x_t))
        out = 0.3 * x_t + 1e-4 * t[:, None, None, None]
        if text is not None:
            said = (text.tokens * text.mask[..., None]).sum((1, 2)) + text.pooled.sum(1)
            out = out + said[:, None, None, None] * x_t.cos()
        return out


def words(B: int, seed: int) -> Text:
    mask = torch.arange(4) < torch.arange(1, B + 1)[:, None]
    return Text(noise(B, 4, 6, seed=seed), mask, noise(B, 6, seed=seed + 100))


def eps_of(schedule: Schedule, x_0: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
    """The noise in x_t, if that is the clean picture."""
    alpha_bar = schedule.alpha_bar[t][:, None, None, None]
    return (x_t - alpha_bar.sqrt() * x_0) / (1 - alpha_bar).sqrt()


# --- the timesteps ---


@pytest.mark.parametrize("steps", [1, 2, 7, 25, 999, 1000])
def test_timesteps_fall_evenly_from_the_noisiest(steps):
    times = timesteps(1000, steps)
    assert len(times) == steps and times[0] == 999 and times[-1] >= 0
    gaps = {a - b for a, b in zip(times, times[1:] + [-1], strict=True)}
    assert min(gaps) >= 1 and max(gaps) - min(gaps) <= 1


def test_timesteps_can_be_all_of_them():
    assert timesteps(50, 50) == list(range(49, -1, -1))


def test_timesteps_equal_diffusers():
    diffusers = pytest.importorskip("diffusers")
    reference = diffusers.DDIMScheduler(timestep_spacing="trailing")
    for steps in (1, 2, 3, 4, 10, 12, 15, 20, 25, 30, 50, 64, 100, 333, 500, 1000):
        reference.set_timesteps(steps)
        assert timesteps(1000, steps) == reference.timesteps.tolist()


# --- where samplers end ---


@every_sampler
@both_schedules
@pytest.mark.parametrize("steps", [10, 50])
def test_ideal_denoiser_gives_back_members_of_the_set(sampler, schedule, steps):
    members = small_set()
    x_0 = sample(ideal(schedule, members), (24, 3, 4, 4), schedule, sampler=sampler, steps=steps)
    distance = torch.cdist(x_0.flatten(1), members.flatten(1), compute_mode="donot_use_mm_for_euclid_dist")
    nearest = distance.argmin(1)
    assert_close(x_0, members[nearest], rtol=0, atol=1e-3)
    assert nearest.unique().tolist() == [0, 1, 2, 3, 4]  # and all of them are found


@every_sampler
def test_gaussian_data_comes_out_gaussian(sampler):
    schedule = Schedule.cosine()
    x_0 = sample(
        ideal(schedule, torch.zeros(1, 1, 8, 8), spread=0.5),
        (200, 1, 8, 8),
        schedule,
        sampler=sampler,
        steps=100,
    )
    assert_close(x_0.mean(), torch.tensor(0.0), rtol=0, atol=0.02)
    assert_close(x_0.std(), torch.tensor(0.5), rtol=0.03, atol=0)


@every_sampler
def test_one_step_is_one_guess(sampler):
    schedule = Schedule.cosine()
    x_0 = sample(lambda x_t, t: x_t.tanh(), (2, 1, 4, 4), schedule, sampler=sampler, steps=1)
    (step,) = trajectory(lambda x_t, t: x_t.tanh(), (2, 1, 4, 4), schedule, sampler=sampler, steps=1)
    assert step.t == 999
    assert_close(x_0, step.x_t.tanh())


@both_schedules
def test_dpm_solver_is_nearer_the_truth_in_few_steps(schedule):
    two_pixels = small_set()[:, :1, :1, :2]
    denoise, shape = ideal(schedule, two_pixels, spread=0.3), (64, 1, 1, 2)
    truth = sample(denoise, shape, schedule, sampler="ddim", steps=1000)

    def error(sampler: str, steps: int) -> Tensor:
        return (sample(denoise, shape, schedule, sampler=sampler, steps=steps) - truth).square().mean().sqrt()

    assert error("dpm_solver", 10) < 0.75 * error("ddim", 10)
    # twice the steps: a method of first order halves its error, one of second order quarters it
    assert 0.4 < error("ddim", 50) / error("ddim", 25) < 0.6
    assert error("dpm_solver", 50) / error("dpm_solver", 25) < 0.3


# --- noise ---


@every_sampler
@pytest.mark.parametrize("alpha_bar", [0.9, 0.01])
def test_the_step_to_the_end_adds_no_noise(sampler, alpha_bar):
    x_t, x_0_hat = noise(2, 3, 4, 4, seed=1), noise(2, 3, 4, 4, seed=2)
    for z in (noise(2, 3, 4, 4, seed=3), torch.full((2, 3, 4, 4), 1e6)):
        x_prev = SAMPLERS[sampler](x_t, x_0_hat, alpha_bar, 1.0, z=z, eta=1.0, before=(x_t, alpha_bar / 2))
        assert_close(x_prev, x_0_hat)


@every_sampler
def test_a_trajectory_ends_at_its_last_guess(sampler):
    schedule = Schedule.linear()
    settings = {"sampler": sampler, "steps": 7, "eta": 1.0}
    walk = list(trajectory(lambda x_t, t: x_t.tanh(), (2, 3, 4, 4), schedule, **settings))
    assert [step.t for step in walk] == timesteps(1000, 7)
    for now, after in zip(walk, walk[1:], strict=False):
        assert_close(now.x_0_hat, now.x_t.tanh())
        assert_close(now.x_prev, after.x_t)
    assert_close(walk[-1].x_prev, walk[-1].x_0_hat)
    assert_close(sample(lambda x_t, t: x_t.tanh(), (2, 3, 4, 4), schedule, **settings), walk[-1].x_prev)


@pytest.mark.parametrize("schedule", [Schedule.linear(100), Schedule.cosine(100)], ids=["linear", "cosine"])
def test_ddim_with_all_noise_renewed_is_ddpm(schedule):
    denoise = ideal(schedule, small_set(), spread=0.3)
    for steps in (10, 100):
        walks = [
            trajectory(denoise, (2, 3, 4, 4), schedule, sampler=sampler, steps=steps, eta=1.0)
            for sampler in ("ddim", "ddpm")
        ]
        for by_ddim, by_ddpm in zip(*walks, strict=True):
            assert_close(by_ddim.x_prev, by_ddpm.x_prev, rtol=0, atol=1e-4)


def test_ddpm_over_all_steps_has_the_posterior_variance():
    schedule = Schedule.linear(50)
    x_t, x_0_hat, z = noise(1, 3, 4, 4, seed=1), noise(1, 3, 4, 4, seed=2), torch.ones(1, 3, 4, 4)
    # beta_tilde_t = (1 - alpha_bar_{t-1}) / (1 - alpha_bar_t) beta_t (Ho et al. 2020, equation 7)
    variance = (1 - schedule.alpha_bar_prev) / (1 - schedule.alpha_bar) * schedule.beta
    for t in range(50):
        alpha_bars = schedule.alpha_bar[t].item(), schedule.alpha_bar_prev[t].item()
        added = ddpm(x_t, x_0_hat, *alpha_bars, z) - ddpm(x_t, x_0_hat, *alpha_bars, 0 * z)
        assert_close(added, variance[t].sqrt() * z, rtol=1e-4, atol=1e-6)


@every_sampler
def test_a_picture_depends_on_the_seed_and_its_place_only(sampler):
    schedule = Schedule.cosine()
    settings = {"sampler": sampler, "steps": 5, "eta": 1.0}

    def draw(B: int, seed: int) -> Tensor:
        return sample(lambda x_t, t: x_t.tanh(), (B, 3, 4, 4), schedule, seed=seed, **settings)

    four = draw(4, seed=7)
    assert_close(draw(4, seed=7), four, rtol=0, atol=0)
    assert_close(draw(2, seed=7), four[:2])
    # no picture twice, within a seed or in the next
    pictures = torch.cat([four, draw(4, seed=8)]).flatten(1)
    assert torch.pdist(pictures).min() > 0.1


# --- starting from a picture ---


@every_sampler
def test_start_from_a_picture_at_a_given_time(sampler):
    schedule, x_0 = Schedule.cosine(), small_set()[:1]
    walk = list(
        trajectory(
            ideal(schedule, small_set()), (4, 3, 4, 4), schedule, sampler=sampler, steps=10, start=(x_0, 300)
        )
    )
    assert [step.t for step in walk] == timesteps(301, 10) and walk[0].t == 300
    fresh = next(trajectory(ideal(schedule, small_set()), (4, 3, 4, 4), schedule)).x_t
    assert_close(walk[0].x_t, schedule.add_noise(x_0, fresh, torch.full((4,), 300)))
    assert_close(walk[-1].x_prev, x_0.expand(4, 3, 4, 4), rtol=0, atol=1e-3)  # still that picture


def test_start_at_time_zero_keeps_the_picture():
    schedule, x_0 = Schedule.cosine(), small_set()
    x = sample(lambda x_t, t: x_t, x_0.shape, schedule, steps=25, start=(x_0, 0))
    assert_close(x, x_0, rtol=0, atol=0.05)


# --- guidance ---


@pytest.mark.parametrize("kind", PREDICTIONS)
@pytest.mark.parametrize("s", [0.0, 1.0, 2.0, -0.5])
def test_guidance_is_the_formula_on_eps(kind, s):
    schedule, model, cond, uncond = Schedule.cosine(), Wordy(kind), words(3, seed=1), words(3, seed=2)
    x_t, t = noise(3, 2, 4, 4), torch.tensor([10, 500, 900])
    eps_uncond, eps_cond = (
        eps_of(schedule, schedule.to_x_0(kind, model(x_t, t, text), x_t, t), x_t, t)
        for text in (uncond, cond)
    )
    model.batches.clear()
    x_0_hat = guided(model, schedule, cond, uncond, s, clamp=False)(x_t, t)
    assert model.batches == ([3] if s in (0, 1) else [6])
    expected = schedule.to_x_0("eps", eps_uncond + s * (eps_cond - eps_uncond), x_t, t)
    assert_close(x_0_hat, expected, rtol=1e-4, atol=1e-4)


def test_guesses_are_clipped_unless_told_otherwise():
    schedule, model, text = Schedule.cosine(), Wordy("eps"), words(2, seed=1)
    x_t, t = noise(2, 1, 4, 4), torch.tensor([999, 999])
    for s in (0.0, 1.0, 3.0):
        raw = guided(model, schedule, text, words(2, seed=2), s, clamp=False)(x_t, t)
        assert raw.abs().max() > 1
        assert_close(guided(model, schedule, text, words(2, seed=2), s)(x_t, t), raw.clamp(-1, 1))


@pytest.mark.parametrize("kind", PREDICTIONS)
def test_a_model_without_words_samples(kind):
    schedule = Schedule.cosine()
    x_t, t = noise(2, 1, 4, 4), torch.tensor([100, 700])
    x_0_hat = denoiser_of(Wordy(kind), schedule, clamp=False)(x_t, t)
    assert_close(x_0_hat, schedule.to_x_0(kind, Wordy(kind)(x_t, t, None), x_t, t))
    x_0 = sample(denoiser_of(Wordy(kind), schedule), (2, 1, 4, 4), schedule, steps=5)
    assert x_0.shape == (2, 1, 4, 4) and x_0.isfinite().all() and x_0.abs().max() <= 1


# --- step by step beside diffusers ---


def beside(reference, schedule: Schedule, sampler: str, steps: int, eta: float = 0.0):
    """Walk, and at each step yield it with the same step done again with a known z, and the z."""
    z = noise(1, 3, 4, 4, seed=3)
    reference.set_timesteps(steps)
    settings = {"sampler": sampler, "steps": steps, "eta": eta}
    walk = list(trajectory(ideal(schedule, small_set(), 0.3), (1, 3, 4, 4), schedule, **settings))
    assert [step.t for step in walk] == reference.timesteps.tolist()
    for step, t_prev in zip(walk, [*timesteps(schedule.T, steps)[1:], None], strict=True):
        alpha_bar_prev = 1.0 if t_prev is None else schedule.alpha_bar[t_prev].item()
        again = SAMPLERS[sampler](
            step.x_t, step.x_0_hat, schedule.alpha_bar[step.t].item(), alpha_bar_prev, z=z, eta=eta
        )
        yield step, again, z


@both_schedules
@pytest.mark.parametrize("steps", [20, 1000])
def test_ddpm_equals_diffusers(schedule, steps):
    diffusers = pytest.importorskip("diffusers")
    reference = diffusers.DDPMScheduler(
        trained_betas=schedule.beta.tolist(),
        variance_type="fixed_small",
        clip_sample=False,
        prediction_type="sample",
        timestep_spacing="trailing",
    )
    for step, ours, _ in beside(reference, schedule, "ddpm", steps):
        generator = torch.Generator().manual_seed(3)  # draws the same z
        theirs = reference.step(step.x_0_hat, step.t, step.x_t, generator=generator).prev_sample
        assert_close(ours, theirs, rtol=0, atol=2e-4)


@both_schedules
@pytest.mark.parametrize("steps, eta", [(20, 0.0), (20, 1.0), (1000, 0.5)])
def test_ddim_equals_diffusers(schedule, steps, eta):
    diffusers = pytest.importorskip("diffusers")
    reference = diffusers.DDIMScheduler(
        trained_betas=schedule.beta.tolist(),
        clip_sample=False,
        set_alpha_to_one=True,
        prediction_type="sample",
        timestep_spacing="trailing",
    )
    for step, ours, z in beside(reference, schedule, "ddim", steps, eta):
        theirs = reference.step(step.x_0_hat, step.t, step.x_t, eta=eta, variance_noise=z).prev_sample
        assert_close(ours, theirs, rtol=0, atol=2e-4)


@both_schedules
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_dpm_solver_equals_diffusers(schedule):
    diffusers = pytest.importorskip("diffusers")
    reference = diffusers.DPMSolverMultistepScheduler(
        trained_betas=schedule.beta.tolist(),
        prediction_type="sample",
        timestep_spacing="trailing",
        algorithm_type="dpmsolver++",
        solver_order=2,
        final_sigmas_type="zero",
    )
    reference.set_timesteps(20)
    denoise = ideal(schedule, small_set(), 0.3)
    for step in trajectory(denoise, (1, 3, 4, 4), schedule, sampler="dpm_solver", steps=20):
        theirs = reference.step(step.x_0_hat, step.t, step.x_t).prev_sample
        assert_close(step.x_prev, theirs, rtol=0, atol=2e-4)


def test_dpm_solver_starts_as_ddim():
    x_t, x_0_hat = noise(1, 3, 4, 4, seed=1), noise(1, 3, 4, 4, seed=2)
    assert_close(dpm_solver(x_t, x_0_hat, 0.1, 0.4), ddim(x_t, x_0_hat, 0.1, 0.4, torch.zeros_like(x_t), 0.0))


# --- bad arguments ---


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"sampler": "euler"}, "sampler must be one of ddpm, ddim, dpm_solver, not 'euler'"),
        ({"steps": 0}, "steps must be from 1 to 1000, not 0"),
        ({"steps": 1001}, "steps must be from 1 to 1000, not 1001"),
        ({"eta": 1.5}, "eta must be from 0 to 1, not 1.5"),
        ({"resample": -1}, "resample must be from 0 to 100, not -1"),
        ({"start": (torch.zeros(1, 1, 2, 2), 1000)}, "start must be at a t from 0 to 999, not 1000"),
    ],
)
def test_bad_arguments_are_one_line(settings, message):
    with pytest.raises(ValueError) as error:  # at once, and not when the first step is drawn
        trajectory(lambda x_t, t: x_t, (1, 1, 2, 2), Schedule.linear(), **settings)
    assert str(error.value) == message


def test_one_of_many_can_be_drawn_again():
    def draw(B: int, first: int) -> Tensor:
        return sample(
            lambda x_t, t: x_t.tanh(), (B, 1, 4, 4), Schedule.cosine(), seed=7, steps=3, first=first
        )

    assert_close(draw(1, first=2), draw(4, first=0)[2:3], rtol=0, atol=0)
