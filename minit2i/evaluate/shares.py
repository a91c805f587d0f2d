"""What all measuring shares: shares with their intervals, and seeds that nothing is trained on."""

import torch
from torch import Tensor

from .metrics import wilson_interval

# Seeds that no recipe uses, so that no scene measured here was trained on.
REAL_SEED, OTHER_SEED = 101, 102


def share(right: Tensor) -> dict:
    """(n,) bool -> its share with n and a 95 % Wilson interval."""
    n, k = len(right), int(right.sum())
    low, high = wilson_interval(k, n)
    return {"value": k / n, "n": n, "interval": [low, high]}


def quantiles(values: Tensor) -> dict:
    """(n,) numbers -> their median and 10th percentile, with n."""
    median, low = torch.quantile(values.double(), torch.tensor([0.5, 0.1], dtype=torch.float64)).tolist()
    return {"median": median, "percentile_10": low, "n": len(values)}
