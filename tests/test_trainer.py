"""The training loop: it resumes bit for bit, survives being killed, and damages no checkpoint."""

import subprocess
import sys
import time

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from minit2i.trainer import Training, fit, learning_rate
from minit2i.utils import InputError

KILLING = """
import multiprocessing, random, signal, sys, time
import torch
from torch import nn
from minit2i.trainer import Training, fit

torch.set_num_threads(1)  # so that this process may be forked
Training(nn.Linear(2, 2))  # imports what optimisers need, once for all forks

def train(checkpoint, started):
    # wide enough for Muon, saved at every third step
    torch.manual_seed(0)
    training = Training(nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 16)), lr=1e-2, seed=5)
    if checkpoint.exists():
        training.load(checkpoint)

    def loss(model, generator):
        x = torch.randn(16, 16, generator=generator)
        return (model(x) - x.flip(1)).square().mean()

    started.set()
    for step, _ in fit(training, loss, steps=90):
        if step % 3 == 0:
            training.save(checkpoint)
    training.save(checkpoint)

def start(name):
    started = context.Event()
    process = context.Process(target=train, args=(folder / name, started))
    process.start()
    assert started.wait(60)
    return process

from pathlib import Path
folder, context = Path(sys.argv[1]), multiprocessing.get_context("fork")
rng, kills = random.Random(0), 0
while kills < 20:
    process = start("killed.pt")
    time.sleep(rng.uniform(0, 0.05))
    process.kill()
    process.join()
    kills += process.exitcode == -signal.SIGKILL
    if process.exitcode == 0:  # it was quicker than the kill: begin again with a fresh run
        (folder / "killed.pt").unlink()
for name in ("whole.pt", "killed.pt"):
    process = start(name)
    process.join()
    assert process.exitcode == 0
"""


def test_killed_twenty_times_it_ends_as_if_never_interrupted(tmp_path):
    subprocess.run([sys.executable, "-c", KILLING, tmp_path], check=True)
    whole, killed = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("whole", "killed"))
    for part in ("model", "average"):
        for name, tensor in whole[part].items():
            assert torch.equal(tensor, killed[part][name]), name
    assert torch.equal(whole["generator"], killed["generator"])
    assert whole["step"] == killed["step"] == 90


def linear() -> Training:
    torch.manual_seed(0)
    return Training(nn.Linear(4, 4), lr=1e-2, decay=0.9)


def noise_loss(model, generator):
    return model(torch.randn(8, 4, generator=generator)).square().mean()


def test_the_same_seed_trains_the_same_weights():
    first, second = linear(), linear()
    assert list(fit(first, noise_loss, steps=20)) == list(fit(second, noise_loss, steps=20))
    assert torch.equal(first.average.weight, second.average.weight)


def test_the_average_follows_its_formula():
    training = linear()
    expected = training.model.weight.detach().clone()
    for step, _ in fit(training, noise_loss, steps=15):
        d = min(0.9, (1 + step) / (10 + step))
        expected = d * expected + (1 - d) * training.model.weight.detach()
        assert_close(training.average.weight, expected)


def test_the_learning_rate_warms_up_stays_and_ends_at_zero():
    assert learning_rate(0.0, 0) == pytest.approx(0.01)
    assert learning_rate(0.3, 1000) == 1.0
    assert learning_rate(0.75, 1000) == 0.5
    assert learning_rate(1.0, 1000) == 0.0


def test_it_must_be_said_how_long():
    with pytest.raises(ValueError, match="how long"):
        next(fit(linear(), noise_loss))


def test_products_may_take_half_the_bits_and_weights_do_not(monkeypatch):
    ends = []
    for half, kind in ((False, torch.float32), (True, torch.bfloat16)):
        monkeypatch.setattr("minit2i.trainer.half_bits", lambda on, half=half: half)
        torch.manual_seed(0)
        training, kinds = linear(), set()

        def loss(model, generator, kinds=kinds):
            kinds.add(model(torch.ones(1, 4)).dtype)
            return noise_loss(model, generator)

        *_, (_, end) = fit(training, loss, steps=20)
        ends.append(end)
        assert kinds == {kind}
        assert training.model.weight.dtype == training.average.weight.dtype == torch.float32
    assert ends[1] == pytest.approx(ends[0], rel=0.1)


def test_a_foreign_checkpoint_is_refused_in_one_line(tmp_path):
    (tmp_path / "text.pt").write_text("not a checkpoint")
    Training(nn.Linear(3, 3)).save(tmp_path / "other.pt")
    for name in ("text.pt", "other.pt"):
        with pytest.raises(InputError, match="no checkpoint"):
            linear().load(tmp_path / name)


def test_minutes_stop_it():
    began = time.perf_counter()
    assert len(list(fit(linear(), noise_loss, minutes=0.01))) > 5
    assert time.perf_counter() - began < 5


class Scaled(nn.Module):
    """A network with one of each kind of parameter."""

    def __init__(self):
        super().__init__()
        self.wide, self.thin = nn.Linear(16, 16), nn.Linear(2, 16)
        self.norm = nn.LayerNorm(16)
        self.log_scale = nn.Parameter(torch.tensor(1.0))


def test_biases_norms_and_the_temperature_do_not_decay():
    model = Scaled()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}

    def no_gradient(model, generator):
        return sum(0 * parameter.sum() for parameter in model.parameters())

    for _ in fit(Training(model, lr=0.1, weight_decay=0.5), no_gradient, steps=3):
        pass
    for name, parameter in model.named_parameters():
        decays = parameter.ndim > 1
        assert torch.equal(parameter, before[name]) != decays, name
