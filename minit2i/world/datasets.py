"""A picture with its words: load a set of pictures with captions.

Text-to-image learns from pairs: a picture, and a caption that says what is in it. Four sets come with this
repository (data/README.md is their datasheet), and any set of the Hugging Face hub can be loaded beside them.
"""

import difflib
import hashlib
import io
import random
from dataclasses import asdict
from pathlib import Path

from minit2i.utils import DATA, InputError, data_file

from .captions import caption
from .render import render
from .scenes import SPLITS, Scene, draw_scene

SETS = {  # name -> what it is
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

    import pyarrow.parquet  # slow to import, as is the next, so only where they are used
    from datasets import Dataset

    pictures = Dataset(pyarrow.parquet.read_table(files[split]))
    if name == "emoji":
        pictures = pictures.add_column("caption", list(pictures["name"]))
    return pictures


def _files(name: str) -> dict[str, Path]:
    """Find the parquet files of an embedded set, one for each split."""
    return {path.stem: path for path in sorted(data_file(name).glob("*.parquet"))}


def load_hub(
    repo_id: str, split: str = "train", image: str = "image", caption: str = "", streaming: bool = False
):
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


def load_scenes(split: str = "train", n: int = 40_000, size: int = 64, seed: int = 0):
    """Return scenes 0 to n-1 as a `datasets.Dataset` with columns image, caption and the fields of `Scene`.

    `datasets` draws them once, with a progress bar, and then caches them until the art or its code changes.
    Raises InputError for an unknown split.
    """
    from datasets import Dataset, Features, Image, Value

    if split not in SPLITS:  # here, since `datasets` wraps what goes wrong while it draws
        raise InputError(f"data set scenes has no split {split!r}, only {', '.join(SPLITS)}")
    code = [Path(__file__).with_name(f"{name}.py") for name in ("scenes", "captions", "render", "data")]
    art = sorted((DATA / "scenes").iterdir())
    version = hashlib.sha256(b"".join(file.read_bytes() for file in (*code, *art))).hexdigest()
    columns = dict.fromkeys(["caption", *Scene.__dataclass_fields__], Value("string"))
    columns |= {"image": Image(), "x": Value("float64"), "y": Value("float64"), "size": Value("float64")}
    arguments = {"split": split, "n": n, "size": size, "seed": seed, "version": version}
    return Dataset.from_generator(_scene_rows, features=Features(columns), gen_kwargs=arguments)


def _scene_rows(split: str, n: int, size: int, seed: int, version: str):
    """Yield one row a scene: its picture (PNG), a caption, and all fields of the scene."""
    for index in range(n):
        scene, png = draw_scene(seed, index, split), io.BytesIO()
        render(scene, size).save(png, "PNG", compress_level=1)
        text = caption(scene, random.Random(f"caption {split} {seed} {index}"))
        yield {"image": {"bytes": png.getvalue(), "path": None}, "caption": text, **asdict(scene)}
