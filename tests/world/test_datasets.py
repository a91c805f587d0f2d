"""The embedded sets, sets of the hub, and what a missing network does."""

import errno
import hashlib
import io
import json
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features
from datasets import Image as HubImage
from PIL import Image

from minit2i.utils import DATA, InputError
from minit2i.world import datasets as data
from minit2i.world.datasets import describe_sets, load

PARQUETS = sorted(DATA.rglob("*.parquet"))


def one_line(error: pytest.ExceptionInfo) -> str:
    message = str(error.value)
    assert message
    assert "\n" not in message
    return message


# ---- The embedded sets ----


def test_checksums_match_and_cover_every_data_file():
    listed = dict(line.split("  ")[::-1] for line in (DATA / "SHA256SUMS").read_text().splitlines())
    stored = {
        p.relative_to(DATA).as_posix(): p
        for p in DATA.rglob("*")
        if p.suffix in (".parquet", ".json", ".tsv")
    }
    assert set(listed) == set(stored)
    for name, path in stored.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == listed[name], name


@pytest.mark.parametrize("path", PARQUETS, ids=lambda path: path.relative_to(DATA).as_posix())
def test_every_row_has_a_licence(path):
    licences = pq.read_table(path, columns=["license"])["license"].to_pylist()
    assert licences
    assert set(licences) <= {"Apache-2.0", "MIT", "CC-BY-4.0", "CC0-1.0", "public domain"}


def test_third_party_texts_are_there():
    texts = {path.stem: path.read_text() for path in (DATA / "third_party").glob("*.txt")}
    assert set(texts) == {
        "noto-emoji", "fluent-emoji", "twemoji", "fxemoji", "emojione", "cldr", "fashion-mnist", "photos",
        "scowl",
    }  # fmt: skip
    assert all(len(text) > 1000 for text in texts.values())


def test_emoji_concepts_styles_and_what_is_left_out():
    table = [
        row
        for split in ("train", "test")
        for row in pq.read_table(DATA / f"emoji/{split}.parquet").drop_columns("image").to_pylist()
    ]
    styles = {}
    for row in table:
        styles.setdefault(row["codepoint"], set()).add(row["style"])
        points = [int(point, 16) for point in row["codepoint"].split("-")]
        assert not any(0x1F3FB <= point <= 0x1F3FF for point in points), f"skin tone: {row['name']}"
        assert not any(0x1F1E6 <= point <= 0x1F1FF for point in points), f"country flag: {row['name']}"
        assert not any(0xE0020 <= point <= 0xE007F for point in points), f"regional flag: {row['name']}"
        assert row["codepoint"] != "1f595"
        assert row["name"]
        assert row["group"]
    assert sum(len(kinds) >= 2 for kinds in styles.values()) >= 1300
    assert len(table) == sum(len(kinds) for kinds in styles.values()), "a concept twice in one style"


def test_emoji_rows():
    emoji = load("emoji")
    row = emoji[0]
    assert row["image"].size == (128, 128)
    assert row["image"].mode == "RGBA"
    assert row["caption"] == row["name"]


def test_one_style_of_emoji_is_kept_from_training_and_the_data_sheet_counts_them():
    train, test = load("emoji"), load("emoji", "test")
    counts = Counter(train["style"]) + Counter(test["style"])
    assert set(test["style"]) == {"emojione"}
    assert "emojione" not in train["style"]
    assert set(test["codepoint"]) <= set(train["codepoint"])
    datasheet = (DATA / "README.md").read_text()
    for style, count in counts.items():
        assert f"| {style} | {count:,} | " in datasheet
    assert f"{len(train):,} drawings of {len(set(train['codepoint'])):,} concepts" in datasheet


def test_common_words_are_plain():
    words = json.loads((DATA / "words/common.json").read_text())
    assert len(words) > 3000
    assert words == sorted(set(words))
    assert all(word.isascii() and word.islower() and word.isalpha() for word in words)


def test_fashion_mnist_rows():
    train, test = load("fashion_mnist"), load("fashion_mnist", split="test")
    assert (len(train), len(test)) == (20_000, 10_000)
    assert train[0]["caption"] == "an ankle boot"
    assert train.features["label"].int2str(9) == "Ankle boot"
    assert train[0]["image"].size == (28, 28)
    assert train[0]["image"].mode == "L"
    assert len(set(test["caption"])) == 10


def test_photos_rows():
    photos = load("photos")
    assert "chelsea" in photos["name"]
    assert 5 <= len(photos) <= 20
    for row in photos:
        assert min(row["image"].size) >= 256
        assert row["caption"]
        assert row["source"]


def test_describe_sets():
    rows = {row["name"]: row for row in describe_sets()}
    assert set(rows) == set(data.SETS)
    assert rows["fashion_mnist"]["pictures"] == 30_000
    assert rows["fashion_mnist"]["licences"] == ["MIT"]
    assert sum(row["bytes"] for row in rows.values()) < 40e6


def test_a_mistaken_name_split_or_option_is_named():
    with pytest.raises(InputError, match="did you mean photos"):
        load("photo")
    with pytest.raises(InputError, match="emoji, fashion_mnist, photos, scenes"):
        load("imagenet")
    with pytest.raises(InputError, match="only test, train"):
        load("fashion_mnist", split="validation")
    with pytest.raises(InputError, match="no split 'test', only train, held_out, all"):
        load("scenes", split="test")
    with pytest.raises(InputError, match="no option size"):
        load("photos", size=64)


def test_a_missing_data_file_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("minit2i.utils.DATA", tmp_path)
    with pytest.raises(InputError, match="there is no .*emoji.*clone"):
        load("emoji")


def test_importing_reads_no_data_and_needs_no_library_for_it():
    code = """
import importlib, pkgutil, sys
sys.modules |= dict.fromkeys(["datasets", "pyarrow", "pandas", "matplotlib", "IPython"])  # not installed
import minit2i.utils
minit2i.utils.DATA = minit2i.utils.Path("/nowhere")
for module in pkgutil.walk_packages(minit2i.__path__, "minit2i."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_new_set_is_one_entry_and_a_folder(monkeypatch, tmp_path):
    (tmp_path / "dots").mkdir()
    Image.new("RGB", (8, 8), "red").save(png := io.BytesIO(), "PNG")
    row = {"image": {"bytes": png.getvalue(), "path": None}, "name": "a red dot", "license": "CC0-1.0"}
    pq.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "dots" / "train.parquet")
    monkeypatch.setattr("minit2i.utils.DATA", tmp_path)
    monkeypatch.setattr(data, "SETS", {"dots": "round ones"})
    [found] = describe_sets()
    assert (found["pictures"], found["licences"]) == (1, ["CC0-1.0"])
    [row] = load("dots")
    assert row["caption"] == "a red dot"
    assert row["image"].getpixel((0, 0)) == (255, 0, 0)


# ---- The hub ----


@pytest.fixture
def own_cache(monkeypatch, tmp_path):
    """Keep what `datasets` remembers in this test's own folder: it neither leaves nor finds anything."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def hub_folder(tmp_path, own_cache):
    """A folder laid out as an image set of the hub is: pictures, and metadata.csv with their words."""
    folder = tmp_path / "set"
    (folder / "train").mkdir(parents=True)
    for i, colour in enumerate(["red", "green", "blue"]):
        Image.new("RGB", (8, 8), colour).save(folder / "train" / f"{i}.png")
    lines = ["file_name,words", "0.png,a red square", "1.png,a green square", "2.png,a blue square"]
    (folder / "train" / "metadata.csv").write_text("\n".join(lines))
    return folder


def test_hub_set_from_a_folder(hub_folder):
    rows = load(f"hub:{hub_folder}", caption="words")
    assert rows["caption"][:] == ["a red square", "a green square", "a blue square"]
    assert rows[2]["image"].getpixel((4, 4)) == (0, 0, 255)


def test_hub_set_of_classes_gets_their_names(tmp_path, own_cache):
    for name in ("cat", "dog"):
        (tmp_path / "set" / "train" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "set" / "train" / name / "0.png")
    rows = load(f"hub:{tmp_path / 'set'}")
    assert rows["caption"][:] == ["cat", "dog"]
    assert rows[0]["image"].size == (8, 8)


def as_png(colour: str) -> dict:
    Image.new("RGB", (64, 64), colour).save(png := io.BytesIO(), "PNG")
    return {"bytes": png.getvalue(), "path": None}


def write_set(folder: Path, table: pyarrow.Table) -> str:
    """Write a table as a set of the hub and return its name."""
    (folder / "set").mkdir()
    pq.write_table(table, folder / "set" / "train.parquet")
    return f"hub:{folder / 'set'}"


def test_hub_set_with_other_column_names_in_the_way(tmp_path, own_cache):
    row = {"picture": as_png("red"), "image": 1, "caption": "old", "words": "new"}
    name = write_set(tmp_path, pyarrow.Table.from_pylist([row]))
    [row] = load(name, image="picture", caption="words")
    assert row["image"].getpixel((0, 0)) == (255, 0, 0)
    assert row["caption"] == "new"
    with pytest.raises(InputError, match="'image' holds no pictures") as error:
        load(name)
    one_line(error)


def test_dirty_rows_of_the_hub_are_left_out_with_a_warning(tmp_path, own_cache):
    """Whatever a row lacks: it is no traceback, and a huge picture is not decoded."""
    good, huge = as_png("red"), io.BytesIO()
    Image.new("1", (8000, 8000)).save(huge, "PNG")  # 64 megapixels in 8 KB
    pictures = {
        "no picture": None,
        "nothing in it": {"bytes": b"", "path": None},
        "cut off": {"bytes": good["bytes"][:60], "path": None},
        "junk": {"bytes": b"junk", "path": None},
        "huge": {"bytes": huge.getvalue(), "path": None},
        "an address": {"bytes": None, "path": "https://example.org/a.png"},
        "a missing file": {"bytes": None, "path": "/nowhere/a.png"},
        "good": good,
    }
    rows = {"image": [*pictures.values(), good, good, good], "label": [1] * 8 + [-1, None, None]}
    kinds = Features({"image": HubImage(decode=False), "label": ClassLabel(names=["cat", "dog"])})
    table = Dataset.from_dict(rows, features=kinds).cast_column("image", HubImage()).data.table
    name = write_set(tmp_path, table)
    with pytest.warns(UserWarning, match="left out 10 of the 11 rows of hub:.*row 0: it lacks") as warned:
        found = load(name)
    assert [w.filename for w in warned if "left out" in str(w.message)] == [__file__]
    [row] = found
    assert row["caption"] == "dog"
    assert row["image"].getpixel((0, 0)) == (255, 0, 0)


def test_a_hub_set_of_addresses_is_one_line(tmp_path, own_cache):
    row = {"image": "https://example.org/a.png", "text": "a cat"}
    name = write_set(tmp_path, pyarrow.Table.from_pylist([row]))
    with pytest.warns(UserWarning, match="example.org"), pytest.raises(InputError, match="no row") as error:
        load(name)
    one_line(error)


@pytest.mark.parametrize("name", ["scenes", "hub:"])
def test_a_cache_that_cannot_be_written_is_one_line_that_names_hf_home(hub_folder, monkeypatch, name):
    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", "/home/reader/.cache")

    monkeypatch.setattr("os.makedirs", refuse)
    with pytest.raises(InputError, match="/home/reader/.cache.*set HF_HOME") as error:
        load("scenes", n=1) if name == "scenes" else load(f"hub:{hub_folder}", caption="words")
    one_line(error)


def test_hub_mistakes_are_one_line(hub_folder, tmp_path):
    with pytest.raises(InputError, match="words") as error:
        load(f"hub:{hub_folder}", caption="captions")
    line = one_line(error)  # and advice for Python, for the command has no such option
    assert "no column 'captions'" in line and 'in Python, load("hub:' in line and 'caption="..."' in line
    with pytest.raises(InputError, match="validation") as error:
        load(f"hub:{hub_folder}", split="validation", caption="words")
    one_line(error)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as error:
        load(f"hub:{tmp_path / 'empty'}")
    one_line(error)


def test_no_network_is_one_line_and_soon(monkeypatch, own_cache):
    def refuse(*args, **kwargs):
        raise OSError("the network is off")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    start = time.perf_counter()
    with pytest.raises(InputError, match="is there a network") as error:
        load("hub:zalando-datasets/fashion_mnist")
    assert "zalando-datasets/fashion_mnist" in one_line(error)
    assert time.perf_counter() - start < 10
