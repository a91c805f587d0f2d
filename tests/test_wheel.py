"""An installed minit2i, without this checkout: it draws, and says in one line what needs the repository."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Run minit2i as a wheel installs it; the libraries are those of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "minit2i", source / "minit2i", ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "wheel", *offline, "-w", folder, source], check=True)
    (wheel,) = folder.glob("minit2i-*.whl")
    site = folder / "site"
    subprocess.run([*pip, "install", *offline, "--target", site, wheel], check=True)

    def run(*arguments: str) -> subprocess.CompletedProcess:
        environment = {**os.environ, "PYTHONPATH": str(site)}
        command = [sys.executable, "-m", "minit2i.cli", *arguments]
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )

    return run, folder


def test_a_wheel_draws_the_cat(installed):
    run, folder = installed
    done = run("generate", "a cat wearing a blue baseball cap", "--steps", "2", "-o", "cat.png")
    assert (done.returncode, done.stdout, done.stderr) == (0, "cat.png\n", "")
    assert Image.open(folder / "cat.png").size == (256, 256)


def test_a_wheel_follows_a_drawing(installed):
    run, folder = installed
    Image.new("RGB", (64, 64), "white").save(folder / "drawing.png")
    done = run("sketch", "drawing.png", "a cat", "--steps", "2")
    assert (done.returncode, done.stdout, done.stderr) == (0, "sketch.png\n", "")


@pytest.mark.parametrize(
    "command",
    [
        ["train", "clip", "--steps", "1"],
        ["data"],
        ["evaluate"],
        ["search", "something sad"],
        ["vary", "x.png", "a cat"],
    ],
)
def test_what_needs_the_data_says_so_in_one_line(installed, command):
    run, _ = installed
    done = run(*command)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("minit2i: there is no ")
    assert "comes with the repository" in done.stderr
    assert "Traceback" not in done.stderr
