"""A picture with its words: load a set, turn it into tensors and back.

Text-to-image learns from pairs: a picture, and a caption that says what is in it. Four sets come with this
repository (data/README.md is their datasheet), and any set of the Hugging Face hub can be loaded beside
them. A model sees neither files nor bytes but numbers, so the second half turns pictures into tensors and
back, and reads and writes picture files with care for whatever a stranger's file may hold.

Shapes: B pictures, C channels (3 colour, 1 grey), H height, W width. Values in a tensor are in [-1, 1].
"""

import difflib
import os
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

DATA = Path(__file__).resolve().parent.parent / "data"

SETS = {  # name -> what it is
    "emoji": "things, animals, food and signs drawn in three styles of art, with name and keywords",
    "fashion_mnist": "ten kinds of clothing in 28x28 grey pixels",
    "photos": "a handful of photographs in the public domain",
    "scenes": "animals with a hat, glasses and a background, composed on demand from emoji",
}

# What a picture file may end in, and the format that stands for.
FORMATS = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".gif": "GIF",
    ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF", ".ppm": "PPM", ".pgm": "PPM",
}  # fmt: skip
KNOWN = sorted(set(FORMATS.values()))
MAX_PIXELS = 40_000_000  # more than any camera phone's usual picture, little enough to fit in memory


class InputError(ValueError):
    """A mistake of the caller's that one line explains; the command line prints it and exits with 2."""


# ---- Sets of pictures ----


def load(name: str, split: str = "train", **options):
    """Load a set as a `datasets.Dataset` whose rows have at least `image` (PIL) and `caption`.

    `name` is one of SETS, or "hub:<repo id>" for a set of the hub, or "hub:<folder>" for a folder laid out as
    one. `scenes` takes the options of `scenes.load_scenes` (n, size, seed), a hub set those of `load_hub`.
    Raises InputError for an unknown name or split, a missing file, or a hub that cannot be reached.
    """
    if name.startswith("hub:"):
        return load_hub(name.removeprefix("hub:"), split, **options)
    if name not in SETS:
        hint = "".join(f"did you mean {near}? " for near in difflib.get_close_matches(name, SETS, n=1))
        raise InputError(f"unknown data set {name!r}: {hint}known are {', '.join(SETS)} and hub:<repo id>")
    if name == "scenes":
        from .scenes import load_scenes  # here, since scenes.py is built on this module

        return load_scenes(split=split, **options)
    if options:
        raise InputError(f"data set {name} takes no option {', '.join(options)}")
    if split not in (files := _files(name)):
        raise InputError(f"data set {name} has no split {split!r}, only {', '.join(files)}")

    import pyarrow.parquet  # slow to import, as is the next, so only where they are used
    from datasets import Dataset

    pictures = Dataset(pyarrow.parquet.read_table(files[split]))
    if name == "emoji":
        pictures = pictures.add_column("caption", list(pictures["name"]))
    return pictures


def _files(name: str) -> dict[str, Path]:
    """Find the parquet files of an embedded set, one for each split."""
    files = {path.stem: path for path in sorted((DATA / name).glob("*.parquet"))}
    if not files:
        raise InputError(f"no data files in {DATA / name}: clone the repository anew, or see data/README.md")
    return files


def load_hub(repo_id: str, split: str = "train", image="image", caption="", streaming: bool = False):
    """Load a set of the Hugging Face hub through `datasets.load_dataset`, with `image` and `caption` columns.

    `image` and `caption` name the columns that hold them there. A column of classes does as a caption, each
    picture getting its class's name; with no `caption` given, "caption", "text" and "label" are tried.
    `streaming` reads row by row instead of downloading all. Without a network only what was downloaded
    before can be loaded. Raises InputError if the set, its split, a column or the network is not there.
    """
    import datasets
    import huggingface_hub.constants as hub

    folder = Path(repo_id).expanduser()
    offline = not folder.is_dir() and not _hub_answers()
    before = datasets.config.HF_HUB_OFFLINE, hub.HF_HUB_OFFLINE
    try:
        if offline:  # the library would try again and again for half a minute
            datasets.config.HF_HUB_OFFLINE = hub.HF_HUB_OFFLINE = True
        source = str(folder) if folder.is_dir() else repo_id
        pictures = datasets.load_dataset(source, split=split, streaming=streaming)
        columns = pictures.column_names or list(next(iter(pictures)))  # a stream may have to look
    except (OSError, ValueError, RuntimeError, StopIteration, datasets.exceptions.DatasetsError) as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        reason = "the hub does not answer, is there a network?" if offline else reason
        raise InputError(f"cannot load hub:{repo_id}: {reason}") from error
    finally:
        datasets.config.HF_HUB_OFFLINE, hub.HF_HUB_OFFLINE = before

    likely = [column for column in ("caption", "text", "label") if column in columns]
    caption = caption or (likely or ["caption"])[0]
    for ours, theirs in {"image": image, "caption": caption}.items():
        if theirs not in columns:
            raise InputError(f'hub:{repo_id} has no column {theirs!r}: say {ours}="..." (one of {columns})')
        kind = (pictures.features or {}).get(theirs)
        if theirs != ours and ours in columns:
            pictures = pictures.remove_columns(ours)  # the caller wants another one in its place
        if isinstance(kind, datasets.ClassLabel):
            pictures = pictures.map(lambda i, kind=kind: {"caption": kind.int2str(i)}, input_columns=theirs)
        elif theirs != ours:
            pictures = pictures.rename_column(theirs, ours)
    return pictures


def _hub_answers(seconds: float = 5.0) -> bool:
    """Ask the hub once, with little patience: the library itself would go on trying for long."""
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=seconds)
        return True
    except Exception:  # of whichever kind, it is no answer
        return False


def describe_sets() -> list[dict]:
    """Say of each embedded set its name, what it is, how many pictures and bytes, and its licences."""
    import pyarrow.parquet

    rows = []
    for name, what in SETS.items():
        files = list(_files(name).values())
        pictures = sum(pyarrow.parquet.read_metadata(file).num_rows for file in files)
        pictures = None if name == "scenes" else pictures  # of scenes there are as many as one asks for
        size = sum(file.stat().st_size for file in files)
        licences = pyarrow.parquet.read_table(files[0], columns=["license"])["license"].unique().to_pylist()
        rows.append({"name": name, "what": what, "pictures": pictures, "bytes": size, "licences": licences})
    return rows


# ---- Pictures and tensors ----


def as_rgb(picture: Image.Image) -> Image.Image:
    """Turn a picture of any mode into 8-bit RGB: transparency over white, deep greys scaled to 8 bits."""
    if picture.mode[0] in "IF":  # 16- and 32-bit integers, floats
        picture = _to_8_bits(picture)
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    return picture.convert("RGB")


def _to_8_bits(picture: Image.Image) -> Image.Image:
    """Scale a deep grey picture so that its format's full range becomes 0..255 (PIL itself would clip)."""
    values = np.nan_to_num(np.asarray(picture, np.float64))
    # A 32-bit picture may hold 16-bit values, and a float's white be 1, 255 or 65535: the least that fits.
    whites = {"I": (65535, 2**31 - 1), "F": (1, 255, 65535)}.get(picture.mode, (65535,))
    white = next((white for white in whites if values.max() <= white), values.max())
    return Image.fromarray((values.clip(0) / white * 255).round().astype(np.uint8))


def to_tensor(pictures: Image.Image | list[Image.Image], size: int | None = None, mode="RGB") -> Tensor:
    """Turn pictures into one (B, C, H, W) float32 tensor in [-1, 1], transparent ones laid on white.

    `size` crops each to a centred square and resizes it to that many pixels. `mode` is "RGB" (C = 3) or "L"
    (grey, C = 1). Raises InputError if the pictures differ in size and no `size` is given.
    """
    pictures = [pictures] if isinstance(pictures, Image.Image) else list(pictures)
    pictures = [as_rgb(picture).convert(mode) for picture in pictures]
    if size is not None:
        pictures = [ImageOps.fit(picture, (size, size), Image.Resampling.BICUBIC) for picture in pictures]
    if len({picture.size for picture in pictures}) != 1:
        raise InputError("pictures of one batch must be of one size: give `size`")
    pixels = torch.from_numpy(np.stack(pictures))  # (B, H, W, C), or (B, H, W) if grey
    pixels = pixels.reshape(*pixels.shape[:3], -1).permute(0, 3, 1, 2)  # (B, C, H, W)
    return pixels.float().contiguous() / 127.5 - 1


def to_pil(x: Tensor) -> list[Image.Image]:
    """Turn (B, C, H, W) in [-1, 1], C = 1 or 3, into pictures; the exact inverse of `to_tensor`."""
    pixels = ((x.detach().float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    pixels = pixels.permute(0, 2, 3, 1).cpu().numpy()  # (B, H, W, C)
    return [Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture) for picture in pixels]


# ---- Picture files ----


def open_image(path: str | os.PathLike) -> Image.Image:
    """Read a picture file as RGB: first frame, turned as its EXIF says, 16-bit scaled, transparency on white.

    Raises InputError, with the path, if it is missing, broken, no picture, or of more than MAX_PIXELS.
    """
    if os.path.exists(path) and not os.path.isfile(path):  # reading a pipe might never end
        raise InputError(f"{path}: not a file")
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=KNOWN) as picture:
            # Opening has read the header only: a small file can claim to be huge, so ask before decoding.
            if picture.width * picture.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            return as_rgb(ImageOps.exif_transpose(picture))
    except Image.DecompressionBombError:  # ours, or that of PIL's own, higher limit
        raise InputError(
            f"{path}: too large, at most {MAX_PIXELS / 1e6:.0f} megapixels can be read"
        ) from None
    except UnidentifiedImageError:
        raise InputError(f"{path}: not a picture that can be read ({', '.join(KNOWN)})") from None
    except Exception as error:  # decoders raise nearly anything on a broken file
        reason = getattr(error, "strerror", None) or "the picture is broken or cut off"
        raise InputError(f"{path}: {reason}") from error


def save_image(picture: Image.Image, path: str | os.PathLike, **options) -> None:
    """Write a picture whole or not at all; `options` go to PIL (say, the frames of an animation).

    Raises InputError if the ending is none of FORMATS or the file cannot be written.
    """
    path = Path(path)
    format = FORMATS.get(path.suffix.lower())
    if format is None:
        raise InputError(f"{path}: the name must end in one of {', '.join(FORMATS)}")
    if format in ("JPEG", "WEBP"):
        options = {"quality": 95, **options}
    if format in ("JPEG", "PPM") and picture.mode != "L":
        picture = as_rgb(picture)
    # Written beside its place and then renamed into it, so that a crash leaves no half of a file.
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(partial, "wb") as file:
            picture.save(file, format=format, **options)
        os.replace(partial, path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0]
        raise InputError(f"{path}: cannot write it ({reason})") from error
    finally:
        if os.path.exists(partial):
            os.remove(partial)
