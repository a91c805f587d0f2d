"""The house rules: a core without forward references, chapters that point one way, budgets, plain PyTorch."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from minit2i import CHAPTERS, STORY

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "minit2i"
FILES = sorted(PACKAGE.rglob("*.py"))
# Who reads only this reads CLIP, DDPM, an upscaler, and the three combined
HAND_PICKED = ("clip", "schedule", "unet", "samplers", "upscaler", "text2image")


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


def parts(path: Path) -> set[str]:
    """The files of the core and the chapters that a file imports."""
    names = (name.split(".") for name in imported(path))
    inside = {name[1] for name in names if name[0] == "minit2i" and len(name) > 1}
    return inside & {*STORY, *CHAPTERS}


def lines(paths) -> int:
    return sum(len(path.read_text().splitlines()) for path in paths)


def test_core_and_chapters_are_all_there_is():
    flat = {path.stem for path in PACKAGE.glob("*.py")}
    assert flat == {*STORY, "__init__", "__main__"}
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(CHAPTERS)


@pytest.mark.parametrize("name", STORY)
def test_a_file_of_the_core_imports_earlier_ones_only(name):
    earlier = set(STORY[: STORY.index(name)])
    assert parts(PACKAGE / f"{name}.py") <= earlier, f"{name} points forward or to a chapter"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_reads_the_core_and_the_chapters_before_it(chapter):
    allowed = {*STORY, *CHAPTERS[: CHAPTERS.index(chapter) + 1]}
    for path in (PACKAGE / chapter).glob("*.py"):
        assert parts(path) <= allowed, path


def test_every_form_of_import_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    (tmp_path / "train").mkdir()
    forms = {
        "a.py": "from . import unet",
        "b.py": "from .unet import UNet",
        "c.py": "def f():\n    from minit2i.unet import UNet",
        "d.py": "import minit2i.unet as net",
        "e.py": "from minit2i import unet",
        "train/f.py": "from ..unet import UNet",
    }
    for name, source in forms.items():
        (tmp_path / name).write_text(source)
        assert parts(tmp_path / name) == {"unet"}, source
    (tmp_path / "train" / "g.py").write_text("from .recipe import Recipe")
    assert parts(tmp_path / "train" / "g.py") == {"train"}


def closure(names) -> set[str]:
    found, left = set(), list(names)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += parts(PACKAGE / f"{name}.py")
    return found


def test_the_hand_picked_core_is_two_thousand_lines_with_all_that_it_imports():
    assert lines(PACKAGE / f"{name}.py" for name in closure(HAND_PICKED)) <= 2000


# Round figures of the design, with room to breathe: who needs more cuts something else
@pytest.mark.parametrize(
    ("folders", "most"),
    [
        (["."], 2600), (["world", "train"], 1900), (["evaluate"], 1000), (["edit"], 1000), (["sketch"], 1000),
        (["video"], 1000), (["describe"], 1000), (["cli"], 650),
    ],
)  # fmt: skip
def test_core_and_chapters_keep_to_their_budgets(folders, most):
    assert lines(path for folder in folders for path in (PACKAGE / folder).glob("*.py")) <= most


def test_the_package_is_nine_thousand_lines():
    assert lines(FILES) <= 9000


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_is_short_enough_to_read_in_one_go(path):
    assert lines([path]) <= 330, "it holds two concepts: split it"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_is_taught_is_written_by_hand(path):
    outside = {name.split(".")[0] for name in imported(path)}
    foreign = {"einops", "diffusers", "transformers", "open_clip", "torchvision", "pickle", "skimage"}
    assert not outside & foreign


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_function_takes_more_than_eight_parameters(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            names = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            assert len([name for name in names if name not in ("self", "cls")]) <= 8, node.name


def test_importing_costs_no_time_and_reads_no_data():
    """Each line of this is another promise: no libraries that drawing needs not, no data, for all modules."""
    code = """
import importlib, pathlib, sys
import minit2i, minit2i.cli.parser, minit2i.checkpoint
assert "torch" not in sys.modules, "listing what there is must not wait for torch"
import minit2i.text2image, minit2i.cli
heavy = [m for m in ("datasets", "pandas", "matplotlib", "pyarrow", "IPython") if m in sys.modules]
assert not heavy, heavy
import minit2i.utils
minit2i.utils.DATA = pathlib.Path("/nowhere")
for path in sorted(pathlib.Path(minit2i.__file__).parent.rglob("*.py")):
    name = ".".join(path.relative_to(pathlib.Path(minit2i.__file__).parent.parent).with_suffix("").parts)
    if not name.endswith("__main__"):
        importlib.import_module(name.removesuffix(".__init__"))
assert minit2i.TextToImage is minit2i.text2image.TextToImage
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_readme_maps_the_core_in_its_order_and_every_chapter():
    readme = (ROOT / "README.md").read_text()
    assert tuple(re.findall(r"\]\(minit2i/(\w+)\.py\)", readme)) == STORY
    assert tuple(dict.fromkeys(re.findall(r"\]\(minit2i/(\w+)\)", readme))) == CHAPTERS
