"""An installed minit2i, without this checkout: it draws, and says in one line what needs the repository."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
LINES = {  # what is typed, and how what is said begins
    "generate 'a cat wearing a blue baseball cap' --steps 2 -o cat.png": "cat.png\n",
    "sketch drawing.png 'a cat' --steps 2": "sketch.png\n",
    "describe cat.png": "a ",
    "train clip --steps 1": "there is no ",
    "data": "there is no ",
    "evaluate": "there is no ",
    "search 'something sad'": "there is no ",
    "vary cat.png 'a cat'": "there is no ",
}
RUN = """
import contextlib, io, json, shlex, sys
from minit2i.cli import main
done = {"minit2i": sys.modules["minit2i"].__file__}
for line in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(shlex.split(line))
    done[line] = code, out.getvalue(), err.getvalue()
print(json.dumps(done))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder in which a wheel's minit2i ran each of LINES, and what it said: code, stdout and stderr.

    The libraries are those of this environment.
    """
    folder = tmp_path_factory.mktemp("wheel")
    source, site = folder / "source", folder / "site"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "minit2i", source / "minit2i", ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", "wheel"]
    offline = ["--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, *offline, "-w", folder, source], check=True)
    (wheel,) = folder.glob("minit2i-*.whl")
    zipfile.ZipFile(wheel).extractall(site)  # all that installing pure Python does, but for the script
    assert "minit2i = minit2i.cli:main" in next(site.glob("*.dist-info/entry_points.txt")).read_text()
    Image.new("RGB", (64, 64), "white").save(folder / "drawing.png")
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(list(LINES))],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said.pop("minit2i").startswith(str(site))
    return folder, said


def test_a_wheel_draws_follows_a_drawing_and_describes(installed):
    folder, said = installed
    for line, out in LINES.items():
        if out != "there is no ":
            code, printed, err = said[line]
            assert (code, err) == (0, "") and printed.startswith(out), line
    assert Image.open(folder / "cat.png").size == (256, 256)


def test_what_needs_the_data_says_so_in_one_line(installed):
    _, said = installed
    for line, out in LINES.items():
        if out == "there is no ":
            code, _, err = said[line]
            assert code == 2 and err.splitlines()[-1].startswith(f"minit2i: {out}"), (line, err)
            assert "comes with the repository" in err
