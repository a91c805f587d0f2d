"""Pictures of pictures: grids, film strips, animations, score tables and loss curves.

Most of it returns a PIL picture, so that it can be shown in a notebook, saved or looked at in a test. Colours
are readable for colour-blind eyes (viridis; blue and orange of Okabe & Ito 2008).
"""

import base64
import html
import io
import json
import math
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .images import as_rgb, save_image, to_pil
from .utils import DATA, InputError, device, write_file

BLUE, ORANGE = "#0072b2", "#d55e00"


def lesson() -> None:
    """Prepare a lesson's notebook, wherever it is: find `exercises`, show an InputError as its one line, and
    name a GPU if there is one. Raises InputError where the lessons are not."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None:
        shell.set_custom_exc((InputError,), lambda shell, kind, error, trace, tb_offset=None: print(error))
    folder = DATA.parent / "lessons"
    if not (folder / "exercises").is_dir():
        raise InputError("the lessons come with the repository: clone it, and run pip install -e . there")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    if device().type != "cpu":
        print(f"computing on {device().type}")


def show(picture, alt: str) -> None:
    """Show a PIL picture, a matplotlib figure or a scrubber's HTML in a notebook.

    alt: what it shows, for those who cannot see it. What is large as a PNG, as photos are, becomes a JPEG.
    """
    from IPython.display import HTML, display

    if isinstance(picture, str):
        display(HTML(picture))
        return
    picture = _to_picture(picture) if hasattr(picture, "savefig") else as_rgb(picture)
    for kind, options in (("png", {"optimize": True}), ("jpeg", {"quality": 80})):
        file = io.BytesIO()
        picture.save(file, kind, **options)
        if file.tell() < 100_000:
            break
    mime = f"image/{kind}"
    display({mime: base64.b64encode(file.getvalue()).decode()}, raw=True, metadata={mime: {"alt": alt}})


def grid(
    pictures: list[Image.Image], columns: int = 8, captions: list[str] | None = None, side: int = 128
) -> Image.Image:
    """Pictures in rows, each enlarged or shrunk to `side` pixels, with captions below.

    Enlarging by a whole factor keeps the pixels visible; any other factor is smoothed, for it would draw some
    pixels wider than others, and so a grid that is not in the picture.
    """
    columns = min(columns, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    font, line, gap = ImageFont.load_default(11), 14, 4
    lines = [_wrap(caption, font, side) for caption in captions or [""] * len(pictures)]
    below = (max(map(len, lines)) * line + 4) if captions else 0
    sheet = Image.new("RGB", (columns * (side + gap) + gap, rows * (side + below + gap) + gap), "white")
    draw = ImageDraw.Draw(sheet)
    for i, picture in enumerate(pictures):
        x, y = gap + i % columns * (side + gap), gap + i // columns * (side + below + gap)
        whole = side % picture.width == 0 and side % picture.height == 0
        smoothing = Image.Resampling.NEAREST if whole else Image.Resampling.LANCZOS
        sheet.paste(as_rgb(picture).resize((side, side), smoothing), (x, y))
        for j, text in enumerate(lines[i]):
            draw.text((x, y + side + 2 + j * line), text, fill="black", font=font)
    return sheet


def _wrap(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Break a caption into lines that fit the width (a single word may still stick out)."""
    lines: list[str] = []
    for word in text.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def pick_frames(frames: list, count: int) -> list:
    """`count` frames, 2 or more, spread evenly over the film, the first and the last among them."""
    if len(frames) <= count:
        return list(frames)
    return [frames[round(i * (len(frames) - 1) / (count - 1))] for i in range(count)]


def filmstrip(frames: list[Tensor], count: int = 8, side: int = 128) -> Image.Image:
    """One row of frames, each (1, C, H, W) in [-1, 1], from the first to the last."""
    return grid([to_pil(frame)[0] for frame in pick_frames(frames, count)], columns=count, side=side)


def save_film(frames: list[Image.Image], path: str | Path, seconds: float = 3.0, rest: float = 1.0) -> None:
    """Write an animated GIF or WebP that rests on its last frame for so many seconds, and loops; or an MP4,
    which does neither. Raises InputError if there is no encoder for that (the program ffmpeg)."""
    if not str(path).lower().endswith(".mp4"):
        each = round(1000 * seconds / len(frames))
        durations = [each] * (len(frames) - 1) + [each + round(1000 * rest)]
        save_image(frames[0], path, save_all=True, append_images=frames[1:], duration=durations, loop=0)
        return
    ffmpeg, (width, height), rate = find_encoder(path), frames[0].size, round(len(frames) / seconds)
    raw = b"".join(as_rgb(frame).tobytes() for frame in frames)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "film.mp4")
        into = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(rate), "-i", "-"]
        command = [ffmpeg, "-v", "error", *into, "-pix_fmt", "yuv420p", str(file)]
        done = subprocess.run(command, input=raw, capture_output=True, check=False)
        if done.returncode:
            reason = done.stderr.decode(errors="replace").strip().split("\n")[-1]
            raise InputError(f"{path}: ffmpeg cannot write it ({reason})")
        write_file(path, file.read_bytes())


def find_encoder(path: str | Path) -> str:
    """The program that writes an .mp4. Raises InputError, with the path, if it is not here."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise InputError(f"{path}: an .mp4 needs the program ffmpeg; a .gif or a .webp does not")
    return ffmpeg


def scrubber(frames: list[Tensor], alt: str, labels: list[str] | None = None, side: int = 256) -> str:
    """A film under a slider, as one piece of HTML: all frames lie side by side in one picture.

    frames: (1, C, H, W) each, in [-1, 1]. alt: what it shows, for those who cannot see it. labels: what to
    write below each frame. The slider also obeys the arrow keys.
    """
    (height, width), last = frames[0].shape[-2:], len(frames) - 1
    sheet = as_rgb(to_pil(torch.cat(frames, dim=-1))[0])
    file = io.BytesIO()
    sheet.save(file, "WEBP", quality=70)
    source = base64.b64encode(file.getvalue()).decode()
    labels = labels or [f"frame {i + 1} of {len(frames)}" for i in range(len(frames))]
    move = (
        f"this.previousElementSibling.style.backgroundPosition = 100 * this.value / {max(1, last)} + '% 0';"
        "this.nextElementSibling.textContent = JSON.parse(this.dataset.labels)[this.value];"
        "this.setAttribute('aria-valuetext', this.nextElementSibling.textContent)"
    )
    return (
        f'<div style="max-width: {side}px; font-family: sans-serif">'
        f'<div role="img" aria-label="{html.escape(alt)}" style="aspect-ratio: {width} / {height}; '
        f"image-rendering: pixelated; background: url(data:image/webp;base64,{source}) 0 0 / "
        f'{100 * len(frames)}% 100%"></div>'
        f'<input type="range" min="0" max="{last}" value="0" aria-label="time" '
        f'style="width: 100%; margin: 8px 0" '
        f'data-labels="{html.escape(json.dumps(labels))}" oninput="{move}">'
        f"<div>{html.escape(labels[0])}</div></div>"
    )


def score_table(pictures: list[Image.Image], captions: list[str], scores: Tensor) -> Image.Image:
    """How well each picture (column) fits each caption (row). scores: (pictures, captions)."""
    scores = scores.detach().float().cpu().T.numpy()  # (captions, pictures)
    figure, axes = _figure(3 + len(pictures) * 0.8, 1.4 + len(captions) * 0.45)
    axes.imshow(scores, cmap="viridis", aspect="auto")
    axes.set_yticks(range(len(captions)), captions, fontsize=8)
    axes.set_xticks(range(len(pictures)), [f"picture {i + 1}" for i in range(len(pictures))], fontsize=8)
    middle = (scores.max() + scores.min()) / 2
    for (row, column), value in np.ndenumerate(scores):
        readable = {"color": "black" if value > middle else "white", "fontsize": 8}
        axes.text(column, row, f"{value:.0f}", ha="center", va="center", **readable)
    table = _to_picture(figure)
    box = axes.get_window_extent()  # known once it is drawn
    step = box.width / len(pictures)
    side = min(96, int(step) - 4)
    sheet = Image.new("RGB", (table.width, table.height + side + 8), "white")
    for i, picture in enumerate(pictures):
        sheet.paste(grid([picture], side=side), (round(box.x0 + (i + 0.5) * step - side / 2) - 4, 0))
    sheet.paste(table, (0, side + 8))
    return sheet


def loss_curve(losses: list[float], title: str = "", level: tuple[float, str] | None = None) -> Image.Image:
    """The loss of each step (thin) and its running mean (thick), on a logarithmic scale.

    level: a loss to compare with, drawn as a dashed line, and what it means.
    """
    figure, axes = _figure(6, 3)
    width = 1 + len(losses) // 50
    means = np.convolve(losses, np.full(width, 1 / width), "valid")
    axes.plot(losses, color=BLUE, alpha=0.25, linewidth=0.5)
    axes.plot(range(width // 2, width // 2 + len(means)), means, color=ORANGE, label="running mean")
    if level is not None:
        axes.axhline(level[0], color="black", linestyle="--", linewidth=1, label=level[1])
    axes.set(yscale="log", xlabel="step", ylabel="loss", title=title)
    axes.legend()
    return _to_picture(figure)


def _figure(width: float, height: float):
    # Figure without pyplot: no window, no global state; and imported late, for `import minit2i` must be quick
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _to_picture(figure) -> Image.Image:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return Image.open(file).convert("RGB")
