"""What the benches share: how fast this machine multiplies, tables, and one exam for every denoiser."""

import csv
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from minit2i import viz
from minit2i.checkpoint import load_model, load_tokenizer
from minit2i.evaluate.fidelity import fidelity
from minit2i.evaluate.judge import features, verdicts
from minit2i.evaluate.metrics import frechet_distance, wilson_interval
from minit2i.images import to_float, to_pil
from minit2i.text2image import TextToImage
from minit2i.train.recipe import surroundings
from minit2i.utils import progress
from minit2i.world.batches import scene_pictures
from minit2i.world.captions import full_caption

RUNS = Path(__file__).parents[2] / "runs"
SEED = 201  # of the exam's scenes; no recipe and no `minit2i evaluate` draws with it


# ---- The machine ----


def timings(work: Callable[[], object], seconds: float = 1.0) -> list[float]:
    """Do the work once to warm up, then at least 3 times and for about `seconds`: how long each time took."""
    work()
    times: list[float] = []
    while len(times) < 3 or sum(times) < seconds:
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return times


def sgemm(n: int = 1024) -> float:
    """How many GFLOP/s this machine reaches when it multiplies n x n float32 matrices, measured for a
    second."""
    a, b = torch.randn(n, n), torch.randn(n, n)
    # n^2 sums of n products each: 2 n^3 operations
    return 2 * n**3 / statistics.median(timings(lambda: a @ b)) / 1e9


def machine() -> str:
    """The machine, in one line that stands beside every table."""
    return f"{surroundings()['machine']}, torch {torch.__version__}, measured sgemm {sgemm():.0f} GFLOP/s"


# ---- Tables ----


def print_table(rows: list[dict]) -> None:
    """Print rows, which have the same keys, as Markdown."""
    for cells in (rows[0], ["---"] * len(rows[0]), *(row.values() for row in rows)):
        print("|", " | ".join(map(str, cells)), "|")


def percent(share: float, n: int) -> str:
    """A share of n with its 95 % Wilson interval: "55.1 % [49, 61]"."""
    low, high = wilson_interval(round(share * n), n)
    return f"{100 * share:.1f} % [{100 * low:.0f}, {100 * high:.0f}]"


def read_rows(path: Path) -> list[dict]:
    """The rows of a CSV file as text; none if there is no file."""
    if not path.is_file():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def append_row(path: Path, row: dict) -> None:
    """Add a row to a CSV file at once, so that an interruption loses nothing."""
    new = not path.is_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", newline="") as file:
        writer = csv.DictWriter(file, row.keys())
        if new:
            writer.writeheader()
        writer.writerow(row)


# ---- The exam ----


class Exam:
    """The same questions to every denoiser: do pictures show what was asked for, and do they look like
    scenes?

    Asks for combinations of the training split, unless told otherwise: benches compare and tune, and what is
    used for that must not see the combinations that are held out.
    """

    def __init__(self, folder: str | Path, n: int, split: str = "train"):
        """n: how many pictures a denoiser has to draw."""
        self.n = n
        self.judge = load_model("judge", folder)
        self.clip, self.tokenizer = load_model("clip", folder), load_tokenizer(folder)
        self.autoencoder = load_model("autoencoder", folder)
        pictures, self.scenes = scene_pictures(split, n + 2000, 64, seed=SEED)
        self.pictures = to_float(pictures)
        self.captions = [full_caption(scene) for scene in self.scenes]
        self.layouts = torch.tensor([s.layout_vector() for s in self.scenes], dtype=torch.float32)
        self.real = features(self.judge, self.pictures[n:])

    def t2i(self, model: nn.Module) -> TextToImage:
        """A denoiser of ours, of latents or of pixels, made ready to be asked."""
        autoencoder = self.autoencoder if model.config.channels > 3 else None
        return TextToImage(self.clip, self.tokenizer, model, autoencoder=autoencoder)

    def draw_ours(
        self, model: nn.Module, captions: list[str], layout: Tensor, seed: int, **settings
    ) -> Tensor:
        """Small pictures (B, 3, 64, 64) by a denoiser of ours, with these layouts if it takes any."""
        given = {"layout": layout} if model.config.layout else {}
        return self.t2i(model).draw(captions, seed=seed, **given, **settings)

    def draw(self, draw: Callable[[list[str], Tensor, int], Tensor], preview: Path) -> dict:
        """Let draw(captions, layouts, seed) draw the n pictures, 64 at a time, where it can with each scene's
        own layout; saves the first 24, grades all."""
        parts = [slice(i, min(i + 64, self.n)) for i in range(0, self.n, 64)]
        drawn = [
            draw(self.captions[part], self.layouts[part], part.start).cpu()
            for part in progress(parts, "drawing")
        ]
        pictures = torch.cat(drawn)
        preview.parent.mkdir(parents=True, exist_ok=True)
        viz.grid(to_pil(pictures[:24]), columns=6, captions=self.captions[:24]).save(preview)
        return self.grade(pictures)

    def grade(self, pictures: Tensor) -> dict:
        """The judge's verdict on n pictures: the share with all right, and the Fréchet distance to scenes.
        And how near they are to the true pictures of their scenes, in the median."""
        right = verdicts(self.judge, pictures, self.scenes[: self.n])["joint"]
        return {
            "joint": right.float().mean().item(),
            "n": self.n,
            "frechet": frechet_distance(features(self.judge, pictures), self.real),
            "fidelity": fidelity(pictures, self.scenes[: self.n]).median().item(),
        }

    def show(self, grades: dict) -> dict:
        """Grades, whether fresh or read from a CSV file, as two cells of a table."""
        return {
            "all right": percent(float(grades["joint"]), int(grades["n"])),
            "Fréchet": f"{float(grades['frechet']):.2f}",
            "fidelity": f"{float(grades['fidelity']):.1f} dB",
        }

    def show_real(self) -> str:
        """What real pictures of the same scenes get: no denoiser can honestly do better."""
        cells = self.show(self.grade(self.pictures[: self.n]))  # fidelity is infinite: they are the true ones
        return "Real pictures: " + ", ".join(
            f"{name} {cell}" for name, cell in cells.items() if name != "fidelity"
        )
