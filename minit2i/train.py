"""The one training loop, which the caller drives: `for step, loss in fit(training, batch_loss, steps=...)`.

A `Training` holds all that a run would lose if the power went: the network, its moving average, the
optimiser, the random generator and the clock. Saved and loaded between two steps, it goes on bit for bit as if
nothing had happened.
Papers: Loshchilov & Hutter 2019 (AdamW), Karras et al. 2024 (why average the weights).
"""

import copy
import csv
import hashlib
import os
import platform
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from . import weights
from .data import DATA, InputError
from .muon import Muon, matrices


def device() -> torch.device:
    """The fastest device here: cuda, then mps, then cpu."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def set_up_cpu() -> None:
    """Round denormal numbers to zero: they carry nothing, and a CPU computes them many times slower."""
    torch.set_flush_denormal(True)


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
        set_up_cpu()
        self.model = model
        self.average = copy.deepcopy(model).eval().requires_grad_(False)
        self.lr, self.decay = lr, decay
        wide = matrices(model)
        others = [weight for weight in model.parameters() if all(weight is not other for other in wide)]
        self.optimisers = [
            Muon(wide, lr, weight_decay=weight_decay),
            torch.optim.AdamW([{"params": others}], lr, betas=(0.9, 0.99), weight_decay=weight_decay),
        ]
        self.generator = torch.Generator().manual_seed(seed)
        self.step = 0
        self.seconds = 0.0

    @torch.no_grad()
    def update_average(self) -> None:
        """average <- d average + (1 - d) model, with a smaller d at first, while the model still runs fast."""
        d = min(self.decay, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - d)
        for mean, now in zip(self.average.buffers(), self.model.buffers(), strict=True):
            mean.copy_(now)

    def save(self, path: str | Path) -> None:
        """Write a checkpoint, whole or not at all: to a file beside it first, then renamed over it."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(path.name + ".new")
        with open(beside, "wb") as file:
            torch.save(
                {
                    "model": self.model.state_dict(),
                    "average": self.average.state_dict(),
                    "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
                    "generator": self.generator.get_state(),
                    "step": self.step,
                    "seconds": self.seconds,
                },
                file,
            )
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)

    def load(self, path: str | Path) -> None:
        """Go on from a checkpoint that `save` wrote for a network of the same sizes, else InputError."""
        try:
            state = torch.load(path, weights_only=True)  # never unpickle code
            self.model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            for optimiser, its_state in zip(self.optimisers, state["optimisers"], strict=True):
                optimiser.load_state_dict(its_state)
            self.generator.set_state(state["generator"])
            self.step, self.seconds = state["step"], state["seconds"]
        except Exception as error:  # whatever a foreign or broken file makes of itself
            raise InputError(f"{path} is no checkpoint of this network") from error


def learning_rate(progress: float, step: int, warm_up: int = 100) -> float:
    """The share of the full learning rate: up over the first steps, flat, then down to 0 over the last half.

    progress: 0 at the start, 1 at the end. Falling to zero is what removes the grain from the pictures.
    """
    return min(1.0, (step + 1) / warm_up, max(0.0, 2 * (1 - progress)))


def fit(
    training: Training,
    batch_loss: Callable[[nn.Module, torch.Generator], Tensor],
    *,
    steps: int | None = None,
    minutes: float | None = None,
) -> Iterator[tuple[int, float]]:
    """Train until `steps` steps are done or `minutes` of training time have passed, whichever comes first.

    batch_loss(model, generator): draws a batch with the generator and returns the scalar loss.
    Yields (step, loss) after the optimiser and the average have stepped; only then is it safe to save.
    With `steps` alone, the same seed gives the same weights on the same machine; with `minutes`, the clock decides.
    """
    if steps is None and minutes is None:
        raise ValueError("say how long to train: steps=... or minutes=...")

    def progress() -> float:
        return max(training.step / steps if steps else 0, training.seconds / (60 * minutes) if minutes else 0)

    training.model.train()
    while progress() < 1:
        began = time.perf_counter()
        loss = batch_loss(training.model, training.generator)
        training.model.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(training.model.parameters(), 1.0)
        for optimiser in training.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = training.lr * learning_rate(progress(), training.step)
            optimiser.step()
        training.step += 1
        training.update_average()
        training.seconds += time.perf_counter() - began
        yield training.step, loss.item()


def run(
    name: str,
    recipe,
    out: str | Path,
    *,
    minutes: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    resume: bool = False,
    command: str = "",
) -> Path:
    """Carry out a recipe (recipes.py) with a progress bar, checkpoints, a CSV of the loss and sample sheets.

    Everything goes to the folder `out`: checkpoint.pt, loss.csv, sheet.png and, at the end, NAME.safetensors.
    Ctrl-C saves after the current step; `resume` goes on from there. Returns the path of the weights.
    """
    out = Path(out)
    checkpoint, log = out / "checkpoint.pt", out / "loss.csv"
    training = Training(recipe.model, recipe.lr, recipe.weight_decay, recipe.decay, seed)
    if resume:
        if not checkpoint.is_file():
            raise InputError(f"nothing to resume: there is no {checkpoint}")
        training.load(checkpoint)
    try:
        out.mkdir(parents=True, exist_ok=True)
        rows = _rows_until(log, training.step) if resume else []
        file = open(log, "w", newline="")  # noqa: SIM115 - closed below, at the end of the run
    except OSError as error:
        raise InputError(f"cannot write to {out}: {error.strerror}") from error
    if minutes is None and steps is None:
        minutes = recipe.minutes

    interrupted = []
    before = signal.signal(
        signal.SIGINT, lambda *_: interrupted.append(True)
    )  # finish the step first, then stop
    with file, tqdm(total=steps, initial=training.step, desc=name, unit=" steps", smoothing=0.05) as bar:
        writer = csv.writer(file)
        writer.writerows([["step", "seconds", "loss"], *rows])
        mean, saved = None, training.seconds
        try:
            for step, loss in fit(training, recipe.loss, steps=steps, minutes=minutes):
                mean = loss if mean is None else 0.98 * mean + 0.02 * loss
                writer.writerow([step, f"{training.seconds:.1f}", f"{loss:.5f}"])
                rate = bar.format_dict["rate"] or 0
                bar.set_postfix_str(
                    f"loss {mean:.4f}, {rate * recipe.batch:.0f} pictures/s"
                    + (f", {minutes - training.seconds / 60:.1f} min left" if minutes else "")
                )
                bar.update()
                if interrupted or training.seconds - saved > 120:
                    saved = training.seconds
                    file.flush()
                    training.save(checkpoint)
                    recipe.sheet(training.average).save(out / "sheet.png")
                if interrupted:
                    break
        finally:
            signal.signal(signal.SIGINT, before)
    if interrupted:
        raise KeyboardInterrupt(f"stopped at step {training.step}; go on with: {command} --resume")
    training.save(checkpoint)
    recipe.sheet(training.average).save(out / "sheet.png")
    card = {
        "name": name,
        "command": command,
        "seed": seed,
        "steps": training.step,
        "batch": recipe.batch,
        "minutes": round(training.seconds / 60, 1),
        "machine": machine(),
        "torch": torch.__version__,
        "commit": commit(),
        "data": data_hash(),
        "loss": round(mean, 5) if mean else None,
        **(recipe.note or {}),
    }
    path = out / f"{name}.safetensors"
    weights.save(path, training.average, card)
    return path


def _rows_until(log: Path, step: int) -> list[list[str]]:
    """What the loss CSV held when the checkpoint was written (a killed run may have written more)."""
    if not log.is_file():
        return []
    with open(log, newline="") as file:
        return [row for row in list(csv.reader(file))[1:] if len(row) == 3 and int(row[0]) <= step]


def machine() -> str:
    """The kind of machine, for the model card."""
    return (
        f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}, {platform.machine()}"
    )


def commit() -> str:
    """The commit of this checkout, or "unknown" outside of one."""
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def data_hash() -> str:
    """One hash over the list of hashes of the embedded data."""
    return hashlib.sha256((DATA / "SHA256SUMS").read_bytes()).hexdigest()[:16]
