"""Name the notebooks of the lessons that a change touches: python tests/changed_lessons.py --minutes 40

A change touches a lesson if its notebook, its solutions, its exercises or a module that the two notebooks
import differs from what it was before. Lessons for which the minutes do not suffice are left out, and named
on stderr.
"""

import argparse
import ast
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
EMPTY = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # git's name for a folder without files


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


def before(root: Path) -> str:
    """The commit that the change starts from.

    MINIT2I_BASE if it is set; else where this branch left origin/main; else, on main itself, the last commit
    that is 4 hours older than the newest; else none, and all is new.
    """
    if os.environ.get("MINIT2I_BASE"):
        return os.environ["MINIT2I_BASE"]
    if git(root, "for-each-ref", "refs/remotes/origin/main"):
        left = git(root, "merge-base", "origin/main", "HEAD")
        if left != git(root, "rev-parse", "HEAD"):
            return left
    then = int(git(root, "log", "-1", "--format=%ct")) - 4 * 3600
    return git(root, "log", "-1", "--format=%H", f"--before=@{then}") or EMPTY


def imported(notebook: dict) -> set[str]:
    """The files of ours that a notebook's cells import, and some that would be if they were there."""
    names = set()
    for cell in notebook["cells"]:
        lines = "".join(cell["source"]).splitlines() if cell["cell_type"] == "code" else []
        code = "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            elif isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
    homes = {"minit2i": "", "exercises": "lessons/"}
    names = {name for name in names if name.split(".")[0] in homes}
    paths = [homes[name.split(".")[0]] + name.replace(".", "/") for name in names]
    return {f"{path}.py" for path in paths} | {f"{path}/__init__.py" for path in paths}


def choose(root: Path, minutes: float) -> tuple[list[str], list[str]]:
    """The notebooks of touched lessons that fit in these minutes, and the names of those that cannot."""
    changed = set(git(root, "diff", "--name-only", before(root)).splitlines())
    chosen, left_out = [], []
    for lesson in sorted((root / "lessons").glob("[0-9][0-9]_*.ipynb")):
        paths = [lesson, *(root / "lessons" / "solutions").glob(f"{lesson.stem[:2]}.ipynb")]
        notebooks = [json.loads(path.read_text()) for path in paths]
        names = [path.relative_to(root).as_posix() for path in paths]
        own = {*names, f"lessons/exercises/lesson_{lesson.stem[:2]}.py"}
        if changed.isdisjoint(own.union(*map(imported, notebooks))):
            continue
        takes = sum(notebook["metadata"]["minit2i"]["minutes"] for notebook in notebooks)
        if takes <= minutes:
            chosen += names
            minutes -= takes
        else:
            left_out.append(f"{lesson.stem} ({takes:.1f} minutes)")
    return chosen, left_out


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60, help="how long they may take together (60)")
    chosen, left_out = choose(ROOT, parser.parse_args().minutes)
    if left_out:
        print("Too long to be run at full length here:", ", ".join(left_out), file=sys.stderr)
    print("\n".join(chosen))
