"""Are pictures changed as was asked, is the rest left alone, can one see where? Are scenes read right?"""

import random
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from minit2i.checkpoint import load_beside_denoiser
from minit2i.evaluate.fidelity import fidelity
from minit2i.evaluate.judge import QUESTIONS, verdicts
from minit2i.evaluate.report import Bench
from minit2i.evaluate.shares import REAL_SEED, in_fifties, number, share
from minit2i.images import to_float, to_tensor
from minit2i.utils import device, progress
from minit2i.world.batches import render_all, scene_pictures
from minit2i.world.captions import full_caption, said_in_full
from minit2i.world.render import framed, layout, render
from minit2i.world.scenes import ATTRIBUTES, Scene, draw_scene

from .any_size import SIDE, TOWARDS, extend, turned
from .editor import Editor
from .scene_reader import read_scenes
from .train import difference

CHANGES = ("colour", "headwear", "eyewear", "background")  # in turn
NEAR = 32  # pixels on each side of a seam that it is compared with


def measure(bench: Bench) -> dict:
    """Change one thing in each of n / 4 pictures in every way that we have, and extend n / 40 of them."""
    editor, n, on = Editor.load(bench.folder, bench.t2i), max(1, bench.n // 4), device()
    ways = {
        "edits with a mask, to a combination never seen": editor.inpaint,
        "edits with a mask, the known part put back in each step": partial(editor.inpaint, way="replace"),
        "edits with a mask, the same with each step repeated": partial(editor.inpaint, way="repaint"),
        "edits from words alone": lambda x, m, p, seed: editor.edit(x, p).pictures,
        "edits from words alone, no attention kept": lambda x, m, p, seed: editor.edit(x, p, kept=0).pictures,
        "variations of strength 0.9": lambda x, m, p, seed: editor.vary(x, p, 0.9, seed=seed),
        "pictures drawn afresh": lambda x, m, p, seed: editor.t2i.draw(p, seed=seed),
    }
    wanted = [draw_scene(REAL_SEED, i, "held_out") for i in range(n)]
    old, changes = zip(*(another(scene, i) for i, scene in enumerate(wanted)), strict=True)
    pixels, prompts = render_all([*old]), [said_in_full(scene) for scene in wanted]
    x, masks = to_float(pixels), difference(pixels, render_all(wanted), margin=2)
    changed = torch.tensor([[question == name for question in QUESTIONS] for name in changes])
    result = {}
    for name, way in ways.items():

        def part(some: slice, i: int, way=way) -> Tensor:
            return way(x[some].to(on), masks[some].to(on), prompts[some], seed=1000 * bench.seed + i)

        drawn = in_fifties(part, n, name)
        verdict = verdicts(bench.judge, drawn, wanted)
        right = torch.stack([verdict[question] for question in QUESTIONS], dim=1)  # (n, questions)
        moved = (drawn - x).abs() * (1 - masks)
        result[name] = {
            "what was asked for": share(right[changed]),
            "all else as it was, and an intact picture": share((right | changed).all(dim=1)),
            "both": share(verdict["joint"]),
            "moved elsewhere": number(moved.sum() / (3 * (1 - masks).sum()), n, "of -1 to 1"),
            "changed elsewhere": number((moved > 0).any(dim=1).sum(), n, "pixels"),
            "fidelity, median": number(fidelity(drawn, wanted).median(), n, "dB"),
        }
    return result | {"pictures extended": measure_seam(editor, max(1, bench.n // 40), bench.seed)}


def another(scene: Scene, i: int) -> tuple[Scene, str]:
    """The scene as it was before something in it became another, its head where it is; and what that is."""
    rng, name = random.Random(f"edit {REAL_SEED} {i}"), CHANGES[i % len(CHANGES)]
    others = [v for v in ATTRIBUTES[name] if v != getattr(scene, name) and (v != "none" or name == "eyewear")]
    return framed(replace(scene, **{name: rng.choice(others)}), layout(scene)[0][2:]), name


def measure_seam(editor: Editor, n: int, seed: int) -> dict:
    """Extend n pictures by a quarter: how steep is the step from old to new, beside those nearby?"""
    windows = []
    for i in progress(range(n), "extending"):
        scene, side = draw_scene(REAL_SEED, i, "held_out"), list(TOWARDS)[i % 4]
        grown = extend(editor, render(scene, SIDE), [full_caption(scene)], side, SIDE // 4, seed=seed)
        steps = turned(to_tensor(grown), side).diff(dim=3).abs().mean(dim=(0, 1, 2))  # one a column
        windows.append(steps[SIDE - 1 - NEAR : SIDE + NEAR])
    before, seam, after = torch.stack(windows).split([NEAR, 1, NEAR], dim=1)
    step = seam.mean() / torch.cat([before, after]).mean()
    return {"step across the seam": number(step, n, "of those beside it")}


def measure_reader(bench: Bench) -> dict:
    """Read n held-out scenes: each attribute, and the middle of the head, to within 1/20 of the frame.

    Heads are never far from the middle of the picture, so that one place named for all is often near, too.
    """
    clip, (reader,) = bench.t2i.clip, load_beside_denoiser(bench.folder, "reader")
    pixels, scenes = scene_pictures("held_out", bench.n, 64, seed=REAL_SEED)
    parts = progress(to_float(pixels).split(50), "reading scenes")
    found, heads = zip(*(read for part in parts for read in read_scenes(clip, reader, part)), strict=True)
    pairs = [*zip(found, scenes, strict=True)]
    result = {name: share([getattr(a, name) == getattr(b, name) for a, b in pairs]) for name in ATTRIBUTES}
    squares = torch.tensor([heads, [layout(scene)[0][2:] for scene in scenes]], dtype=torch.float32)
    read, true = squares[..., :2] + squares[..., 2:] / 2  # (n, 2) each, from left, top and side
    for way, middle in (("read", read), ("if always the mean", true.mean(0))):
        result[f"where the head is, {way}"] = share((middle - true).norm(dim=1) <= 0.05)
    return result
