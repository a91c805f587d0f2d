"""What `minit2i train NAME` does: carry out a recipe, keep what it has learnt, and write the model card."""

import hashlib
import platform
import signal
import subprocess
from pathlib import Path

import torch
from tqdm import tqdm

from minit2i.checkpoint import NETWORKS, fingerprint, save_model
from minit2i.images import save_image
from minit2i.trainer import Training, fit
from minit2i.utils import InputError, data_file, device, resolve, write_file

from .recipe import Recipe


def recipe_for(name: str) -> Recipe:
    """The recipe of a network, with the settings that we train it with."""
    return resolve(NETWORKS[name].recipe)(**NETWORKS[name].options)


def run(
    name: str,
    recipe: Recipe,
    folder: str | Path,
    out: str | Path,
    *,
    minutes: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    resume: bool = False,
    command: str = "",
) -> Path:
    """Carry out a recipe with a progress bar, checkpoints, a CSV of the loss and sheets of samples.

    folder: where the weights are that it needs. Everything goes to the folder `out`: checkpoint.pt, loss.csv,
    sheet.png and, at the end, NAME.safetensors. Ctrl-C saves after the current step; `resume` goes on from
    there.
    Returns the path of the weights. Raises InputError if something is missing or cannot be written, and
    KeyboardInterrupt after Ctrl-C, once all is saved.
    """
    out = Path(out)
    checkpoint, log = out / "checkpoint.pt", out / "loss.csv"
    if resume and not checkpoint.is_file():
        raise InputError(f"nothing to resume: there is no {checkpoint}")
    if minutes is None and steps is None:
        minutes = recipe.minutes
    out.mkdir(parents=True, exist_ok=True)
    data = recipe.load_data(folder)
    torch.manual_seed(seed)  # for the first weights; all else is drawn from the generator of the training
    training = Training(recipe.build(data).to(device()), recipe.lr, recipe.weight_decay, recipe.decay, seed)
    if resume:
        training.load(checkpoint)
    rows = _rows_until(log, training.step) if resume else []
    # Noted now: a commit, or new weights in `folder`, may come while it trains.
    made_from = {
        "machine": machine(),
        "torch": torch.__version__,
        "commit": commit(),
        "data": data_hash(),
        "needs": {other: fingerprint(other, folder) for other in recipe.needs},
    }

    def keep() -> None:
        training.save(checkpoint)
        write_file(log, "".join(f"{row}\n" for row in ["step,seconds,loss", *rows]).encode())
        save_image(recipe.preview(training.average, data), out / "preview.png")

    interrupted = []
    # Ctrl-C: finish the step first, then stop.
    before = signal.signal(signal.SIGINT, lambda *_: interrupted.append(True))
    bar = tqdm(total=steps, initial=training.step, desc=name, unit=" steps", smoothing=0.05)
    with bar:
        mean, kept = None, training.seconds
        try:
            batch_loss = lambda model, generator: recipe.loss(model, data, generator)  # noqa: E731
            for step, loss in fit(training, batch_loss, steps=steps, minutes=minutes):
                mean = loss if mean is None else 0.98 * mean + 0.02 * loss
                rows.append(f"{step},{training.seconds:.1f},{loss:.5f}")
                rate = bar.format_dict["rate"] or 0
                left = f", {minutes - training.seconds / 60:.1f} min left" if minutes else ""
                bar.set_postfix_str(f"loss {mean:.4f}, {rate * recipe.batch:.0f} pictures/s{left}")
                bar.update()
                if interrupted or training.seconds - kept > 120:
                    kept = training.seconds
                    keep()
                if interrupted:
                    break
        finally:
            signal.signal(signal.SIGINT, before)
    if interrupted:
        raise KeyboardInterrupt(f"stopped at step {training.step}; go on with: {command} --resume")
    keep()
    card = {
        "name": name,
        "command": command,
        "seed": seed,
        "steps": training.step,
        "batch": recipe.batch,
        "minutes": round(training.seconds / 60, 1),
        "loss": round(mean, 5) if mean else None,
        **made_from,
        **recipe.note(data),
    }
    path = out / f"{name}.safetensors"
    save_model(path, training.average, card)
    return path


def _rows_until(log: Path, step: int) -> list[str]:
    """The lines of the loss CSV up to the step of the checkpoint, without its heading."""
    rows = log.read_text().splitlines()[1:] if log.is_file() else []
    return [row for row in rows if int(row.split(",")[0]) <= step]


def machine() -> str:
    """The kind of machine, for the model card."""
    if device().type == "cuda":
        return torch.cuda.get_device_name()
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{device().type}, {torch.get_num_threads()} threads, {capability}, {platform.machine()}"


def commit() -> str:
    """The commit of this checkout; "unknown" outside of one, or where there is no git."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def data_hash() -> str:
    """One hash over the list of hashes of the embedded data."""
    return hashlib.sha256(data_file("SHA256SUMS").read_bytes()).hexdigest()[:16]
