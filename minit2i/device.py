"""Where to compute: on a GPU if there is one, else on the CPU.

Asked for where networks and training data are loaded; everything else follows the network it works with
(`device_of`).
"""

import os

import torch

from .errors import InputError

DEVICES = ("cuda", "mps", "cpu")


def device() -> torch.device:
    """The device that MINIT2I_DEVICE names, else the fastest that is here: cuda, then mps, then cpu.

    Also makes the CPU round denormal numbers to zero, for the whole process. Raises InputError if the device
    that is named is not here.
    """
    # Denormal numbers carry nothing, and a CPU computes with them many times slower.
    torch.set_flush_denormal(True)
    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    name = os.environ.get("MINIT2I_DEVICE") or next(name for name in DEVICES if here[name])
    if not here.get(name):
        found = ", ".join(name for name in DEVICES if here[name])
        raise InputError(f"there is no device {name!r} here, only {found}")
    return torch.device(name)


def device_of(model: torch.nn.Module) -> torch.device:
    """The device that a network is on."""
    return next(model.parameters()).device


def half_bits(on: torch.device) -> bool:
    """Whether this device multiplies numbers of 16 bits (bfloat16) faster than those of 32.

    So do GPUs, and the CPUs of servers and of some laptops, by instructions of their own.
    """
    return on.type == "cuda" or (on.type == "cpu" and torch.cpu.get_capabilities().get("avx512_bf16", False))
