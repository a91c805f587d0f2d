"""Does what moves move as was said, is it what was said in every frame, and does it flicker?"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from minit2i.evaluate.fit import fidelity
from minit2i.evaluate.judge import Judge, verdicts
from minit2i.evaluate.shares import REAL_SEED, quantiles, share
from minit2i.images import to_float
from minit2i.utils import device_of
from minit2i.world.captions import full_caption
from minit2i.world.scenes import UPRIGHT, Scene

from .animator import Animator, plan, starts
from .motion import MOTIONS, MovingScene, draw_moving_scene, full_motion_caption, motion_like, render_video
from .warp import warp, warp_along


class Exam(NamedTuple):
    """Moving scenes, n of them, and real clips of them (n, F, 3, 64, 64) in [-1, 1]."""

    scenes: list[MovingScene]
    clips: Tensor


def exam(split: str, n: int) -> Exam:
    scenes = [draw_moving_scene(REAL_SEED, i, split) for i in range(n)]
    pixels = np.stack(
        [render_video(moving) for moving in tqdm(scenes, "rendering clips", leave=False, delay=1)]
    )
    return Exam(scenes, to_float(torch.from_numpy(pixels).permute(0, 1, 4, 2, 3)))


# ---- Which motion? By outlines alone, without a network ----


def outlines(clip: Tensor) -> Tensor:
    """Where each frame (F, 3, S, S) is not background, as 0 and 1: (F, 1, S, S). The background is what most
    of the first frame's rim shows."""
    first = clip[0]
    rim = torch.cat([first[:, 0], first[:, -1], first[:, :, 0], first[:, :, -1]], dim=1)
    ground = rim.median(dim=1).values[None, :, None, None]
    return ((clip - ground).abs().amax(dim=1, keepdim=True) > 0.3).float()


def candidates() -> tuple[list[str], Tensor]:
    """Every motion at three widths: their names, and what each does to the first frame, (m, F, 4)."""
    names, poses = [], []
    for motion in MOTIONS:
        for far in (0.0, 0.5, 1.0):
            names.append(motion)
            poses.append(torch.tensor(motion_like(motion, far), dtype=torch.float32))
    return names, torch.stack(poses)


def motion_shown(clip: Tensor) -> str:
    """Which motion a clip (F, 3, S, S) shows: the one that carries the first frame's outline to where the
    others are. It is turned and grown about the middle of that outline."""
    shapes = outlines(clip.cpu())
    places = shapes[0, 0].nonzero()
    if not len(places):
        return "nothing to be seen"
    low, high = places.amin(0), places.amax(0) + 1
    middle = ((low + high) / 2 / shapes.shape[-1] - 0.5).flip(0)  # x and y
    names, poses = candidates()
    agree = []
    where = torch.tensor([*middle.tolist(), 0, 0])
    first, shape = where + torch.tensor([0, 0, 1, 0]), shapes[:1].expand(len(shapes), -1, -1, -1)
    for pose in poses:
        guess = warp(shape, first, where + pose)
        both = torch.minimum(guess, shapes).sum(dim=(1, 2, 3))
        either = torch.maximum(guess, shapes).sum(dim=(1, 2, 3)).clamp(min=1)
        agree.append((both / either).mean())
    return names[int(torch.stack(agree).argmax())]


# ---- What is in it, and does it flicker? ----


def background_change(clip: Tensor) -> float:
    """How much a clip (F, 3, S, S) changes from frame to frame where nothing moves: the mean over places that
    are background in both frames, three pixels around what moves left out."""
    moving = F.max_pool2d(outlines(clip), 7, stride=1, padding=3)
    outside = 1 - torch.maximum(moving[1:], moving[:-1])
    change = (clip.diff(dim=0).abs() * outside).sum() / (3 * outside.sum()).clamp(min=1)
    return change.item()


def undo_motion(clip: Tensor, path: Tensor, onto: Tensor | None = None) -> Tensor:
    """The frames (F, 3, S, S) with their motion undone, in one pose (POSE,), that of the first frame if none
    is given: all alike, if nothing but motion happens."""
    return warp(clip, path, path[0] if onto is None else onto)


def flicker(still: Tensor) -> float:
    """The mean difference between each frame (F, 3, S, S) and the next, once their motion is undone."""
    return still.diff(dim=0).abs().mean().item()


def score_videos(judge: Judge, clips: Tensor, paths: Tensor, scenes: list[MovingScene]) -> dict:
    """The marks of clips (n, F, 3, 64, 64) of scenes, drawn on paths (n, F, POSE)."""
    pairs = list(zip(clips, paths, strict=True))
    still = [undo_motion(clip, path) for clip, path in pairs]
    onto = torch.tensor(UPRIGHT)  # as still pictures are, which the judge knows
    each = [moving.scene for moving in scenes for _ in range(clips.shape[1])]
    right = verdicts(judge, torch.cat([undo_motion(clip, path, onto) for clip, path in pairs]), each)
    worn = (right["animal"] & right["headwear"] & right["colour"]).view(len(clips), -1)
    named = torch.tensor([motion_shown(c) == m.motion for c, m in zip(clips, scenes, strict=True)])
    return {
        "motion": share(named),
        "every_frame": share(worn.all(dim=1)),
        "frames": worn.float().mean().item(),
        "flicker": float(np.mean([flicker(clip) for clip in still])),
        "background": float(np.mean([background_change(clip) for clip in clips])),
    }


def measure_video(animator: Animator, judge: Judge, n: int, seed: int, split: str = "held_out") -> dict:
    """Clips of n moving scenes, whose pairs of animal and motion training never had. To compare with: real
    clips, the same through the autoencoder, their own first frames repeated, and carried along; and a fifth
    as many drawn from noise, all frames at once and each for itself."""
    scenes, real = exam(split, n)
    prompts, t2i = [full_motion_caption(moving) for moving in scenes], animator.t2i
    still = [full_caption(moving.scene) for moving in scenes]  # what the picture model knows
    styles = torch.tensor([moving.scene.layout_vector() for moving in scenes])[:, :-3]
    paths = starts(plan(animator.planner, t2i.tokenizer, prompts, seed), seed)
    true_paths = torch.tensor(np.stack([moving.path for moving in scenes]), dtype=torch.float32)

    def drawn(way: Callable[..., Tensor], texts: list[str], count: int, desc: str) -> Tensor:
        parts = []
        for i in tqdm(range(0, count, 4), f"video: {desc}, 4 at a time"):
            some = slice(i, min(i + 4, count))
            parts.append(way(texts[some], paths[some], styles[some], seed=1000 * seed + i // 4).cpu())
        return torch.cat(parts)

    unfolded = [t2i.decode(t2i.encode_pictures(clip.to(device_of(t2i.denoiser)))).cpu() for clip in real]
    clips = drawn(animator.on_path, prompts, n, "a picture, carried along and redrawn")
    along = [warp_along(clip[0], path) for clip, path in zip(clips, paths, strict=True)]
    fewer = max(1, n // 5)
    at_once = drawn(animator.at_once, prompts, fewer, "all frames at once")
    apart = drawn(animator.apart, still, fewer, "each frame for itself")
    ways = {
        "real clips": (real, true_paths),
        "real clips, through the autoencoder": (torch.stack(unfolded), true_paths),
        "a picture, carried along and redrawn": (clips, paths),
        "first frame, repeated": (clips[:, :1].expand_as(clips), paths[:, :1].expand_as(paths)),
        "first frame, carried along": (torch.stack(along), paths),
        "from noise, all frames at once": (at_once, paths[:fewer]),
        "from noise, each frame for itself": (apart, paths[:fewer]),
    }
    result = {}
    for name, (some, on) in ways.items():
        result[name] = score_videos(judge, some, on, scenes[: len(some)])
        plain, of = upright_frames(some, on, scenes[: len(some)])
        result[name]["fit"] = quantiles(fidelity(plain, of)) if of else None
    return result


def upright_frames(clips: Tensor, paths: Tensor, scenes: list[MovingScene]) -> tuple[Tensor, list[Scene]]:
    """Of each clip the first frame that stands upright and about in the middle, as still pictures do."""
    frames, of = [], []
    for clip, path, moving in zip(clips, paths, scenes, strict=True):
        plain = (path[:, :2].abs().amax(1) < 0.08) & (path[:, 2] > 0.7) & (path[:, 3].abs() < 0.03)
        plain &= path[:, 2] < 0.96
        if plain.any():
            frames.append(clip[int(plain.int().argmax())])
            of.append(moving.scene)
    return (torch.stack(frames) if frames else clips[:0, 0]), of
