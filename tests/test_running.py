"""How tests are run: lessons in a hurry or at full length, and which lessons a change touches."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import changed_lessons
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

ROOT = Path(__file__).parent.parent


# --- a notebook, in a hurry and at full length ---

CELLS = [
    ("import os; hurry = float(os.environ['MINIT2I_HURRY'])", []),
    ("assert hurry == 20 and os.environ['OMP_NUM_THREADS'] == '1'", []),
    ("assert hurry == 1, 'the network has learnt'", ["full"]),
    ("right = ['cat'] if hurry == 1 else []\nbest = right[0]", ["full"]),
    ("# NBVAL_CHECK_OUTPUT\nprint(hurry)", ["full"]),
    ("# NBVAL_CHECK_OUTPUT\nprint(hurry)", []),
    ("os.no_such_function()", ["full"]),
    ("import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)", []),
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Test a small notebook as lessons are tested, in a hurry and, meanwhile, at full length; for each run,
    how each cell fared, and all that was said."""
    folder = tmp_path_factory.mktemp("course") / "lessons"
    folder.mkdir()
    shutil.copy(ROOT / "lessons" / "conftest.py", folder)
    shutil.copytree(ROOT / "tests" / "offline", folder.parent / "tests" / "offline")
    cells = [new_code_cell(source, metadata={"tags": tags}, execution_count=1) for source, tags in CELLS]
    for cell in cells:
        if "print" in cell.source:
            cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text="1.0\n")]
    nbformat.write(new_notebook(cells=cells), folder / "00_small.ipynb")
    # An optional part of nbformat's that takes seconds to import, and four processes are started: do without
    (folder / "rfc3987_syntax.py").write_text("raise ImportError")
    command = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", folder / "00_small.ipynb"]
    command += ["-c", ROOT / "pyproject.toml", "--rootdir", folder.parent]
    started = [
        subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True, cwd=folder)
        for options in ([], ["--full"])
    ]
    said = [process.communicate()[0] for process in started]
    fared = [re.findall(r"^(\w+) \S+::Cell (\d+)", text, re.M) for text in said]
    fared = [{int(cell): how for how, cell in cells} for cells in fared]  # what -rA says last is what counts
    return [([how[i] for i in range(len(CELLS))], text) for how, text in zip(fared, said, strict=True)]


def test_in_a_hurry_only_what_a_trained_network_should_do_is_forgiven(runs):
    fared, said = runs[0]
    assert fared == ["PASSED", "PASSED", "XFAIL", "XFAIL", "PASSED", "FAILED", "FAILED", "FAILED"]
    assert "hardly trained: AssertionError: the network has learnt" in said
    assert "hardly trained: IndexError: list index out of range" in said
    assert "there is no network here" in said
    assert "2 workers" in said


def test_at_full_length_nothing_is_forgiven(runs):
    fared, said = runs[1]
    assert fared == ["PASSED", "FAILED", "PASSED", "PASSED", "PASSED", "PASSED", "FAILED", "FAILED"]
    assert "workers" not in said  # nothing else is run at the time


# --- which lessons a change touches ---

HOUR = 3600


class Repository:
    """A small course under git, whose commits are made at the hours that a test asks for."""

    def __init__(self, root: Path):
        self.root = root
        self.git("init", "-q", "-b", "main")
        for number, module, minutes in (("00", "world.data", 1), ("01", "clip", 3), ("02", "noise", 8)):
            self.notebook(f"{number}_lesson", f"from minit2i.{module} import (\n    this,\n)\n", minutes)
            self.notebook(f"solutions/{number}", "%matplotlib inline\nimport torch", 0.5)
            self.write(f"minit2i/{module.replace('.', '/')}.py", "")
            self.write(f"lessons/exercises/lesson_{number}.py", "")
        self.write("minit2i/trainer.py", "")
        self.write("README.md", "")
        self.commit(0)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def notebook(self, name: str, source: str, minutes: float) -> None:
        made = new_notebook(cells=[new_code_cell(source)], metadata={"minit2i": {"minutes": minutes}})
        self.write(f"lessons/{name}.ipynb", nbformat.writes(made))

    def git(self, *arguments: str, hour: float = 0) -> str:
        date = f"{1_700_000_000 + round(hour * HOUR)} +0000"
        who = {
            f"GIT_{role}_{what}": "reader@example.org"
            for role in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        where = {"GIT_CONFIG_GLOBAL": "/dev/null", "PATH": "/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin"}
        env = {**who, **where, "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, env=env, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, hour: float) -> None:
        self.git("add", ".")
        self.git("commit", "-q", "--allow-empty", "-m", f"at {hour}", hour=hour)

    def chosen(self, minutes: float = 60) -> list[str]:
        """The numbers of the lessons that are chosen."""
        notebooks, _ = changed_lessons.choose(self.root, minutes)
        assert [name for name in notebooks if "solutions" in name] == [
            f"lessons/solutions/{name[8:10]}.ipynb" for name in notebooks if "solutions" not in name
        ]
        return [name[8:10] for name in notebooks if "solutions" not in name]


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.delenv("MINIT2I_BASE", raising=False)
    return Repository(tmp_path)


@pytest.mark.parametrize(
    ("name", "touched"),
    [
        ("lessons/01_lesson.ipynb", ["01"]),
        ("lessons/solutions/02.ipynb", ["02"]),
        ("lessons/exercises/lesson_01.py", ["01"]),
        ("minit2i/world/data.py", ["00"]),
        ("README.md", []),
        ("minit2i/trainer.py", []),
    ],
)
def test_a_lesson_is_touched_by_its_notebook_its_solutions_its_exercises_and_its_modules(
    repository, name, touched
):
    path = repository.root / name
    repository.write(name, path.read_text() + "\n")
    repository.commit(5)
    assert repository.chosen() == touched


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("from minit2i import viz, clip", "minit2i/clip.py"),
        ("import minit2i.clip", "minit2i/clip.py"),
        ("from minit2i.world.scenes import Scene", "minit2i/world/scenes.py"),
        ("from minit2i.world import scenes", "minit2i/world/scenes.py"),
        ("from exercises import check", "lessons/exercises/__init__.py"),
        ("from exercises.pad import DrawingPad", "lessons/exercises/pad.py"),
        ("def later():\n    from minit2i.clip import CLIP", "minit2i/clip.py"),
    ],
)
def test_imports_are_found(source, path):
    assert path in changed_lessons.imported(new_notebook(cells=[new_code_cell(source)]))


def test_a_change_begins_after_the_last_commit_four_hours_before_the_newest(repository):
    for name, hour in (("world/data", 1), ("clip", 3), ("noise", 6)):
        repository.write(f"minit2i/{name}.py", "pass")
        repository.commit(hour)
    assert repository.chosen() == ["01", "02"]


def test_a_change_begins_where_the_branch_left_main(repository):
    repository.write("minit2i/world/data.py", "pass")
    repository.commit(1)
    repository.git("update-ref", "refs/remotes/origin/main", "HEAD")
    repository.write("minit2i/clip.py", "pass")
    repository.commit(20)
    repository.write("minit2i/noise.py", "not committed yet")
    assert repository.chosen() == ["01", "02"]


def test_a_change_begins_where_one_says(repository, monkeypatch):
    for name, hour in (("world/data", 10), ("clip", 20)):
        repository.write(f"minit2i/{name}.py", "pass")
        repository.commit(hour)
    assert repository.chosen() == ["01"]
    monkeypatch.setenv("MINIT2I_BASE", "HEAD~2")
    assert repository.chosen() == ["00", "01"]


def test_in_a_young_repository_all_is_new(repository):
    repository.commit(1)
    assert repository.chosen() == ["00", "01", "02"]


def test_lessons_that_do_not_fit_into_the_minutes_are_named(repository):
    notebooks, left_out = changed_lessons.choose(repository.root, 10)
    assert [name for name in notebooks if "_" in name] == [
        "lessons/00_lesson.ipynb",
        "lessons/01_lesson.ipynb",
    ]
    assert left_out == ["02_lesson (8.5 minutes)"]
    assert repository.chosen(0) == []


def test_every_lesson_can_be_asked_for(monkeypatch):
    monkeypatch.setenv("MINIT2I_BASE", changed_lessons.EMPTY)
    notebooks, left_out = changed_lessons.choose(ROOT, 1000)
    assert [ROOT / name for name in notebooks if "solutions" not in name] == sorted(
        (ROOT / "lessons").glob("*.ipynb")
    )
    assert left_out == []


# --- what is around it ---


def test_the_script_of_continuous_integration_is_bash_and_spares_the_developers_environment():
    script = (ROOT / ".ci" / "run").read_text()
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    assert ".venv" not in script


@pytest.mark.parametrize(
    "name",
    ["picture.png", "picture-2.png", "search.png", "denoised.png", "upscaled.png", "copy-check.png", "f.gif"],
)
def test_what_commands_write_does_not_turn_up_in_git(name):
    done = subprocess.run(["git", "check-ignore", "-q", name], cwd=ROOT)
    assert done.returncode == 0


def test_nothing_that_is_committed_is_ignored():
    assert changed_lessons.git(ROOT, "ls-files", "--ignored", "--cached", "--exclude-standard") == ""
