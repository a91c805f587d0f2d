"""Make a notebook of a draft: python lessons/drafts/build.py DRAFT.txt NOTEBOOK.ipynb"""

import re
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

source, target = sys.argv[1:]
head, *parts = re.split(r"^%% ?", Path(source).read_text(), flags=re.M)
about = dict(line.split(": ", 1) for line in head.strip().splitlines())
cells = []
for i, part in enumerate(parts):
    first, body = part.split("\n", 1)
    kind, *options = first.split()
    cell = (new_markdown_cell if kind == "md" else new_code_cell)(body.strip("\n"), id=f"{i:03d}")
    if kind in ("ex", "solution"):
        cell.metadata |= {"tags": ["exercise" if kind == "ex" else "solution"], "exercise": options[0]}
    if kind == "check":
        cell.metadata["nbgrader"] = {
            "grade": True, "grade_id": f"exercise-{options[0].replace('.', '-')}", "locked": True,
            "points": int(options[1]), "schema_version": 3, "solution": False, "task": False, "cell_type": "code"}
    cells.append(cell)
metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            "minit2i": {"title": about["title"], "minutes": float(about.get("minutes", 0))}}
nbformat.write(new_notebook(cells=cells, metadata=metadata), target)
