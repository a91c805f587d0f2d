"""A picture with its words: load a set of pictures with captions.

Text-to-image learns from pairs: a picture, and a caption that says what is in it. Four sets come with this
repository (data/README.md is their datasheet), and any set of the Hugging Face hub can be loaded beside them.
"""

import difflib
import errno
import hashlib
import io
import random
from dataclasses import asdict
from pathlib import Path

from minit2i.images import open_image
from minit2i.utils import InputError, data_file, need, progress, warn

from .captions import request
from .render import render
from .scenes import SPLITS, Scene, draw_scene

SETS = {  # name -> what it is; each is a folder of data/ with a parquet file for each split
    "emoji": "things, animals, food and signs drawn in eight styles of art, with name and keywords",
    "fashion_mnist": "ten kinds of clothing in 28x28 grey pixels",
    "photos": "a handful of photographs in the public domain",
    "scenes": "animals with a hat, glasses and a background, composed on demand from emoji",
}


def load(name: str, split: str = "train", **options):
    """Load a set as a `datasets.Dataset` whose rows have at least `image` (PIL) and `caption`.

    `name` is one of SETS, or "hub:<repo id>" for a set of the hub, or "hub:<folder>" for a folder laid out as
    one. `scenes` takes the options of `load_scenes` (n, size, seed), a hub set those of `load_hub`.
    Raises InputError for an unknown name or split, a missing file, or a hub that cannot be reached.
    """
    if name.startswith("hub:"):
        return load_hub(name.removeprefix("hub:"), split, **options)
    if name not in SETS:
        hint = "".join(f"did you mean {near}? " for near in difflib.get_close_matches(name, SETS, n=1))
        raise InputError(f"unknown data set {name!r}: {hint}known are {', '.join(SETS)} and hub:<repo id>")
    if name == "scenes":
        return load_scenes(split, **options)
    if options:
        raise InputError(f"data set {name} takes no option {', '.join(options)}")
    if split not in (files := _files(name)):
        raise InputError(f"data set {name} has no split {split!r}, only {', '.join(files)}")
    datasets = need("datasets")
    rows = datasets.Dataset(need("pyarrow.parquet").read_table(files[split]))
    if "caption" not in rows.column_names:
        rows = rows.add_column("caption", list(rows["name"]))
    return rows.cast_column("image", datasets.Image())


def _files(name: str) -> dict[str, Path]:
    """Find the parquet files of an embedded set, one for each split."""
    return {path.stem: path for path in sorted(data_file(name).glob("*.parquet"))}


def describe_sets() -> list[dict]:
    """Say of each embedded set its name, what it is, how many pictures (None of scenes: as many as
    one asks for) and bytes, and its licences."""
    parquet, rows = need("pyarrow.parquet"), []
    for name, what in SETS.items():
        files = list(_files(name).values())
        pictures = None if name == "scenes" else sum(parquet.read_metadata(file).num_rows for file in files)
        size = sum(file.stat().st_size for file in files)
        licences = parquet.read_table(files[0], columns=["license"])["license"].unique().to_pylist()
        rows.append({"name": name, "what": what, "pictures": pictures, "bytes": size, "licences": licences})
    return rows


def load_scenes(split: str = "train", n: int = 40_000, size: int = 64, seed: int = 0):
    """Return scenes 0 to n-1 as a `datasets.Dataset` with columns image, caption and the fields of `Scene`.
    They are drawn once, with a progress bar, and then cached until the art or the code changes. Raises
    InputError for an unknown split, or a cache that cannot be written."""
    if split not in SPLITS:  # here, since `datasets` wraps what goes wrong while it draws
        raise InputError(f"data set scenes has no split {split!r}, only {', '.join(SPLITS)}")
    datasets = need("datasets")
    made_from = sorted((*Path(__file__).parent.glob("*.py"), *data_file("scenes").iterdir()))
    version = hashlib.sha256(b"".join(file.read_bytes() for file in made_from)).hexdigest()
    columns = dict.fromkeys(["caption", *Scene.__dataclass_fields__], datasets.Value("string"))
    columns |= {"image": datasets.Image()} | dict.fromkeys(("x", "y", "size"), datasets.Value("float64"))
    arguments = {"split": split, "n": n, "size": size, "seed": seed, "version": version}
    try:
        return datasets.Dataset.from_generator(_scene_rows, datasets.Features(columns), gen_kwargs=arguments)
    except (OSError, datasets.exceptions.DatasetsError) as error:
        raise InputError(f"cannot keep scenes: {_reason(error)}") from error


def _scene_rows(split: str, n: int, size: int, seed: int, version: str):
    """Yield one row a scene: its picture (PNG), a caption, and all fields of the scene."""
    for index in range(n):
        scene, png = draw_scene(seed, index, split), io.BytesIO()
        render(scene, size).save(png, "PNG", compress_level=1)
        text = request(scene, random.Random(f"caption {split} {seed} {index}")).text
        yield {"image": {"bytes": png.getvalue(), "path": None}, "caption": text, **asdict(scene)}


def load_hub(repo_id: str, split: str = "train", image: str = "image", caption: str = ""):
    """Load a set of the Hugging Face hub through `datasets.load_dataset`, with `image` and `caption` columns.

    `image` and `caption` name the columns that hold them there; if not given, "caption", "text" and "label"
    are tried. Of a column of classes, their names are the captions. Rows without a caption or a picture that
    can be read are left out with a warning. Without a network only what was downloaded before can be loaded.
    Raises InputError if the set, its split, a column or the network is not there.
    """
    datasets, hub = need("datasets"), need("huggingface_hub.constants")
    name, folder = f"hub:{repo_id}", Path(repo_id).expanduser()
    offline = not folder.is_dir() and not _hub_answers()
    before = datasets.config.HF_HUB_OFFLINE, hub.HF_HUB_OFFLINE
    try:
        if offline:  # the library would try again and again for half a minute
            datasets.config.HF_HUB_OFFLINE = hub.HF_HUB_OFFLINE = True
        rows = datasets.load_dataset(str(folder) if folder.is_dir() else repo_id, split=split)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        reason = "the hub does not answer, is there a network?" if offline else _reason(error)
        raise InputError(f"cannot load {name}: {reason}") from error
    finally:
        datasets.config.HF_HUB_OFFLINE, hub.HF_HUB_OFFLINE = before

    columns = rows.column_names
    caption = caption or next((word for word in ("caption", "text", "label") if word in columns), "caption")
    for option, column in {"image": image, "caption": caption}.items():
        if column not in columns:
            advice = f'in Python, load("{name}", {option}="...") takes another'
            raise InputError(f"{name} has no column {column!r} but {', '.join(columns)}: {advice}")
    classes = dict(enumerate(getattr(rows.features[caption], "names", None) or ()))
    try:  # undecoded at first: what the library decodes may be broken, or huge
        rows = rows.cast_column(image, datasets.Image(decode=False))
    except (TypeError, ValueError, NotImplementedError) as error:
        raise InputError(f"{name}: its column {image!r} holds no pictures") from error

    captions, faults = {}, []
    for i, row in enumerate(progress(rows, "looking at pictures")):
        text = classes.get(row[caption]) if classes else row[caption]
        cell = row[image] or {}
        try:
            if text in (None, "") or not (cell.get("bytes") or cell.get("path")):
                raise InputError("it lacks a caption or a picture")
            file = io.BytesIO(cell["bytes"]) if cell.get("bytes") else cell["path"]
            open_image(file, "its picture" if cell.get("bytes") else "")
            captions[i] = str(text)
        except InputError as error:
            faults.append(f"row {i}: {error}")
    if faults:
        warn(f"left out {len(faults)} of the {len(rows)} rows of {name}, the first is {faults[0]}")
    if not captions:
        raise InputError(f"{name} has no row with a caption and a picture that can be read")
    rows = rows.remove_columns([column for column in {"image", "caption"} - {image} if column in columns])
    rows = rows if image == "image" else rows.rename_column(image, "image")
    rows = rows.add_column("caption", [captions.get(i, "") for i in range(len(rows))])
    return rows.select(list(captions)).cast_column("image", datasets.Image())


def _reason(error: Exception) -> str:
    """The first line of what a library says, and what to do where its cache cannot be written."""
    error = error.__cause__ or error  # `datasets` wraps what happens while it makes a set
    reason = str(error).strip().split("\n")[0] or type(error).__name__
    full = getattr(error, "errno", None) in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC)
    return reason + (", set HF_HOME to a folder that can be written" if full else "")


def _hub_answers(seconds: float = 5.0) -> bool:
    """Ask the hub once, with little patience: the library itself would go on trying for long."""
    hub = need("huggingface_hub")
    try:
        hub.get_session().head(hub.constants.ENDPOINT, timeout=seconds)
        return True
    except Exception:  # of whichever kind, it is no answer
        return False
