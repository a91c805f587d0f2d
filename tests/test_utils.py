"""Files written whole or not at all, warnings that name the caller's line, libraries that may be missing."""

import errno
import os
import sys
import warnings

import pytest
import torch

from minit2i.text2image import TextToImage
from minit2i.utils import InputError, need, progress, write_file


def test_a_full_disk_leaves_the_old_file_and_names_it(tmp_path, monkeypatch):
    path = tmp_path / "loss.csv"
    write_file(path, b"old")

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device.*loss.csv"):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["loss.csv"]


def test_a_warning_names_the_line_of_the_caller(tiny_weights):
    t2i = TextToImage.load(tiny_weights)
    for way in (lambda: t2i("a catt", steps=1, size=64), lambda: t2i.draw(["a catt"], steps=1)):
        with pytest.warns(UserWarning, match="'catt' never occurred") as caught:
            way()
        assert [str(warning.filename) for warning in caught] == [__file__]


def test_a_missing_library_is_one_line_that_says_how_to_get_it(monkeypatch):
    assert need("json").dumps([1]) == "[1]"
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as if it were not installed
    with pytest.raises(InputError, match=r"this needs matplotlib: pip install 'minit2i\[lessons\]'"):
        need("matplotlib.figure")


def test_bars_are_for_terminals_and_only_where_there_is_something_to_say(capsys):
    assert list(progress(range(3), "counting")) == [0, 1, 2]
    assert progress(range(3), "").disable
    assert capsys.readouterr().err == ""  # this is no terminal


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_drawing_does_not_mind_what_the_caller_has_set_as_default(tiny_weights, dtype):
    plain = TextToImage.load(tiny_weights)("a cat in a red hat", steps=2, size=64)
    torch.set_default_dtype(dtype)
    try:
        with torch.device("meta"), warnings.catch_warnings(action="ignore"):
            drawn = TextToImage.load(tiny_weights)("a cat in a red hat", steps=2, size=64)
    finally:
        torch.set_default_dtype(torch.float32)
    assert drawn[0].tobytes() == plain[0].tobytes()
