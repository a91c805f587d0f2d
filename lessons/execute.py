"""Run lessons at full length and keep their outputs, as they are to be committed.

python lessons/execute.py lessons/02_noise.ipynb ... writes each notebook back, with the minutes that it took
in its metadata, and its first picture, small, into docs/lessons for README's table.
"""

import base64
import io
import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

DOCS = Path(__file__).parent.parent / "docs" / "lessons"


def first_picture(notebook: nbformat.NotebookNode) -> Image.Image:
    """What the lesson shows at its top: what the reader will make."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            for mime, content in output.get("data", {}).items():
                if mime.startswith("image/"):
                    return Image.open(io.BytesIO(base64.b64decode(content)))
    raise ValueError("the lesson shows no picture")


def execute(path: Path) -> None:
    notebook = nbformat.read(path, 4)
    began = time.perf_counter()
    # What a progress bar wrote is joined, so that only its last state is kept
    client = NotebookClient(
        notebook,
        timeout=1500,
        coalesce_streams=True,
        record_timing=False,
        resources={"metadata": {"path": path.parent}},
    )
    client.execute()
    minutes = (time.perf_counter() - began) / 60
    for cell in notebook.cells:
        if cell.cell_type == "code":  # bars that wiped themselves out leave an empty stream
            cell.outputs = [o for o in cell.outputs if o.output_type != "stream" or o.text.strip()]
    if "minit2i" in notebook.metadata:
        notebook.metadata["minit2i"]["minutes"] = max(0.1, round(minutes, 1))
    if path.parent.name == "lessons":
        small = first_picture(notebook)
        small.thumbnail((320, 160), Image.Resampling.LANCZOS)
        DOCS.mkdir(exist_ok=True)
        small.convert("RGB").save(DOCS / f"{path.stem[:2]}.png")
    nbformat.write(notebook, path)
    print(f"{path}: {minutes:.1f} minutes, {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    os.environ.pop("MINIT2I_HURRY", None)  # a kernel that inherits it would train too little
    for name in sys.argv[1:]:
        execute(Path(name))
