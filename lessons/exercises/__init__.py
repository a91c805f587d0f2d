"""Exercises that check themselves: `check("02.1", add_noise)` says what is right, or plainly what differs.

Each lesson has a module here, whose EXERCISES are tests of an answer: `test(answer)` raises `Wrong` with a
sentence for the student, and may return a picture. Most are made by `compare`, which needs the right
function, the cases to try, and the mistakes that people make: a mistake is recognised by its results.
"""

import contextlib
import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from minit2i import viz
from minit2i.trainer import Training, fit

Test = Callable[[Any], Image.Image | None]


class Wrong(Exception):
    """What is wrong with an answer, in words for the student; `picture` shows it, if it can be shown."""

    def __init__(self, message: str, picture: Image.Image | None = None):
        super().__init__(message)
        self.picture = picture


def minutes(full: float) -> float:
    """How long to train: `full` minutes, or MINIT2I_HURRY times less where a test is in a hurry."""
    return full / float(os.environ.get("MINIT2I_HURRY", 1))


def few(full: int, least: int = 8) -> int:
    """How many pictures to draw: `full`, or MINIT2I_HURRY times fewer where a test is in a hurry."""
    return max(min(full, least), round(full / float(os.environ.get("MINIT2I_HURRY", 1))))


def learn(
    training: Training, batch_loss: Callable, minutes: float, each_minute: Callable[[], Any] | None = None
) -> list[float]:
    """`fit` with a progress bar that suits a notebook; returns the loss of each step.

    each_minute: called half a minute after each full minute of training, to look at what has been learnt so
    far. The notebook's stop button ends it early, and keeps what was learnt.
    """
    losses: list[float] = []
    looks = 0
    with (
        contextlib.suppress(KeyboardInterrupt),
        tqdm(
            total=round(60 * minutes),
            bar_format="{l_bar}{bar}| {n:.0f} of {total} s{postfix}",
            file=sys.stdout,
            ncols=90,
            mininterval=1,
        ) as bar,
    ):
        for step, loss in fit(training, batch_loss, minutes=minutes):
            losses.append(loss)
            bar.set_postfix_str(
                f"step {step}, loss {sum(losses[-50:]) / len(losses[-50:]):.4f}", refresh=False
            )
            bar.update(min(training.seconds, bar.total) - bar.n)
            if each_minute is not None and training.seconds > 60 * looks + 30:
                looks += 1
                each_minute()
    return losses


def check(name: str, answer: Any) -> None:
    """Say whether the answer to exercise `name` ("02.1") is right, and what differs if not.

    Never ends in a traceback, so that a notebook runs on; except when nbgrader grades, which counts by
    errors.
    """
    exercises = load(name[:2])
    if name not in exercises:
        print(f"There is no exercise {name}. This lesson has {', '.join(exercises)}.")
        return
    message = ""
    try:
        if not callable(answer):
            raise Wrong(f"Hand in the function itself, without calling it. This is {shown(answer)}.")
        with contextlib.redirect_stderr(sys.stdout):  # nbgrader takes whatever is on stderr for a failure
            picture = exercises[name](answer)
    except Wrong as wrong:
        message, picture = str(wrong), wrong.picture
    print(f"{name}: not yet. {message}" if message else f"{name}: right.")
    if picture is not None:
        viz.show(picture, f"Exercise {name}: what a right answer draws, and what yours draws.")
    if message and os.environ.get("NBGRADER_EXECUTION"):
        raise AssertionError(message)


def load(lesson: str) -> dict[str, Test]:
    """The exercises of a lesson, such as "07"; none for another."""
    name = f"{__name__}.lesson_{lesson}"
    try:
        return importlib.import_module(name).EXERCISES
    except ModuleNotFoundError as error:
        if error.name != name:  # something that the exercises need is missing, and not the exercises
            raise
        return {}


def compare(
    right: Callable,
    cases: list[tuple],
    mistakes: dict[str, Callable] | None = None,
    draw: Callable[[Callable], list[Image.Image]] | None = None,
) -> Test:
    """Make a test that tries an answer, a function, on cases and compares it with the right function.

    mistakes: what a frequent mistake does ("you ...") -> a function that makes it. draw: a function ->
    pictures.
    """
    names = list(inspect.signature(right).parameters)

    def test(answer: Callable) -> Image.Image | None:
        problem = ""
        for case in cases:
            got = attempt(answer, case)
            problem = difference(got, right(*copied(case)))
            if problem:
                tried = ", ".join(f"{name} = {shown(value)}" for name, value in zip(names, case, strict=True))
                problem = f"Tried with {tried}: {problem}"
                for says, mistake in (mistakes or {}).items():
                    if not difference(got, mistake(*copied(case))):
                        problem += f" This is what comes out when {says}."
                        break
                break
        picture = beside(draw, right, answer) if draw else None
        if problem:
            raise Wrong(problem, picture)
        return picture

    return test


@cache
def noise(*shape: int) -> Tensor:
    """Numbers to try answers on: the same for the same shape."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def copied(case: tuple) -> tuple:
    """The same arguments, safe from an answer that changes them."""
    return tuple(value.clone() if isinstance(value, Tensor) else value for value in case)


def attempt(answer: Callable, case: tuple) -> Any:
    """Call the answer; what goes wrong inside it becomes a sentence that names its line."""
    arguments = copied(case)
    try:
        got = answer(*arguments)
    except Exception as error:  # a student's function may raise anything
        own = getattr(answer, "__code__", None)  # quote the student's line, not torch's in which it ended
        lines = [
            frame.line
            for frame in traceback.extract_tb(error.__traceback__)
            if own and frame.filename == own.co_filename and frame.line
        ]
        line = f' in the line "{lines[-1]}"' if lines else ""
        raise Wrong(f"Your code stopped{line} with {type(error).__name__}: {error}") from None
    if any(
        isinstance(now, Tensor) and not torch.equal(now, before)
        for now, before in zip(arguments, case, strict=True)
    ):
        raise Wrong(
            "Your function changes the tensor that it is given. Make a new one instead: x + 1, not x += 1."
        )
    return got


def difference(got: Any, expected: Any, tolerance: float = 1e-4) -> str:
    """In which way two answers differ, in one or two sentences; empty if they do not."""
    if got is None:
        return "your function returns nothing. Does it end with `return`?"
    if isinstance(expected, (tuple, list)) and all(isinstance(value, (float, int)) for value in expected):
        try:  # some numbers: a list, a tuple and a tensor of them are all fine
            got = torch.tensor([float(value) for value in got])
        except (TypeError, ValueError):
            return f"expected {len(expected)} numbers, got {shown(got)}."
        expected = torch.tensor(expected, dtype=torch.float32)
    if isinstance(expected, Tensor):
        if not isinstance(got, Tensor):
            return f"expected a tensor of shape {tuple(expected.shape)}, got {shown(got)}."
        if got.shape != expected.shape:
            return f"expected the shape {tuple(expected.shape)}, got {tuple(got.shape)}."
        if not got.isfinite().all():
            return "some of your numbers are infinite or not a number (nan). Is something divided by 0?"
        got, expected = got.detach().cpu(), expected.cpu()
        wrong = (got.double() - expected.double()).abs() > tolerance * (1 + expected.double().abs())
        if not wrong.any():
            return ""
        place = tuple(wrong.nonzero()[0].tolist())
        at = f" at {list(place)}" if place else ""
        return f"expected {expected[place].item():.4g}{at}, got {got[place].item():.4g}."
    if isinstance(expected, (float, int)) and not isinstance(expected, bool):
        if isinstance(got, Tensor) and got.numel() == 1:
            got = got.item()
        if not isinstance(got, (float, int)):
            return f"expected a number, got {shown(got)}."
        near = abs(got - expected) <= tolerance * (1 + abs(expected))
        return "" if near else f"expected {expected:.4g}, got {got:.4g}."
    return "" if got == expected else f"expected {shown(expected)}, got {shown(got)}."


def shown(value: Any) -> str:
    """A value, short enough for a sentence."""
    if isinstance(value, Tensor):
        if value.numel() <= 8:
            numbers = str(
                (torch.round(value.cpu().double() * 1000) / 1000).tolist()
                if value.is_floating_point()
                else value.tolist()
            )
            return f"tensor({numbers})"
        return f"a tensor of shape {tuple(value.shape)}"
    text = (
        repr(value)
        if isinstance(value, (str, int, float, list, tuple, dict, bool))
        else f"a {type(value).__name__}"
    )
    return text if len(text) <= 80 else text[:77] + "..."


def beside(
    draw: Callable[[Callable], list[Image.Image]], right: Callable, answer: Callable
) -> Image.Image | None:
    """What the right answer draws, above what the student's draws; None if that cannot be drawn."""
    wanted, yours = draw(right), []
    with contextlib.suppress(Exception):  # a wrong answer may give anything; its message says what
        yours = draw(answer)
    return viz.grid(
        [*wanted, *yours],
        columns=len(wanted),
        side=96,
        captions=["right"] * len(wanted) + ["yours"] * len(yours),
    )
