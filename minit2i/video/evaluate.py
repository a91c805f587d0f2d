"""Does what moves move as was said, is it what was said in every frame, and does it flicker?"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from minit2i.evaluate.fidelity import fidelity
from minit2i.evaluate.judge import Judge, verdicts
from minit2i.evaluate.report import Bench
from minit2i.evaluate.shares import REAL_SEED, number, quantiles, share
from minit2i.sketch.sketcher import background
from minit2i.utils import device_of, in_batches
from minit2i.world.captions import full_caption
from minit2i.world.scenes import UPRIGHT

from . import motion
from .animator import Animator, plan, starts
from .warp import warp, warp_along


def motion_shown(video: Tensor) -> str:
    """Which motion a video (F, 3, S, S) shows, by outlines alone, without a network: the one that warps the
    outline in the first frame to those in the others. It is turned and grown about its middle."""
    shapes = ((video - background(video[0])).abs().amax(dim=1, keepdim=True) > 0.3).float().cpu()
    inside = shapes[0, 0].nonzero()  # of (F, 1, S, S): (positions, 2), y and x
    if not len(inside):
        return "nothing to be seen"
    y, x = ((inside.amin(0) + inside.amax(0) + 1) / 2 / shapes.shape[-1] - 0.5).tolist()
    agree = {}
    for name in motion.MOTIONS:
        for far in (0.0, 0.5, 1.0):
            path = torch.from_numpy(motion.motion_like(name, far)).float() + torch.tensor([x, y, 0, 0])
            moved = warp_along(shapes[0], path)
            both, either = (f(moved, shapes).sum(dim=(1, 2, 3)) for f in (torch.minimum, torch.maximum))
            agree[name, far] = (both / either.clamp(min=1)).mean().item()
    return max(agree, key=agree.get)[0]


def undo_motion(video: Tensor, path: Tensor) -> Tensor:
    """The frames (F, 3, S, S) as if all stood as the first: all alike, if nothing but motion happens."""
    return warp(video, path, path[0])


def flicker(still: Tensor) -> float:
    """The mean difference between each frame (F, 3, S, S) and the next, once their motion is undone."""
    return still.diff(dim=0).abs().mean().item()


def score_videos(judge: Judge, videos: Tensor, paths: Tensor, scenes: list[motion.MovingScene]) -> dict:
    """The marks of videos (n, F, 3, 64, 64) of scenes, drawn on paths (n, F, POSE)."""
    n, pairs = len(videos), list(zip(videos, paths, strict=True))
    # In the pose of still pictures, which the judge knows
    still = torch.cat([warp(video, path, torch.tensor(UPRIGHT)) for video, path in pairs])
    right = verdicts(judge, still, [moving.scene for moving in scenes for _ in range(videos.shape[1])])
    worn = (right["animal"] & right["headwear"] & right["colour"]).view(n, -1)
    # Of each video the last frame that is not turned; the first always is upright
    last = torch.stack([(path[:, 3].abs() < 0.03).nonzero().max() for path in paths])
    each = torch.arange(n)
    poses = zip(scenes, paths[each, last].tolist(), strict=True)
    true = [replace(moving.scene, x=x, y=y, size=size) for moving, (x, y, size, _) in poses]
    moves = [motion_shown(video) == moving.motion for video, moving in zip(videos, scenes, strict=True)]
    return {
        "the motion that was asked for": share(torch.tensor(moves)),
        "animal, headwear and its colour right in every frame": share(worn.all(dim=1)),
        "the same, frame by frame": number(100 * worn.float().mean().item(), worn.numel(), "%"),
        "flicker": number(sum(flicker(undo_motion(*pair)) for pair in pairs) / n, n),
        "fidelity of the last upright frame": quantiles(fidelity(videos[each, last], true)),
    }


def measure(bench: Bench) -> dict:
    """Videos of moving scenes, whose pairs of animal and motion training never had. To compare with: real
    videos, the same through the autoencoder, their own first frames repeated, and warped; and a fifth as many
    drawn from noise, all frames at once and each for itself."""
    n, t2i, seed = max(4, bench.n // 4), bench.t2i, bench.seed
    animator, fewer = Animator.load(bench.folder, t2i), max(1, n // 5)
    scenes = [motion.draw_moving_scene(REAL_SEED, i, "held_out") for i in range(n)]
    prompts = [motion.full_motion_caption(moving) for moving in scenes]
    still = [full_caption(moving.scene) for moving in scenes]  # what the picture model knows
    real, (true_paths, styles) = motion.real_videos(scenes), motion.paths_and_styles(scenes)
    paths = starts(plan(animator.planner, t2i.tokenizer, prompts, seed), seed)

    def drawn(way: Callable[..., Tensor], texts: list[str], count: int) -> Tensor:
        def four(part: range) -> Tensor:
            some = slice(part.start, part.stop)
            return way(texts[some], paths[some], styles[some], seed=1000 * seed + part.start // 4).cpu()

        return in_batches(four, range(count), size=4, desc="drawing videos")

    on = device_of(t2i.denoiser)
    decoded = in_batches(lambda x: t2i.decode(t2i.encode_pictures(x.to(on))).cpu(), real.flatten(0, 1))
    videos = drawn(animator.on_path, prompts, n)
    along = torch.stack([warp_along(video[0], path) for video, path in zip(videos, paths, strict=True)])
    ways = {
        "real videos": (real, true_paths),
        "real videos, through the autoencoder": (decoded.view(real.shape), true_paths),
        "a picture, warped along a path and redrawn: what `minit2i video` does": (videos, paths),
        "its first frame, warped": (along, paths),
        "its first frame, repeated": (videos[:, :1].expand_as(videos), paths[:, :1].expand_as(paths)),
        "from noise, all frames at once": (drawn(animator.at_once, prompts, fewer), paths[:fewer]),
        "from noise, each frame for itself": (drawn(animator.apart, still, fewer), paths[:fewer]),
    }
    report = {way: score_videos(bench.judge, *made, scenes[: len(made[0])]) for way, made in ways.items()}
    del report["real videos"]["fidelity of the last upright frame"]  # infinite: it compares with these
    return report
