"""Are pictures changed as was asked, is the rest left alone, and can one see where it was done?"""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from minit2i.evaluate.fit import fidelity
from minit2i.evaluate.judge import QUESTIONS, Judge, verdicts
from minit2i.evaluate.shares import REAL_SEED, quantiles, share
from minit2i.images import to_float, to_tensor
from minit2i.utils import device
from minit2i.world.batches import render_all
from minit2i.world.captions import full_caption, said_in_full
from minit2i.world.render import framed, layout, render
from minit2i.world.scenes import ATTRIBUTES, Scene, draw_scene

from . import any_size
from .editor import WAYS, Editor
from .masks import difference

CHANGES = ("colour", "headwear", "eyewear", "background")  # in turn
STRENGTH = 0.9  # of the variations: enough for any change
AROUND = 2  # pixels that a mask covers around what changes
NEAR = 32  # pixels on each side of a seam that it is compared with


class Task(NamedTuple):
    """Pictures (n, 3, 64, 64) in [-1, 1], masks (n, 1, 64, 64) over what is to change, the scenes to come and
    which attribute of each is new."""

    pictures: Tensor
    masks: Tensor
    wanted: list[Scene]
    changes: list[str]


def edit_task(split: str, n: int, seed: int = REAL_SEED) -> Task:
    """n scenes of a split, and pictures of the same in which one thing is another."""
    wanted, changes = [draw_scene(seed, i, split) for i in range(n)], []
    before = []
    for i, scene in enumerate(wanted):
        rng, name = random.Random(f"edit {seed} {i}"), CHANGES[i % len(CHANGES)]
        if scene.headwear == "none":
            name = "eyewear"
        others = [v for v in ATTRIBUTES[name] if v != getattr(scene, name)]
        if name in ("colour", "headwear"):
            others = [v for v in others if v != "none"]
        before.append(framed(replace(scene, **{name: rng.choice(others)}), layout(scene)[0][2:]))
        changes.append(name)
    first, second = render_all(before), render_all(wanted)
    return Task(to_float(first), difference(first, second, AROUND), wanted, changes)


def measure_edits(editor: Editor, judge: Judge, n: int, seed: int, split: str = "held_out") -> dict:
    """Change one thing in each of n pictures, in every way that we have."""
    task = edit_task(split, n)
    prompts = [said_in_full(scene) for scene in task.wanted]
    ways: dict[str, Callable[[Tensor, Tensor, list[str], int], Tensor]] = {
        f"mask, {way}": lambda x, m, p, i, way=way: editor.inpaint(x, m, p, way, seed=i) for way in WAYS
    }
    ways |= {
        "words alone": lambda x, m, p, i: editor.edit(x, p).pictures,
        "words alone, attention not kept": lambda x, m, p, i: editor.edit(x, p, kept=0).pictures,
        "a variation": lambda x, m, p, i: editor.vary(x, p, STRENGTH, seed=i),
        "drawn afresh": lambda x, m, p, i: editor.t2i.draw(p, seed=i),
    }
    result = {}
    for name, way in ways.items():
        drawn = in_fifties(way, task, prompts, seed, name)
        result[name] = marks(judge, drawn, task)
        moved = (drawn - task.pictures).abs() * (1 - task.masks)
        result[name]["moved_elsewhere"] = (moved.sum() / (3 * (1 - task.masks).sum())).item()
        if name.startswith("mask"):
            result[name]["known_pixels_changed"] = int((moved > 0).any(dim=1).sum())
        if name in ("mask, trained", "mask, replace", "words alone", "drawn afresh"):
            result[name]["fit"] = quantiles(fidelity(drawn, task.wanted))
    return result


def in_fifties(way: Callable, task: Task, prompts: list[str], seed: int, what: str) -> Tensor:
    """All drawn in one way, 50 at a time: (n, 3, 64, 64), on the CPU."""
    parts = []
    for i in tqdm(range(0, len(prompts), 50), f"editing: {what}, 50 at a time"):
        some = slice(i, i + 50)
        given = (part[some].to(device()) for part in (task.pictures, task.masks))
        parts.append(way(*given, prompts[some], 1000 * seed + i // 50).cpu())
    return torch.cat(parts)


def marks(judge: Judge, drawn: Tensor, task: Task) -> dict:
    """The share of pictures in which what was to change is as asked, all else is as before, and both."""
    right = verdicts(judge, drawn, task.wanted)
    edited, kept = [], []
    for i, name in enumerate(task.changes):
        edited.append(bool(right[name][i]))
        kept.append(all(right[question][i] for question in QUESTIONS if question != name))
    return {
        "edited": share(torch.tensor(edited)),
        "kept": share(torch.tensor(kept)),
        "joint": share(right["joint"]),
    }


def measure_seams(editor: Editor, n: int, seed: int, split: str = "held_out") -> dict:
    """Extend n pictures by a quarter: how steep is it across the seam, in units of what is beside it?

    seam: mean step from the last old to the first new column, over the mean of the steps nearby (NEAR).
    """
    across, nearby = [], []
    for i in tqdm(range(n), "extending", leave=False, delay=1):
        scene, side = draw_scene(REAL_SEED, i, split), list(any_size.TOWARDS)[i % 4]
        picture = render(scene, 256)
        grown = any_size.extend(editor, picture, [full_caption(scene)], side, 64, seed=seed)
        x = to_tensor(grown)
        dim = 3 if side in ("left", "right") else 2
        seam = 256 if side in ("right", "down") else 64
        steps = x.diff(dim=dim).abs().mean(dim=(0, 1, 5 - dim))  # one number a step
        across.append(steps[seam - 1])
        nearby.append(torch.cat([steps[seam - 1 - NEAR : seam - 1], steps[seam : seam + NEAR]]).mean())
    return {"seam": (torch.stack(across).mean() / torch.stack(nearby).mean()).item(), "n": n}
