"""Does a picture follow the drawing, and is it what the prompt says?"""

import random
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from tqdm import tqdm

from minit2i.edit.editor import Editor
from minit2i.evaluate.judge import Judge, verdicts
from minit2i.evaluate.shares import REAL_SEED, share
from minit2i.images import to_float
from minit2i.utils import device
from minit2i.world.batches import render_all
from minit2i.world.captions import full_caption
from minit2i.world.scenes import draw_scene

from .drawings import crude_drawings
from .sketcher import Sketcher, box_of, overlap
from .train import anywhere

STRENGTHS = (0.6, 0.75, 0.9)  # of the variations that a branch has to beat


def measure_sketches(
    sketcher: Sketcher, editor: Editor, judge: Judge, n: int, seed: int, split: str = "held_out"
) -> dict:
    """Crude drawings of n scenes of a split, and what becomes of them in every way that we have.

    overlap: of the box around what came out with the one around what was drawn. colour_of_the_prompt: the
    share of pictures with the hat's colour right, where the drawing shows a hat of another.
    """
    rng = random.Random(f"drawings to measure {REAL_SEED}")
    asked = [anywhere(draw_scene(REAL_SEED, i, split), rng) for i in range(n)]
    drawings, boxes, shown, coloured = crude_drawings(asked, Generator().manual_seed(2**40 + REAL_SEED))
    prompts, t2i = [full_caption(scene) for scene in asked], sketcher.t2i
    ways: dict[str, Callable[[Tensor, slice, int], Tensor]] = {
        "drawing and words": lambda x, some, i: sketcher.draw(x, prompts[some], seed=i),
        "words alone": lambda x, some, i: t2i.draw(prompts[some], seed=i),
        "words, and the drawing's box as layout": lambda x, some, i: t2i.draw(
            prompts[some], layout=in_boxes(t2i.layouts(prompts[some], i), boxes[some]), seed=i
        ),
    }
    ways |= {
        f"a variation of the drawing, strength {strength}": lambda x, some, i, s=strength: editor.vary(
            x, prompts[some], s, seed=i
        )
        for strength in STRENGTHS
    }
    pictures = {"ceiling (real pictures)": to_float(render_all(asked))}
    for name, way in ways.items():
        parts = []
        for i in tqdm(range(0, n, 50), f"sketching: {name}, 50 at a time"):
            some = slice(i, i + 50)
            parts.append(way(drawings[some].to(device()), some, 1000 * seed + i // 50).cpu())
        pictures[name] = torch.cat(parts)
    other = [a.colour != s.colour and s.colour != "none" for a, s in zip(asked, shown, strict=True)]
    conflict = torch.tensor(other) & coloured
    result = {}
    for name, drawn in pictures.items():
        right = verdicts(judge, drawn, asked)
        result[name] = {
            "overlap": overlap(box_of(drawn), boxes).mean().item(),
            "n": n,
            "animal": share(right["animal"]),
            "colour_of_the_prompt": share(right["colour"][conflict]),
            "joint": share(right["joint"]),
        }
    return result


def in_boxes(layouts: Tensor, boxes: Tensor) -> Tensor:
    """Layouts (B, LAYOUT) whose frames are squares around boxes (B, 4), left, top, right and bottom."""
    low, high = boxes.split(2, dim=1)
    size = (high - low).amax(dim=1, keepdim=True)
    return torch.cat([layouts[:, :-3], (low + high) / 2 - 0.5, size], dim=1)
