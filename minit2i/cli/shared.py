"""What the commands share: files looked at before anything is computed, texts that fit, pictures written."""

import itertools
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from minit2i.edit.compositing import Letterbox
from minit2i.images import FORMATS, as_rgb, open_image, read_image, save_image
from minit2i.tokenizer import Tokenizer, words_of
from minit2i.utils import InputError, progress, warn

from .parser import version


def check_output(path: str | Path, endings: tuple[str, ...] = tuple(FORMATS)) -> Path:
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


def open_picture(path: str) -> Image.Image:
    """A picture that a command changes, as RGB; says so if part of it was transparent."""
    picture = read_image(path)
    transparent = picture.has_transparency_data and picture.mode[0] not in "IF"
    if transparent and picture.convert("RGBA").getchannel("A").getextrema()[0] < 255:
        warn(f"{path} is transparent: it is laid on white")
    return as_rgb(picture)


def square_of(picture: Image.Image, name: str) -> Image.Image:
    """The whole picture in a square of SIDE pixels; says what is around it."""
    if picture.width != picture.height:
        warn(f"{name} is no square: what is at its edges fills it up")
    return Letterbox(picture).square


def pictures_in(folder: Path, square: Callable) -> dict[str, Image.Image]:
    """Pictures in a folder and its folders by name, each made `square`; warns of those it cannot read."""
    paths = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.suffix.lower() in FORMATS]
    paths = [path for path in paths if not any(part.startswith(".") for part in path.parts)]  # hidden
    pictures = {}
    for path in progress(paths, "reading", unit=" pictures"):
        try:
            pictures[str(path)] = square(open_image(folder / path))
        except InputError as error:
            warn(f"left out {error}")
    if not pictures:
        raise InputError(f"{folder}: there is no picture in it that can be read")
    return pictures


def shorten(text: str, tokenizer: Tokenizer, known: Sequence[str] = ()) -> str:
    """As many words of a text as the model has room for; warns if these are not all, or none is `known`."""
    words = words_of(text[:1000])  # far more than there is room for, yet little enough to spell out quickly
    lengths = itertools.accumulate(len(tokenizer.encode_word(word)) for word in words)
    fitting = sum(length <= tokenizer.context - 2 for length in lengths)  # start and end take two
    if fitting < len(words) or len(text) > 1000:
        warn(f"the text is too long: only its first {fitting} words are read")
        text = " ".join(words[:fitting])
    if known and not set(known).intersection(words[:fitting]):
        warn("there is no known word in the prompt: what to draw is left to chance")
    return text


def sampling(args, *more: str) -> dict:
    """What was said of sampling; what was not is left to the way of drawing."""
    given = {name: getattr(args, name) for name in ("seed", "steps", *more)}
    return given if args.guidance is None else {**given, "guidance_scale": args.guidance}


DRAWN_FROM = ("prompt", "seed", "index", "steps", "guidance", "sampler", "style", "best_of", "strength",
              "version")  # fmt: skip


def save(picture: Image.Image, path: Path, args=None, silently: bool = False) -> None:
    """Write a picture and print its name. A PNG says from which of args it was drawn, and can be again."""
    options = {}
    if args is not None and path.suffix.lower() == ".png":
        options["pnginfo"] = texts = PngInfo()
        for name, value in {**vars(args), "version": version()}.items():
            if name in DRAWN_FROM and value is not None:
                texts.add_text(name, str(value).encode("utf-8", "replace").decode())
    save_image(picture, path, **options)
    if not silently:
        print(path)


def show(rows: list[dict], as_json: bool) -> None:
    """Print rows of a text and a number, the highest first, as JSON or as a table with bars."""
    text, number = rows[0]
    rows = sorted(rows, key=lambda row: -row[number])
    table = [f"{row[number]:7.3f} {'█' * round(20 * max(0, row[number])):<20} {row[text]}" for row in rows]
    print(json.dumps(rows, indent=2, ensure_ascii=False) if as_json else "\n".join(table))
