"""What everything uses: the mistake that one line explains, where files lie, and where to compute.

PyTorch is imported late here, since `minit2i --help` should not wait for it.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

DATA = Path(__file__).resolve().parent.parent / "data"
WEIGHTS = Path(__file__).resolve().parent / "weights"
DEVICES = ("cuda", "mps", "cpu")


class InputError(ValueError):
    """A mistake of the caller's: the command line prints it as one line and exits with 2."""


def warn(message: str) -> None:
    """A warning that names the caller's line: the first one outside of minit2i and of PyTorch's wrappers."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] in ("minit2i", "torch"):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)


def resolve(name: str) -> Any:
    """What "module:name" stands for in this package, such as "unet:UNet", imported only now."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(f"minit2i.{module}"), attribute)


def need(module: str) -> Any:
    """A library that drawing does without, imported now. Raises InputError if it is not here."""
    try:
        return importlib.import_module(module)
    except ImportError:
        name = module.split(".")[0]
        raise InputError(f"this needs {name}: pip install 'minit2i[lessons]' brings it") from None


def data_file(*parts: str) -> Path:
    """The path of a file or folder of the embedded data. Raises InputError if it is not there."""
    path = DATA.joinpath(*parts)
    if not path.exists():
        raise InputError(
            f"there is no {path}: data comes with the repository and not with the installed package, "
            "so clone it and run pip install -e . there"
        )
    return path


def write_file(path: str | os.PathLike, content: bytes) -> None:
    """Write a file beside its place and then rename it into it, so that a crash leaves no half of one.

    Raises OSError, which names the file, if it cannot be written.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:  # a full disk does not say for which file
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        partial.unlink(missing_ok=True)


def device() -> torch.device:
    """The device that MINIT2I_DEVICE names, else the fastest that is here: cuda, then mps, then cpu.

    Asked where networks and training data are loaded; all else follows its network (`device_of`). Also makes
    the CPU round denormal numbers to zero. Raises InputError if the device that is named is not here.
    """
    import torch

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


def in_batches(
    function: Callable[..., torch.Tensor], items: torch.Tensor | Sequence, size: int = 256, desc: str = ""
) -> torch.Tensor:
    """Apply a function to `size` items at a time, so that memory stays small, and join the results.

    items: a tensor (N, ...) or a list of N. desc: what to write beside a progress bar.
    Returns (N, ...), or whatever `function` makes of each part, joined along axis 0.
    """
    import torch

    starts = progress(range(0, len(items), size), desc and f"{desc}, {size} at a time")
    return torch.cat([function(items[i : i + size]) for i in starts])


def progress(items, desc: str, **options):
    """Items under a progress bar, which shows after a second, on a terminal only; none without `desc`."""
    from tqdm import tqdm

    return tqdm(items, desc, leave=False, delay=1, disable=None if desc else True, **options)
