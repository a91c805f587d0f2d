"""The house rules: small modules, imports that run one way, nothing but plain PyTorch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "minit2i"
MODULES = {path.stem: path for path in sorted(PACKAGE.glob("*.py")) if path.stem != "__init__"}


def imports(path: Path) -> tuple[set[str], set[str]]:
    """The modules of the package and the outside packages that a module imports, anywhere in it."""
    inside, outside = set(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            inside |= {node.module} if node.module else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            outside.add(node.module.split(".")[0])
        elif isinstance(node, ast.Import):
            outside |= {alias.name.split(".")[0] for alias in node.names}
    return inside & MODULES.keys(), outside


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_short_enough_to_read_in_one_go(name):
    assert len(MODULES[name].read_text().splitlines()) <= 270, "it holds two concepts: split it"


def test_the_package_can_be_read_in_an_afternoon():
    assert sum(len(path.read_text().splitlines()) for path in MODULES.values()) <= 3600


def test_imports_run_one_way():
    graph = {name: imports(path)[0] for name, path in MODULES.items()}
    graph["data"].discard("scenes")  # load("scenes") hands over to scenes.py, at call time
    done: list[str] = []
    while len(done) < len(graph):
        ready = [name for name in graph if name not in done and graph[name] <= set(done)]
        assert ready, f"a circle among {sorted(set(graph) - set(done))}"
        done += ready


@pytest.mark.parametrize("name", MODULES)
def test_what_is_taught_is_not_imported(name):
    assert not imports(MODULES[name])[1] & {
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
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )
