"""Does a picture follow the drawing, and is it what the prompt says?"""

import random

import torch
from torch import Generator, Tensor

from minit2i.edit.editor import Editor
from minit2i.evaluate.judge import verdicts
from minit2i.evaluate.report import Bench
from minit2i.evaluate.shares import REAL_SEED, in_fifties, number, share
from minit2i.images import to_float
from minit2i.utils import device_of
from minit2i.world.batches import render_all
from minit2i.world.captions import full_caption
from minit2i.world.scenes import draw_scene

from .drawings import crude_drawings
from .sketcher import Sketcher, box_of, overlap
from .train import anywhere

STRENGTHS = (0.6, 0.75, 0.9)  # of the variations that a ControlNet has to beat
WAYS = ("drawn after a crude drawing, anywhere in the frame", "the same words alone",
        "words, and the drawing's box as layout", *(f"a variation of strength {s}" for s in STRENGTHS),
        "real pictures of what was meant")  # fmt: skip


def measure(bench: Bench) -> dict:
    """Crude drawings of held-out scenes, and what becomes of them in every way that we have."""
    n, t2i, rng = max(50, bench.n // 4), bench.t2i, random.Random(f"drawings to measure {REAL_SEED}")
    sketcher, editor = Sketcher.load(bench.folder, t2i), Editor.load(bench.folder, t2i)
    scenes = [anywhere(draw_scene(REAL_SEED, i, "held_out"), rng) for i in range(n)]
    drawings, boxes, shown, coloured = crude_drawings(scenes, Generator().manual_seed(2**40 + REAL_SEED))
    drawings, prompts = drawings.to(device_of(t2i.denoiser)), [full_caption(scene) for scene in scenes]

    def in_every_way(some: slice, i: int) -> Tensor:
        x, words, seed = drawings[some], prompts[some], 1000 * bench.seed + i
        low, high = boxes[some].split(2, dim=1)
        frame = [(low + high) / 2 - 0.5, (high - low).amax(dim=1, keepdim=True)]  # the square around the box
        layout = torch.cat([t2i.layouts(words, seed)[:, :-3], *frame], dim=1)
        ways = (
            sketcher.draw(x, words, seed=seed),
            t2i.draw(words, seed=seed),
            t2i.draw(words, layout=layout, seed=seed),
            *(editor.vary(x, words, strength, seed=seed) for strength in STRENGTHS),
        )
        return torch.stack(ways, dim=1)  # (50, ways, 3, S, S)

    drawn = in_fifties(in_every_way, n, "drawing after drawings").unbind(1)
    other = [a.colour != b.colour != "none" for a, b in zip(scenes, shown, strict=True)]
    conflict, result = coloured & torch.tensor(other), {}
    for way, pictures in zip(WAYS, (*drawn, to_float(render_all(scenes))), strict=True):
        right, shared = verdicts(bench.judge, pictures, scenes), overlap(box_of(pictures), boxes)
        result[way] = {
            "the animal that was asked for": share(right["animal"]),
            "the hat's colour as the prompt has it, not the drawing": share(right["colour"][conflict]),
            "all right at once": share(right["joint"]),
            "overlap of the boxes around it and the drawing (mean)": number(shared.mean(), n),
        }
    return result
