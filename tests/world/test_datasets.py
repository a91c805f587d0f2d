"""The embedded sets, sets of the hub, and what a missing network does."""

import hashlib
import json
import socket
import subprocess
import sys
import time
from collections import Counter

import pyarrow.parquet as pq
import pytest
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
    stored = {p.relative_to(DATA).as_posix(): p for p in DATA.rglob("*") if p.suffix in (".parquet", ".json")}
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
    monkeypatch.setattr(utils, "DATA", tmp_path)
    with pytest.raises(InputError, match="there is no .*emoji.*clone"):
        load("emoji")


def test_import_is_light():
    code = "import sys, minit2i.data; print(sorted({'datasets', 'pandas', 'matplotlib'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


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


@pytest.mark.parametrize("streaming", [False, True])
def test_hub_set_from_a_folder(hub_folder, streaming):
    pictures = load(f"hub:{hub_folder}", caption="words", streaming=streaming)
    rows = list(pictures)
    assert [row["caption"] for row in rows] == ["a red square", "a green square", "a blue square"]
    assert rows[2]["image"].getpixel((4, 4)) == (0, 0, 255)


@pytest.mark.parametrize("streaming", [False, True])
def test_hub_set_of_classes_gets_their_names(tmp_path, own_cache, streaming):
    folder = tmp_path / "set"
    for name in ("cat", "dog"):
        (folder / "train" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(folder / "train" / name / "0.png")
    rows = list(load(f"hub:{folder}", streaming=streaming))
    assert [row["caption"] for row in rows] == ["cat", "dog"]
    assert rows[0]["image"].size == (8, 8)


def test_hub_set_with_other_column_names_in_the_way(tmp_path, own_cache):
    from datasets import Dataset

    rows = {"picture": [1], "image": ["old"], "caption": ["old"], "words": ["new"]}
    Dataset.from_dict(rows).to_parquet(tmp_path / "train.parquet")
    assert load(f"hub:{tmp_path}", image="picture", caption="words")[0] == {"image": 1, "caption": "new"}


def test_hub_mistakes_are_one_line(hub_folder, tmp_path):
    with pytest.raises(InputError, match="words") as error:
        load(f"hub:{hub_folder}", caption="captions")
    assert "no column 'captions'" in one_line(error)
    with pytest.raises(InputError, match="validation") as error:
        load(f"hub:{hub_folder}", split="validation", caption="words")
    one_line(error)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as error:
        load(f"hub:{tmp_path / 'empty'}")
    one_line(error)


@pytest.mark.parametrize("streaming", [False, True])
def test_no_network_is_one_line_and_soon(monkeypatch, own_cache, streaming):
    def refuse(*args, **kwargs):
        raise OSError("the network is off")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    start = time.perf_counter()
    with pytest.raises(InputError, match="is there a network") as error:
        load("hub:zalando-datasets/fashion_mnist", streaming=streaming)
    assert "zalando-datasets/fashion_mnist" in one_line(error)
    assert time.perf_counter() - start < 10
