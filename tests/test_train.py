"""The training loop: it resumes bit for bit, survives being killed, and damages no checkpoint."""

import multiprocessing
import random
import signal
import time
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from minit2i import weights
from minit2i.data import InputError
from minit2i.train import Training, fit, learning_rate
from minit2i.unet import UNet, UNetConfig


def train_to_the_end(checkpoint: Path, started) -> None:
    """Runs in a process of its own, to be killed: a network just wide enough for Muon, saved after every third step."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    training = Training(nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 16)), lr=1e-2, seed=5)
    if checkpoint.exists():
        training.load(checkpoint)

    def loss(model, generator):
        x = torch.randn(16, 16, generator=generator)
        return (model(x) - x.flip(1)).square().mean()

    started.set()
    for step, _ in fit(training, loss, steps=400):
        if step % 3 == 0:
            training.save(checkpoint)
    training.save(checkpoint)


def test_killed_twenty_times_it_ends_as_if_never_interrupted(tmp_path):
    # A server that has torch in memory forks the processes, so that starting one takes no seconds.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "minit2i.train"])

    def start(name: str):
        started = context.Event()
        process = context.Process(target=train_to_the_end, args=(tmp_path / name, started))
        process.start()
        assert started.wait(60)
        return process

    def finish(name: str) -> dict:
        process = start(name)
        process.join()
        assert process.exitcode == 0
        return torch.load(tmp_path / name, weights_only=True)

    rng, kills = random.Random(0), 0
    while kills < 20:
        process = start("killed.pt")
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
        if process.exitcode == 0:  # it was quicker than the kill: begin again with a fresh run
            (tmp_path / "killed.pt").unlink()
    whole, killed = finish("whole.pt"), finish("killed.pt")
    for part in ("model", "average"):
        for name, tensor in whole[part].items():
            assert torch.equal(tensor, killed[part][name]), name
    assert torch.equal(whole["generator"], killed["generator"])
    assert whole["step"] == killed["step"] == 400


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


TINY = UNetConfig(picture_size=16, patch=2, widths=(16, 32), blocks=1, text_width=0, text_pooled=0)


def test_weights_come_back_with_their_card(tmp_path):
    model = UNet(TINY)
    weights.save(tmp_path / "tiny.safetensors", model, {"name": "tiny"})
    again = weights.load(tmp_path / "tiny.safetensors", UNet, UNetConfig)
    assert again.config == TINY
    assert weights.read_card(tmp_path / "tiny.safetensors") == {"name": "tiny"}
    for name, tensor in model.state_dict().items():
        assert_close(again.state_dict()[name], tensor, atol=1e-3, rtol=1e-3)  # stored as float16
    assert not list(tmp_path.glob("*.new"))


def test_damaged_foreign_and_missing_weights_are_refused_in_one_line(tmp_path):
    path = tmp_path / "tiny.safetensors"
    with pytest.raises(InputError, match="no weights"):
        weights.load(path, UNet, UNetConfig)
    weights.save(path, UNet(TINY), {})
    bytes_ = bytearray(path.read_bytes())
    bytes_[-1] ^= 1
    (tmp_path / "flipped.safetensors").write_bytes(bytes_)
    (tmp_path / "short.safetensors").write_bytes(bytes_[:1000])
    (tmp_path / "text.safetensors").write_text("not weights at all")
    with pytest.raises(InputError, match="hash"):
        weights.load(tmp_path / "flipped.safetensors", UNet, UNetConfig)
    for name in ("short", "text"):
        with pytest.raises(InputError, match="does not hold weights"):
            weights.load(tmp_path / f"{name}.safetensors", UNet, UNetConfig)
    with pytest.raises(InputError, match="does not hold weights for Linear"):
        weights.load(path, nn.Linear, UNetConfig)
