"""The lessons: complete, executed in order, readable by all; and their exercises, which solutions pass and
stubs fail.

What the cells compute is tested by nbval (`pytest lessons`); this is what can be said without running them.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import exercises
import nbformat
import pytest

LESSONS = Path(__file__).parents[2] / "lessons"
PATHS = sorted(LESSONS.glob("*.ipynb"))
NAMES = [path.stem for path in PATHS]
GLOSSARY = (LESSONS / "glossary.md").read_text()


@pytest.fixture(params=PATHS, ids=NAMES)
def lesson(request):
    return nbformat.read(request.param, 4)


def code(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def words(notebook) -> str:
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def of_exercises(notebook) -> dict[str, str]:
    """Exercise -> the source of the cell that holds its stub (in a lesson) or its answer (in a solution)."""
    return {cell.metadata["exercise"]: cell.source for cell in code(notebook) if "exercise" in cell.metadata}


def lesson_of(name: str):
    return nbformat.read(next(path for path in PATHS if path.stem.startswith(name[:2])), 4)


def solution(name: str):
    return nbformat.read(LESSONS / "solutions" / f"{name[:2]}.ipynb", 4)


def test_it_is_committed_executed_in_order_and_without_errors(lesson):
    counts = [cell.execution_count for cell in code(lesson)]
    assert counts == list(range(1, len(counts) + 1))
    for cell in code(lesson):
        for output in cell.outputs:
            assert output.output_type != "error", cell.source
            assert output.get("name") != "stderr", f"something is printed to stderr by:\n{cell.source}"


def test_every_picture_has_words_for_those_who_cannot_see_it(lesson):
    pictures = 0
    for cell in code(lesson):
        for output in cell.outputs:
            for mime, content in output.get("data", {}).items():
                if mime.startswith("image/"):
                    pictures += 1
                    assert output.metadata.get(mime, {}).get("alt"), cell.source
                if mime == "text/html":
                    assert re.search(r'role="(img|group)" aria-label="[^"]+"', content), cell.source
                    assert len(content) < 300_000, cell.source
    assert pictures >= 5


def test_nothing_in_an_output_comes_from_the_network(lesson):
    for cell in code(lesson):
        assert not re.search(r"""(src|href)=\\?["']?https?:|url\(['"]?https?:""", json.dumps(cell.outputs)), (
            cell.source
        )


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_it_is_small_enough_for_a_web_page(path):
    assert path.stat().st_size <= 1_500_000


def test_it_says_what_it_makes_how_long_it_takes_and_what_to_remember(lesson):
    assert lesson.metadata["minit2i"]["title"]
    assert 0 < lesson.metadata["minit2i"]["minutes"] <= 12
    for part in (
        "**What you will make.**",
        "**What you need to know.**",
        "**Time.**",
        "**Questions it answers**",
        "## To remember",
        "**Words learnt:**",
        "**To read next:**",
        "**To try:**",
    ):
        assert part in words(lesson), part
    remembered = words(lesson).split("## To remember")[1].split("**Words learnt:**")[0]
    assert len(re.findall(r"^\d\. ", remembered, re.M)) == 5


def test_every_word_learnt_is_in_the_glossary(lesson):
    links = re.findall(r"\(glossary\.md#([a-z0-9-]+)\)", words(lesson))
    assert links
    anchors = {
        re.sub(r"[^a-z0-9 -]", "", line[3:].lower()).strip().replace(" ", "-")
        for line in GLOSSARY.splitlines()
        if line.startswith("## ")
    }
    assert set(links) <= anchors, set(links) - anchors


def test_no_lesson_computes_for_more_than_ten_minutes():
    each = [nbformat.read(path, 4).metadata["minit2i"]["minutes"] for path in PATHS]
    assert max(each) <= 10 and sum(each) <= 60


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_exercises_have_stubs_checks_hints_and_points(path):
    lesson, number = nbformat.read(path, 4), path.stem[:2]
    names = list(exercises.load(number))
    assert len(names) >= 4
    assert list(of_exercises(lesson)) == names
    graded = {
        cell.metadata["nbgrader"]["grade_id"]: cell for cell in code(lesson) if "nbgrader" in cell.metadata
    }
    for name in names:
        cell = graded[f"exercise-{name.replace('.', '-')}"]
        assert cell.source.startswith(f'check("{name}", ')
        assert cell.metadata["nbgrader"]["points"] > 0
        assert cell.metadata["nbgrader"]["locked"]
        text = words(lesson).split(f"### Exercise {name} · ")[1].split("### Exercise ")[0]
        assert re.search(r"\(level [123], \d+ minutes\)", text.splitlines()[0])
        assert text.count("<details>") == text.count("</details>") == 3


ALL = [name for path in PATHS for name in exercises.load(path.stem[:2])]


def answer_of(source: str, setup: list[str], name: str, capsys) -> str:
    """Run the setup and an answer, check it as the check cell of the lesson does, and return what that
    printed."""
    lesson = lesson_of(name)
    checks = next(cell.source for cell in code(lesson) if cell.source.startswith(f'check("{name}", '))
    space: dict = {}
    for part in (*setup, source):
        exec(part, space)
    capsys.readouterr()
    exec(checks, space)
    return capsys.readouterr().out


@pytest.mark.parametrize("name", ALL)
def test_a_stub_is_harmless_but_wrong(name, capsys):
    lesson = lesson_of(name)
    said = answer_of(of_exercises(lesson)[name], [code(lesson)[0].source], name, capsys)
    assert f"{name}: not yet." in said


@pytest.mark.parametrize("name", ALL)
def test_a_solution_is_right(name, capsys):
    answer, setup = (
        of_exercises(solution(name))[name],
        code(lesson_of(name))[0].source,
    )  # as in a student's notebook
    assert f"{name}: right." in answer_of(answer, [setup], name, capsys)


@pytest.mark.parametrize("name", ALL)
def test_no_solution_stands_in_a_lesson(name):
    lesson = lesson_of(name)
    stub = set(of_exercises(lesson)[name].splitlines())
    taught = "\n".join(cell.source for cell in lesson.cells)
    new = [line.strip() for line in of_exercises(solution(name))[name].splitlines() if line not in stub]
    assert new, "the stub is the solution"
    assert not all(line in taught for line in new)


def test_lessons_are_run_without_a_network():
    code = (
        "import os, runpy, subprocess, sys; "
        f"runpy.run_path({str(LESSONS / 'conftest.py')!r}); "
        "sys.exit(subprocess.call([sys.executable, '-c', "
        "'import socket; socket.create_connection((\"192.0.2.1\", 80), timeout=1)']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "there is no network here" in done.stderr


def test_readme_lists_every_lesson_with_its_minutes():
    readme = (LESSONS.parent / "README.md").read_text()
    for path in PATHS:
        minutes = nbformat.read(path, 4).metadata["minit2i"]["minutes"]
        row = next(line for line in readme.splitlines() if f"(lessons/{path.name})" in line)
        assert f"| {minutes} |" in row, row
        assert (LESSONS.parent / "docs" / "lessons" / f"{path.stem[:2]}.png").is_file()
