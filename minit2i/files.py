"""Where data and weights lie, and how a file is written: whole or not at all."""

import os
from pathlib import Path

from .errors import InputError

DATA = Path(__file__).resolve().parent.parent / "data"
WEIGHTS = Path(__file__).resolve().parent / "weights"


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
