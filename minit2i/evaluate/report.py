"""Every number that this project claims, measured in one go: `minit2i evaluate`.

The registry names for each network the function that measures it, so a chapter brings its own figures: nested
dicts, with a `share` or a `number` at the end. Nothing here is used to train, to tune or to choose.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from PIL import Image

from minit2i.checkpoint import NETWORKS, load_model
from minit2i.images import save_image
from minit2i.text2image import TextToImage
from minit2i.utils import WEIGHTS, InputError, resolve

from .judge import Judge


@dataclass
class Bench:
    """The weights to measure, how many pictures to use, and a seed. What many measures need is loaded once.

    n: at least 2. pictures: what a measure leaves to look at, by name.
    """

    folder: str | Path = WEIGHTS
    n: int = 2000
    seed: int = 0
    pictures: dict[str, Image.Image] = field(default_factory=dict)

    @cached_property
    def t2i(self) -> TextToImage:
        return TextToImage.load(self.folder)

    @cached_property
    def judge(self) -> Judge:
        return load_model("judge", self.folder)


def evaluate(
    folder: str | Path = WEIGHTS, n: int = 2000, seed: int = 0, copies: str | Path | None = None
) -> dict:
    """Measure the networks in `folder`, most figures with n pictures: {"n", "seed", name of each: figures}.

    copies: a file for the picture that shows whether drawings are copies of training pictures.
    Raises InputError if weights are missing or n is less than 2.
    """
    if n < 2:
        raise InputError(f"a distance between sets of pictures needs at least 2 of them, not {n}")
    bench = Bench(folder, n, seed)
    figures = {name: resolve(entry.measure)(bench) for name, entry in NETWORKS.items() if entry.measure}
    if copies is not None:
        save_image(bench.pictures["copy-check"], copies)
    return {"n": n, "seed": seed, **figures}


def as_text(report: dict) -> str:
    """A report as a page for the terminal."""
    lines = [f"n = {report['n']:,}, seed {report['seed']}"]
    for title, rows in tables(report):
        width = max(len(row[0]) for row in rows)
        lines += ["", title, *(f"  {row[0]:{width}} {row[1]:>12}  {row[2]:14} {row[3]:>6}" for row in rows)]
    return "\n".join(lines)


def as_markdown(report: dict) -> str:
    """A report as docs/results.md."""
    lines = ["# Results", "", f"`minit2i evaluate -n {report['n']} --seed {report['seed']} --markdown`"]
    for title, rows in tables(report):
        lines += ["", f"## {title}", "", "| what | value | 95 % interval | n |", "|---|---|---|---|"]
        lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)


def tables(report: dict) -> list[tuple[str, list[tuple[str, ...]]]]:
    """For each network that was measured, a title and the rows of its table: what, value, interval, n."""
    measured = {name: entry.about for name, entry in NETWORKS.items() if name in report}
    return [(f"{name}: {about}", list(rows_of(report[name]))) for name, about in measured.items()]


def rows_of(figures: dict, words: str = "") -> Iterator[tuple[str, ...]]:
    """A row for each share and each number of a nested dict; `words` were on the way to it."""
    for word, leaf in figures.items():
        if "value" not in leaf:
            yield from rows_of(leaf, f"{words}{word}: ")
            continue
        value, interval = leaf["value"], leaf.get("interval") or ()
        if value is None:
            shown = "-"
        elif interval:
            shown = f"{100 * value:.1f} %"
        else:
            shown = f"{value:{',' if isinstance(value, int) else '#.4g'}} {leaf['unit']}".rstrip()
        yield words + word, shown, " to ".join(f"{100 * end:.1f}" for end in interval), f"{leaf['n']:,}"
