"""The lessons: complete, executed in order, readable by all; and their exercises, which solutions pass and
stubs fail.

What the cells compute is tested by nbval (`pytest lessons`); this is what can be said without running them.
"""

import json
import os
import re
from functools import cache
from pathlib import Path

import exercises
import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from minit2i import viz
from minit2i.utils import InputError

LESSONS = Path(__file__).parents[2] / "lessons"
PATHS = sorted(LESSONS.glob("*.ipynb"))
NAMES = [path.stem for path in PATHS]
GLOSSARY = (LESSONS / "glossary.md").read_text()


@cache
def read(path: Path):
    return nbformat.read(path, 4)


@pytest.fixture(params=PATHS, ids=NAMES)
def lesson(request):
    return read(request.param)


def code(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def words(notebook) -> str:
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def of_exercises(notebook) -> dict[str, str]:
    """Exercise -> the source of the cell that holds its stub (in a lesson) or its answer (in a solution)."""
    return {cell.metadata["exercise"]: cell.source for cell in code(notebook) if "exercise" in cell.metadata}


def lesson_of(name: str):
    return read(next(path for path in PATHS if path.stem.startswith(name[:2])))


def solution(name: str):
    return read(LESSONS / "solutions" / f"{name[:2]}.ipynb")


# ---- What is committed ----


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
    each = [read(path).metadata["minit2i"]["minutes"] for path in PATHS]
    assert max(each) <= 10 and sum(each) <= 60


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_exercises_have_stubs_checks_hints_and_points(path):
    lesson, number = read(path), path.stem[:2]
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


@cache
def set_up(lesson: str) -> dict:
    """What there is in a notebook once the first cell of this lesson has run."""
    space: dict = {}
    exec(code(lesson_of(lesson))[0].source, space)
    return space


def said_of(source: str, name: str, capsys) -> str:
    """Run an answer as a student does, who has run the first cell, and what its check prints."""
    checks = next(
        cell.source for cell in code(lesson_of(name)) if cell.source.startswith(f'check("{name}", ')
    )
    space = dict(set_up(name[:2]))
    exec(source, space)
    capsys.readouterr()
    exec(checks, space)
    return capsys.readouterr().out


@pytest.mark.parametrize("name", ALL)
def test_a_stub_is_harmless_but_wrong_and_a_solution_is_right(name, capsys, monkeypatch):
    monkeypatch.setenv("MINIT2I_HURRY", "20")
    assert f"{name}: not yet." in said_of(of_exercises(lesson_of(name))[name], name, capsys)
    assert f"{name}: right." in said_of(of_exercises(solution(name))[name], name, capsys)


@pytest.mark.parametrize("name", ALL)
def test_no_solution_stands_in_a_lesson(name):
    lesson = lesson_of(name)
    stub = set(of_exercises(lesson)[name].splitlines())
    taught = "\n".join(cell.source for cell in lesson.cells)
    new = [line.strip() for line in of_exercises(solution(name))[name].splitlines() if line not in stub]
    assert new, "the stub is the solution"
    assert not all(line in taught for line in new)


# ---- The first cell ----

SET_UP = """from minit2i.viz import lesson  # not found? pip install -c requirements.txt -e '.[lessons]'

lesson()
"""


def test_every_notebook_begins_with_the_same_lines():
    for path in (*PATHS, *LESSONS.glob("solutions/*.ipynb")):
        assert code(read(path))[0].source.startswith(SET_UP), path


def test_the_first_cell_finds_the_exercises_from_any_folder(tmp_path):
    # as nbgrader does, which runs a copy elsewhere; and a mistake is one line, without a traceback
    mistake = "from minit2i.images import open_image\nopen_image('nothing.png')"
    cells = [SET_UP + "from exercises import check", "check('02.9', print)", mistake]
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    client = NotebookClient(notebook, resources={"metadata": {"path": tmp_path}}, allow_errors=True)
    client.execute(env=os.environ | {"PYTHONPATH": str(LESSONS.parent)})
    said = [output for cell in notebook.cells for output in cell.outputs]
    assert [output.output_type for output in said] == ["stream", "stream"], said
    assert "There is no exercise 02.9. This lesson has 02.1" in said[0].text
    assert said[1].text == "nothing.png: No such file or directory\n"


def test_without_the_repository_the_first_cell_says_so_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(viz, "DATA", tmp_path / "data")
    with pytest.raises(InputError, match="^the lessons come with the repository: clone it, .*$"):
        viz.lesson()


def test_readme_lists_every_lesson_with_its_minutes():
    readme = (LESSONS.parent / "README.md").read_text()
    for path in PATHS:
        minutes = read(path).metadata["minit2i"]["minutes"]
        row = next(line for line in readme.splitlines() if f"(lessons/{path.name})" in line)
        assert f"| {minutes} |" in row, row
        assert (LESSONS.parent / "docs" / "lessons" / f"{path.stem[:2]}.png").is_file()
