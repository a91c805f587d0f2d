"""What the commands share: files looked at before anything is computed, texts that fit, what is printed."""

import itertools
import json
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageOps
from tqdm import tqdm

from minit2i.edit.compositing import Letterbox
from minit2i.images import FORMATS, open_image, save_image
from minit2i.tokenizer import Tokenizer, words_of
from minit2i.utils import InputError, device


def say_device() -> None:
    print(f"minit2i: computing on {device().type} (--device chooses another)", file=sys.stderr)


def check_output(path: str | Path, endings: Sequence[str] = tuple(FORMATS)) -> Path:
    """Find out before a long computation whether its result can be written."""
    path = Path(path)
    if path.suffix.lower() not in endings:
        raise InputError(f"{path}: the name must end in one of {', '.join(endings)}")
    if path.is_dir():
        raise InputError(f"{path}: cannot write it (it is a folder)")
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise InputError(f"{path}: cannot write it ({error.strerror})") from error
    return path


def save(picture: Image.Image, path: Path, silently: bool = False) -> None:
    save_image(picture, path)
    if not silently:
        print(path)


def shorten(text: str, tokenizer: Tokenizer) -> str:
    """As many words of a text as the model has room for, with a warning if that is not all of them."""
    words = words_of(text[:1000])  # far more than there is room for, yet little enough to spell out quickly
    lengths = itertools.accumulate(len(tokenizer.encode_word(word)) for word in words)
    fitting = sum(length <= tokenizer.context - 2 for length in lengths)  # start and end take two
    if fitting == len(words) and len(text) <= 1000:
        return text
    warnings.warn(f"the text is too long: only its first {fitting} words are read", stacklevel=1)
    return " ".join(words[:fitting])


def settings(args) -> dict:
    """What was said of sampling; guidance is left to the way of drawing if nothing was."""
    given = {"seed": args.seed, "steps": args.steps}
    return given if args.guidance is None else {**given, "guidance_scale": args.guidance}


def show(rows: list[dict], as_json: bool) -> None:
    """Print rows of a text and a number, the highest first, as JSON or as a table with bars."""
    text, number = rows[0]
    rows = sorted(rows, key=lambda row: -row[number])
    table = [f"{row[number]:7.3f} {'█' * round(20 * max(0, row[number])):<20} {row[text]}" for row in rows]
    print(json.dumps(rows, indent=2, ensure_ascii=False) if as_json else "\n".join(table))


def pictures_in(folder: Path, crop: bool = True) -> tuple[list[str], list[Image.Image]]:
    """Names and small squares of the pictures in a folder and its folders; warns of those it cannot read.

    crop: to the middle of each; else its shorter side is filled up.
    """
    square = (lambda picture: ImageOps.fit(picture, (128, 128))) if crop else (lambda p: Letterbox(p).square)
    names, pictures = [], []
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in FORMATS]
    for path in tqdm(paths, desc="reading", unit=" pictures", disable=None, leave=False):
        try:
            pictures.append(square(open_image(path)))
            names.append(str(path.relative_to(folder)))
        except InputError as error:
            warnings.warn(f"left out {error}", stacklevel=1)
    if not names:
        raise InputError(f"{folder}: there is no picture in it that can be read")
    return names, pictures
