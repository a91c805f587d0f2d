"""Does a picture follow the drawing, and is it what the prompt says?"""

import random
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Generator, Tensor
from tqdm import tqdm

from minit2i.captions import full_caption
from minit2i.device import device
from minit2i.edit import Editor
from minit2i.judge import Judge, verdicts
from minit2i.pictures import to_float
from minit2i.scenes import COLOURS, draw_scene
from minit2i.sketch import Sketcher, box_of, overlap
from minit2i.training.batches import render_all
from minit2i.training.drawings import crude_drawings
from minit2i.training.sketch import anywhere

from .shares import REAL_SEED, share

STRENGTH = 0.8  # at which a variation was best, on scenes of the training split


def measure_sketches(
    sketcher: Sketcher, editor: Editor, judge: Judge, n: int, seed: int, split: str = "held_out"
) -> dict:
    """Crude drawings of n scenes; in every second one the prompt asks for another colour than was drawn."""
    rng = random.Random(f"sketch {REAL_SEED}")
    shown = [anywhere(draw_scene(REAL_SEED, i, split), rng) for i in range(n)]
    asked = [replace(scene, colour=rng.choice(COLOURS)) if i % 2 else scene for i, scene in enumerate(shown)]
    pictures = to_float(render_all(shown))
    drawings = crude_drawings(shown, Generator().manual_seed(REAL_SEED)).to(device())
    boxes, prompts = box_of(pictures), [full_caption(scene) for scene in asked]
    other = torch.tensor([a.colour != b.colour for a, b in zip(asked, shown, strict=True)])
    ways: dict[str, Callable[[Tensor, list[str], int], Tensor]] = {
        "drawing and words": lambda x, p, i: sketcher.draw(x, p, seed=i),
        "a variation of the drawing": lambda x, p, i: editor.vary(x, p, STRENGTH, seed=i),
        "words alone": lambda x, p, i: sketcher.t2i.draw(p, seed=i),
    }
    result = {}
    for name, way in ways.items():
        parts = []
        for i in tqdm(range(0, n, 50), f"{name}, 50 at a time"):
            some = slice(i, i + 50)
            parts.append(way(drawings[some], prompts[some], 1000 * seed + i // 50).cpu())
        drawn = torch.cat(parts)
        right, over = verdicts(judge, drawn, asked), overlap(box_of(drawn), boxes)
        result[name] = {
            "overlap": over.mean().item(),
            "animal": share(right["animal"]),
            "joint": share(right["joint"]),
            "colour_of_the_prompt": share(right["colour"][other]) if other.any() else None,
            "n": n,
        }
    return result
