"""The house rules: a story without forward references, small modules, nothing but plain PyTorch."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from minit2i import STORY

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "minit2i"
FRONT = {path.stem: path for path in sorted(PACKAGE.glob("*.py")) if path.stem != "__init__"}
BACK = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}


def imported(path: Path) -> set[str]:
    """Everything that a file imports, wherever in it and in whichever form, as absolute names."""
    package = ["minit2i", *path.relative_to(PACKAGE).parts[:-1]]
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return names


def of_the_package(path: Path) -> set[str]:
    """The front modules and back houses that a file imports."""
    parts = (name.split(".") for name in imported(path))
    return {name[1] for name in parts if name[0] == "minit2i" and len(name) > 1} & (FRONT.keys() | BACK)


def test_the_story_has_every_front_module_once():
    assert sorted(STORY) == sorted(FRONT)


@pytest.mark.parametrize("name", STORY)
def test_a_module_builds_on_earlier_ones_only(name):
    earlier = set(STORY[: STORY.index(name)])
    assert of_the_package(FRONT[name]) <= earlier, f"{name} points forward or to a back house"


def test_the_test_of_the_story_sees_every_form_of_import(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    (tmp_path / "training").mkdir()
    forms = {
        "a.py": "from . import fit",
        "b.py": "from .fit import nearest_scene",
        "c.py": "def f():\n    from minit2i.fit import nearest_scene",
        "d.py": "import minit2i.fit as near",
        "e.py": "from minit2i import fit",
        "training/f.py": "from ..fit import nearest_scene",
    }
    for name, source in forms.items():
        (tmp_path / name).write_text(source)
        assert of_the_package(tmp_path / name) == {"fit"}, source
    (tmp_path / "training" / "g.py").write_text("from .loop import fit")
    assert of_the_package(tmp_path / "training" / "g.py") == {"training"}


def test_readme_lists_the_story_in_its_order():
    table = (
        (ROOT / "README.md").read_text().split("## One concept, one module, one lesson")[1].split("\n## ")[0]
    )
    assert tuple(re.findall(r"\[\w+\.py\]\(minit2i/(\w+)\.py\)", table)) == STORY
    assert set(re.findall(r"\[\w+/\]\(minit2i/(\w+)\)", table)) == BACK


def lines(paths) -> int:
    return sum(len(path.read_text().splitlines()) for path in paths)


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_a_module_is_short_enough_to_read_in_one_go(path):
    assert lines([path]) <= 270, "it holds two concepts: split it"


def test_the_package_can_be_read_in_an_afternoon():
    assert lines(FRONT.values()) <= 5900
    assert lines(path for path in PACKAGE.rglob("*.py") if "exercises" not in path.parts) <= 10_400


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_what_is_taught_is_not_imported(path):
    outside = {name.split(".")[0] for name in imported(path)}
    assert not outside & {
        "einops",
        "diffusers",
        "transformers",
        "open_clip",
        "torchvision",
        "pickle",
        "skimage",
    }


def test_drawing_needs_no_data_set_library():
    code = (
        "import sys, minit2i.text2image, minit2i.cli; "
        "print([m for m in ('datasets', 'pandas', 'matplotlib', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
