"""A pad to draw on in a notebook: `pad = DrawingPad()`, draw, press "use this", then `pad.picture()`.

With anywidget installed (pip install anywidget) the drawing comes back by itself. Without it the button
saves drawing.png, where the browser puts what it downloads, and `pad.picture("drawing.png")` reads it. The
pad itself is pad.js.
"""

import base64
import html
import io
import json
from pathlib import Path

from PIL import Image

from minit2i.images import open_image
from minit2i.utils import InputError

SIDE = 256
GROUND = "#ffffff"
PALETTE = {
    "black": "#262626", "grey": "#9aa0a6", "white": "#ffffff", "brown": "#8d6e63", "red": "#d93025",
    "orange": "#f29900", "yellow": "#fdd835", "green": "#34a853", "blue": "#4285f4", "purple": "#8e24aa",
    "pink": "#f48fb1", "navy": "#283593",
}  # fmt: skip
SCRIPT = Path(__file__).with_suffix(".js")
PREFIX = "data:image/png;base64,"


def drawn(url: str) -> Image.Image:
    """The picture in what the pad hands over. Raises InputError if it is none."""
    if not url.startswith(PREFIX):
        raise InputError('nothing was drawn yet: draw, and press "use this"')
    try:
        content = base64.b64decode(url.removeprefix(PREFIX), validate=True)
    except ValueError:
        raise InputError('the drawing came over broken: press "use this" again') from None
    return open_image(io.BytesIO(content), "the drawing")


def page(side: int = SIDE) -> str:
    """The pad as a page of its own, which saves the drawing as a file."""
    settings = json.dumps({"side": side, "ground": GROUND, "palette": PALETTE})
    script = (
        SCRIPT.read_text().replace("export default", "const widget =").replace("export function", "function")
    )
    save = "(url) => Object.assign(document.createElement('a'), {href: url, download: 'drawing.png'}).click()"
    return (
        '<!doctype html><meta charset="utf-8"><title>Draw</title><div id="pad"></div>'
        f"<script type=module>{script}\npad(document.getElementById('pad'), {{...{settings}, use: {save}}});"
        "</script>"
    )


class DrawingPad:
    """A pad to draw on; show it as the last line of a cell."""

    def __init__(self, side: int = SIDE, widget: bool = True):
        """side: of the drawing, in pixels. widget: False to go by way of a file, where the notebook shows no
        widgets."""
        self.side, self.widget = side, _widget(side) if widget else None

    def _ipython_display_(self) -> None:
        from IPython.display import HTML, display

        if self.widget is not None:
            display(self.widget)
            return
        # In a frame of its own, where its script may run and can touch nothing else
        frame = (
            f'<iframe title="A pad to draw on" sandbox="allow-scripts allow-downloads" '
            f'width="{self.side + 40}" height="{self.side + 160}" style="border: 0" '
            f'srcdoc="{html.escape(page(self.side))}"></iframe>'
        )
        frame = f'<div role="group" aria-label="A pad to draw on">{frame}</div>'
        display(HTML(frame))

    def picture(self, path: str | Path | None = None) -> Image.Image:
        """What was drawn, RGB; with a path, from that file. Raises InputError if there is nothing yet."""
        if path is not None:
            return open_image(path)
        if self.widget is None:
            raise InputError('draw, press "use this", and say where it was saved: picture("drawing.png")')
        return drawn(self.widget.url)


def _widget(pixels: int):
    """The pad as a widget, if anywidget is installed."""
    try:
        import anywidget
        import traitlets
    except ImportError:
        return None

    class Widget(anywidget.AnyWidget):
        _esm = SCRIPT.read_text()
        side, ground = traitlets.Int(pixels).tag(sync=True), traitlets.Unicode(GROUND).tag(sync=True)
        palette = traitlets.Dict(PALETTE).tag(sync=True)
        url = traitlets.Unicode("").tag(sync=True)

    return Widget()
