"""What differs between the networks, their recipes; and what `minit2i train NAME` does with one."""

import hashlib
import platform
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from PIL import Image
from torch import Generator, Tensor, nn

from minit2i.checkpoint import NETWORKS, find, fingerprint, save_model
from minit2i.images import save_image
from minit2i.trainer import Training, about_checkpoint, fit
from minit2i.utils import WEIGHTS, InputError, data_file, device, progress, resolve, write_file


@dataclass(frozen=True)
class Recipe:
    """Settings of a training. The data is loaded once and handed to each function, so variants can share it.

    batch: pictures a step; minutes: on two CPU cores; lr, weight_decay: of the optimisers; decay: of the
    moving average of the weights. `needs` names the weights that the network is trained with, and must be
    used with.
    """

    batch: int
    minutes: float
    lr: float
    weight_decay: float = 0.01
    decay: float = 0.999
    needs: ClassVar[tuple[str, ...]] = ()

    def load_data(self, folder: str | Path) -> Any:
        """Load pictures, words and the networks it needs (from `folder`), where batches are made."""

    def build(self, data: Any) -> nn.Module:
        """The untrained network."""

    def loss(self, model: nn.Module, data: Any, generator: Generator) -> Tensor:
        """Draw a batch with the generator and return its scalar loss."""

    def preview(self, model: nn.Module, data: Any) -> Image.Image:
        """What the network can do by now, as a picture to look at while it trains."""

    def note(self, data: Any) -> dict:
        """What else belongs into the model card."""
        return {}


def recipe_for(name: str) -> Recipe:
    """The recipe of a network, with the settings that we train it with."""
    return resolve(NETWORKS[name].recipe)(**NETWORKS[name].options)


@dataclass(frozen=True)
class RunSettings:
    """How long to train, in minutes or steps, whichever is over first, if not for the recipe's minutes; the
    seed; whether to go on from a checkpoint; and the command that the model card names."""

    minutes: float | None = None
    steps: int | None = None
    seed: int = 0
    resume: bool = False
    command: str = ""


def run(
    name: str, recipe: Recipe, folder: str | Path, out: str | Path, settings: RunSettings = RunSettings()
) -> Path:
    """Carry out a recipe with a progress bar, checkpoints, a CSV of the loss and previews.

    folder: where the weights are that it needs. Everything goes to the folder `out`: the weights that it
    needs, if they are no pretrained ones, checkpoint.pt, loss.csv, preview.png and, at the end,
    NAME.safetensors. Ctrl-C saves after the current step; `resume` goes on from there.
    Returns the path of the weights. Raises InputError if something is missing, cannot be written, would be
    overwritten, or was made from something else; and KeyboardInterrupt after Ctrl-C, once all is saved.
    """
    out, minutes, steps = Path(out), settings.minutes, settings.steps
    if minutes is None and steps is None:
        minutes = recipe.minutes
    checkpoint, log = out / "checkpoint.pt", out / "loss.csv"
    # Noted now: a commit, or new weights in `folder`, may come while it trains.
    card = {"name": name, "command": settings.command, "seed": settings.seed, **surroundings()}
    card["needs"] = needs = {other: fingerprint(other, folder) for other in recipe.needs}
    about = {key: repr(value) for key, value in vars(recipe).items() if key != "minutes"}
    about |= {"name": name, "seed": settings.seed, **{f"--weights with {k}": needs[k] for k in needs}}
    check_folder(out, about, needs, settings.resume)

    data = recipe.load_data(folder)
    torch.manual_seed(settings.seed)  # for the first weights; all else is drawn from the training's generator
    model = recipe.build(data).to(device())
    training, rows = Training(model, recipe.lr, recipe.weight_decay, recipe.decay, settings.seed), []
    if settings.resume:
        training.load(checkpoint)
        rows = log.read_text().splitlines()[1:] if log.is_file() else []
        rows = [row for row in rows if int(row.split(",")[0]) <= training.step]
    out.mkdir(parents=True, exist_ok=True)
    for path in (find(other, folder) for other in needs):  # so that `out` is all that one has to name later
        if path.parent.resolve() != WEIGHTS and not (out / path.name).is_file():
            write_file(out / path.name, path.read_bytes())

    def keep() -> None:
        training.save(checkpoint, about)
        write_file(log, "".join(f"{row}\n" for row in ["step,seconds,loss", *rows]).encode())
        save_image(recipe.preview(training.average, data), out / "preview.png")

    interrupted, mean, kept = [], None, training.seconds  # after Ctrl-C the step is finished first
    before = signal.signal(signal.SIGINT, lambda *_: interrupted.append(True))
    try:
        with progress(None, name, total=steps, initial=training.step, unit=" steps", smoothing=0.05) as bar:
            batch_loss = lambda model, generator: recipe.loss(model, data, generator)  # noqa: E731
            for step, loss in fit(training, batch_loss, steps=steps, minutes=minutes):
                mean = loss if mean is None else 0.98 * mean + 0.02 * loss
                rows.append(f"{step},{training.seconds:.1f},{loss:.5f}")
                left = f", {minutes - training.seconds / 60:.1f} min left" if minutes else ""
                bar.set_postfix_str(f"loss {mean:.4f}{left}")
                bar.update()
                if interrupted:
                    break
                if training.seconds - kept > 120:
                    kept = training.seconds
                    keep()
        keep()
    finally:
        signal.signal(signal.SIGINT, before)
    if interrupted:
        raise KeyboardInterrupt(f"stopped at step {training.step}; go on with: {settings.command} --resume")
    card |= {"steps": training.step, "batch": recipe.batch, "minutes": round(training.seconds / 60, 1)}
    card |= {"loss": round(mean, 5) if mean else None, **recipe.note(data)}
    path = out / f"{name}.safetensors"
    save_model(path, training.average, card)
    return path


def check_folder(out: Path, about: dict, needs: dict[str, str], resume: bool) -> None:
    """Raises InputError, which says what to do, if a run may not begin in a folder, or not go on in it."""
    checkpoint = out / "checkpoint.pt"
    found = about_checkpoint(checkpoint) if checkpoint.is_file() else {}
    if resume and not found:
        raise InputError(f"nothing to resume: there is no {checkpoint}")
    if found and not resume:
        there = f"{checkpoint} is there, of step {found['step']}"
        raise InputError(f"{there}: --resume goes on from it, --out takes another folder")
    for key, ours in about.items():
        if found.get(key, ours) != ours:
            was = f"{checkpoint} was made with {key} {found[key]}, not {ours}"
            raise InputError(f"{was}: say the same as then, or take another --out")
    for other, wanted in needs.items():
        if (out / find(other).name).is_file() and fingerprint(other, out) != wanted:
            raise InputError(f"{out} holds another {other} than --weights: take another --out")


def surroundings() -> dict[str, str]:
    """Where a training runs, for the model card: machine, PyTorch, commit, and a hash of the data."""
    command = ["git", "-C", Path(__file__).parent, "rev-parse", "--short", "HEAD"]
    try:
        commit = subprocess.check_output(command, stderr=subprocess.DEVNULL, text=True).strip()
    except (OSError, subprocess.CalledProcessError):
        commit = "unknown"
    on, data = device().type, hashlib.sha256(data_file("SHA256SUMS").read_bytes()).hexdigest()[:16]
    kind = f"{torch.backends.cpu.get_cpu_capability()}, {platform.machine()}"
    cpu = f"{on}, {torch.get_num_threads()} threads, {kind}"
    machine = torch.cuda.get_device_name() if on == "cuda" else cpu
    return {"machine": machine, "torch": torch.__version__, "commit": commit, "data": data}
