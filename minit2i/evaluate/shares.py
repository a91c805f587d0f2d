"""What all measuring shares: the leaves of a report, work in parts of fifty, seeds that no training uses."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from minit2i.utils import in_batches

from .metrics import wilson_interval

REAL_SEED, OTHER_SEED = 101, 102  # seeds that no recipe uses, so that no scene measured here was trained on


def share(right: Tensor | Sequence[bool]) -> dict:
    """Of n answers, right or wrong, the share that is right, with a 95 % Wilson interval; None if n is 0."""
    n, k = len(right), int(sum(right))
    value, interval = (k / n, list(wilson_interval(k, n))) if n else (None, None)
    return {"value": value, "n": n, "interval": interval}


def number(value: float | Tensor, n: int, unit: str = "") -> dict:
    """Any other figure, from n pictures, in its unit; None if it is not finite, which JSON cannot say."""
    value = value.item() if isinstance(value, Tensor) else value
    return {"value": value if math.isfinite(value) else None, "n": n, "unit": unit}


def quantiles(values: Tensor, unit: str = "dB") -> dict:
    """(n,) numbers -> their median, and the 10th percentile, below which a tenth of them lies."""
    points = {"median": 0.5, "10th percentile": 0.1}
    values = values.double() if len(values) else torch.tensor([math.nan])
    return {name: number(values.quantile(point), len(values), unit) for name, point in points.items()}


def in_fifties(function: Callable[[slice, int], Tensor], count: int, what: str) -> Tensor:
    """Call function(slice, i) for part number i of `count` things, fifty at a time, and join what it returns.

    what: to write beside the progress bar. Returns (count, ...), on the CPU.
    """
    return in_batches(
        lambda part: function(slice(part.start, part.stop), part.start // 50).cpu(), range(count), 50, what
    )
