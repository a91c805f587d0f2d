"""The one training loop, which the caller drives: `for step, loss in fit(training, batch_loss, steps=...)`.

A `Training` holds all that a run would lose if the power went: the network, its moving average, the
optimiser, the random generator and the clock. Saved and loaded between two steps, it goes on bit for bit as
if nothing had happened.
Papers: Loshchilov & Hutter 2019 (AdamW), Karras et al. 2024 (why average the weights).
"""

import copy
import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Generator, Tensor, nn

from .muon import Muon, matrices
from .utils import InputError, device_of, write_file


class Training:
    """A network in training. `average` is its exponential moving average: the one to draw with and to ship.

    All randomness comes from `generator`, seeded by `seed`.
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float = 1e-3,
        weight_decay: float = 0.01,
        decay: float = 0.999,
        seed: int = 0,
    ):
        self.model = model
        self.average = copy.deepcopy(model).eval().requires_grad_(False)
        self.lr, self.decay = lr, decay
        wide = matrices(model)
        others = [p for p in model.parameters() if all(p is not matrix for matrix in wide)]
        # Biases, norms and a temperature are no weights of a sum: decaying them only spoils what they say.
        groups = [
            {"params": [p for p in others if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in others if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimisers = [
            Muon(wide, lr, weight_decay=weight_decay),
            torch.optim.AdamW([group for group in groups if group["params"]], lr, betas=(0.9, 0.99)),
        ]
        self.generator = Generator().manual_seed(seed)
        self.step = 0
        self.seconds = 0.0

    def update(self, loss: Tensor, progress: float) -> None:
        """One step of the optimisers, then of the average. progress: 0 at the start, 1 at the end."""
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = self.lr * learning_rate(progress, self.step)
            optimiser.step()
        self.step += 1
        self.update_average()

    @torch.no_grad()
    def update_average(self) -> None:
        """average <- d average + (1 - d) model, with a smaller d at first, while the model changes fast."""
        d = min(self.decay, (1 + self.step) / (10 + self.step))
        for mean, now in zip(self.average.parameters(), self.model.parameters(), strict=True):
            mean.lerp_(now, 1 - d)
        for mean, now in zip(self.average.buffers(), self.model.buffers(), strict=True):
            mean.copy_(now)

    def save(self, path: str | Path, about: dict | None = None) -> None:
        """Write a checkpoint, whole or not at all. about: what it is made from, see `about_checkpoint`."""
        state = {
            "about": about or {},
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "generator": self.generator.get_state(),
            "step": self.step,
            "seconds": self.seconds,
        }
        file = io.BytesIO()
        torch.save(state, file)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_file(path, file.getvalue())

    def load(self, path: str | Path) -> None:
        """Go on from a checkpoint that `save` wrote for a network of the same sizes, else InputError."""
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)  # never unpickle code
            self.model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            for optimiser, its_state in zip(self.optimisers, state["optimisers"], strict=True):
                optimiser.load_state_dict(its_state)
            self.generator.set_state(state["generator"])
            self.step, self.seconds = state["step"], state["seconds"]
        except Exception as error:  # whatever a foreign or broken file makes of itself
            raise InputError(f"{path} is no checkpoint of this network") from error


def half_bits(on: torch.device) -> bool:
    """Whether this device multiplies numbers of 16 bits (bfloat16) faster than those of 32.

    So do GPUs, and the CPUs of servers and of some laptops, by instructions of their own.
    """
    return on.type == "cuda" or (on.type == "cpu" and torch.cpu.get_capabilities().get("avx512_bf16", False))


def about_checkpoint(path: str | Path) -> dict:
    """The step of a checkpoint and what was noted of it. Raises InputError if it is none."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return {**state.get("about", {}), "step": state["step"]}
    except Exception as error:  # as above
        raise InputError(f"{path} is no checkpoint") from error


def learning_rate(progress: float, step: int, warm_up: int = 100) -> float:
    """The share of the full learning rate: up over the first steps, flat, then down to 0 over the last half.

    progress: 0 at the start, 1 at the end. Falling to zero is what removes the grain from the pictures.
    """
    return min(1.0, (step + 1) / warm_up, max(0.0, 2 * (1 - progress)))


def fit(
    training: Training,
    batch_loss: Callable[[nn.Module, Generator], Tensor],
    *,
    steps: int | None = None,
    minutes: float | None = None,
) -> Iterator[tuple[int, float]]:
    """Train until `steps` steps are done or `minutes` of training time have passed, whichever comes first.

    batch_loss(model, generator): draws a batch with the generator and returns the scalar loss.
    Yields (step, loss) after the optimiser and the average have stepped; only then is it safe to save.
    With `steps` alone, the same seed gives the same weights on the same machine; with `minutes`, the clock
    decides. Raises ValueError if neither is given.
    """
    if steps is None and minutes is None:
        raise ValueError("say how long to train: steps=... or minutes=...")

    def progress() -> float:
        return max(training.step / steps if steps else 0, training.seconds / (60 * minutes) if minutes else 0)

    on = device_of(training.model)
    training.model.train()
    while progress() < 1:
        began = time.perf_counter()
        # Matrix products in half the bits, where they are faster; the weights themselves stay float32.
        with torch.autocast(on.type, torch.bfloat16, enabled=half_bits(on)):
            loss = batch_loss(training.model, training.generator)
        training.update(loss, progress())
        now = loss.item()  # waits for a GPU, so that the clock is right
        training.seconds += time.perf_counter() - began
        yield training.step, now
