"""Scenes that move: a path says where the scene is in each moment, and words say how it moves.

Shapes: F frames of a video. A motion is (F, POSE): for each frame how far the scene has gone since the first,
to the right and down, by which factor it has grown, and by which angle it is turned, in radians, clockwise.
A path is (F, POSE), too: for each frame x, y and size, as in `Scene`, and the angle. B videos.
"""

import hashlib
import itertools
import math
import random
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor

from minit2i.images import to_float
from minit2i.utils import progress
from minit2i.world.batches import python_rng
from minit2i.world.captions import full_caption, short_caption
from minit2i.world.render import paints, render
from minit2i.world.scenes import ANIMALS, FRAMES, POSE, Scene, draw_scene

MOTIONS = {  # each, and other words for it
    "hopping": ("jumping", "hopping up and down", "bouncing", "that hops"),
    "sliding left": ("moving left", "sliding to the left", "going left", "that moves to the left"),
    "sliding right": ("moving right", "sliding to the right", "going right", "that moves to the right"),
    "growing": ("getting bigger", "growing larger", "becoming large", "that grows"),
    "shrinking": ("getting smaller", "becoming small", "becoming tiny", "that shrinks"),
    "spinning": ("turning around", "rotating", "spinning around", "that spins"),
    "nodding": ("nodding its head", "tilting its head", "swaying", "that nods"),
    "standing still": ("sitting still", "not moving", "motionless", "that stands still"),
}
_large = lru_cache(maxsize=1)(render)  # all frames of a video that only turns are made from one picture


class MovingScene(NamedTuple):
    """A scene as it is in the first frame, how it moves, and its path (FRAMES, POSE)."""

    scene: Scene
    motion: str
    path: np.ndarray


def held_out_motion(animal: str, motion: str) -> bool:
    """Whether this pair is kept from training; a hash decides, so that the choice can never drift."""
    digest = hashlib.sha256(f"{animal}, {motion}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32 < 0.15


HELD_OUT_MOTIONS = tuple((a, m) for a in ANIMALS for m in MOTIONS if held_out_motion(a, m))


def motion_like(motion: str, far: float) -> np.ndarray:
    """A motion by its name, (FRAMES, POSE). far: from 0 to 1, how wide it is."""
    time = np.arange(FRAMES) / FRAMES  # the frame after the last would be the first again, where it repeats
    once = np.arange(FRAMES) / (FRAMES - 1)  # from the first frame to the last
    poses = np.empty((FRAMES, POSE))
    poses[:, 0], poses[:, 1], poses[:, 2], poses[:, 3] = {  # to the right, down, factor, angle
        "hopping": (0, -(0.1 + 0.06 * far) * np.abs(np.sin(2 * math.pi * time)), 1, 0),
        "sliding left": (-(0.2 + 0.08 * far) * once, 0, 1, 0),
        "sliding right": ((0.2 + 0.08 * far) * once, 0, 1, 0),
        "growing": (0, 0, 1 + (0.25 + 0.1 * far) * once, 0),
        "shrinking": (0, 0, 1 - (0.2 + 0.08 * far) * once, 0),
        "spinning": (0, 0, 1, 2 * math.pi * time),
        "nodding": (0, 0, 1, (0.25 + 0.15 * far) * np.sin(4 * math.pi * time)),
        "standing still": (0, 0, 1, 0),
    }[motion]
    return poses


def path_from(x: float, y: float, size: float, motion: np.ndarray) -> np.ndarray:
    """The path of a scene that begins here and moves so, (FRAMES, POSE)."""
    return motion * (1, 1, size, 1) + (x, y, 0, 0)


def path_within(motion: np.ndarray, rng: random.Random) -> np.ndarray:
    """A path of this motion that begins somewhere, about as large as will stay in the frame all the time."""
    # What is turned needs more room, if not as much as its square would
    room_for = motion[:, 2] * (1 + 0.3 * np.abs(np.sin(motion[:, 3])))
    # The largest start: size room_for_f / 2 + |position| <= 0.49 in every frame, with the path in the middle
    largest = (0.98 - np.ptp(motion[:, :2], axis=0).max()) / room_for.max()
    size = rng.uniform(0.93, 1) * min(0.94, max(0.5, largest))
    room, start = 0.49 - size * room_for / 2, []
    for way in motion[:, :2].T:
        low, high = (-room - way).max(), (room - way).min()
        start.append(rng.uniform(low, high) if low < high else (low + high) / 2)
    return path_from(*start, size, motion)


def draw_moving_scene(seed: int, index: int, split: str = "train") -> MovingScene:
    """Moving scene number `index`. In the training split no held-out scene and no held-out pair of animal and
    motion occurs; in "held_out" every scene is such a pair, and else like those of training; "all" has both.
    Raises InputError for another split."""
    unseen, rng = split == "held_out", random.Random(f"moving {split} {seed} {index}")
    scene = draw_scene(seed, index, "train" if unseen else split)
    motions = [m for m in MOTIONS if split == "all" or held_out_motion(scene.animal, m) == unseen]
    if not motions:  # this animal has no such pair: another one
        return draw_moving_scene(seed, index + 1_000_003, split)
    return with_motion(scene, rng.choice(motions), rng)


def new_moving_scenes(count: int, generator: Generator, spinning: int = 0) -> list[MovingScene]:
    """Moving scenes of the training split that no one has drawn before; so many of them, at least, spin. A
    quarter begin where still pictures stand, and may leave the frame."""
    rng, scenes = python_rng(generator), []
    for i, seed in enumerate(torch.randint(2**62, (count,), generator=generator).tolist()):
        drawn = (draw_moving_scene(seed, index) for index in itertools.count())
        moving = next(one for one in drawn if i >= spinning or one.motion == "spinning")
        if rng.random() < 0.25:
            still = draw_scene(seed, 0)
            path = path_from(still.x, still.y, still.size, motion_like(moving.motion, rng.random()))
            scene = replace(moving.scene, x=still.x, y=still.y, size=still.size)
            moving = MovingScene(scene, moving.motion, path)
        scenes.append(moving)
    return scenes


def with_motion(scene: Scene, motion: str, rng: random.Random) -> MovingScene:
    """The scene with a motion, at a position from which it stays in the frame."""
    path = path_within(motion_like(motion, rng.random()), rng)
    x, y, size, _ = path[0].tolist()
    return MovingScene(replace(scene, x=x, y=y, size=size), motion, path)


def render_video(moving: MovingScene, size: int = 64) -> np.ndarray:
    """All frames of a moving scene: uint8 (FRAMES, size, size, 3)."""
    poses, drawn = [tuple(pose) for pose in moving.path.tolist()], {}
    turns = moving.path[:, 3].any()  # then all are drawn in the same way, or the first would be crisper
    for x, y, scale, angle in set(poses):
        scene = replace(moving.scene, x=x, y=y, size=scale)
        drawn[x, y, scale, angle] = turned(scene, angle, size) if turns else render(scene, size)
    return np.stack([np.asarray(drawn[pose]) for pose in poses])


def turned(scene: Scene, angle: float, size: int) -> Image.Image:
    """The scene, turned clockwise about its middle."""
    ground, side = tuple(paints()["backgrounds"][scene.background]), 3 * size
    left, top = (0.5 + scene.x) * side, (0.5 + scene.y) * side
    large = _large(replace(scene, x=0.0, y=0.0), side)
    # Point p of the frame shows  middle + R(-angle) (p - middle - (x, y))  of the picture
    cos, sin = math.cos(angle), math.sin(angle)
    look = cos, sin, side / 2 - cos * left - sin * top, -sin, cos, side / 2 + sin * left - cos * top
    bicubic = Image.Resampling.BICUBIC
    return large.transform(large.size, Image.Transform.AFFINE, look, bicubic, fillcolor=ground).reduce(3)


def real_videos(scenes: list[MovingScene]) -> Tensor:
    """All frames of moving scenes: (B, F, 3, 64, 64) in [-1, 1]."""
    frames = np.stack([render_video(moving) for moving in progress(scenes, "rendering videos")])
    return to_float(torch.from_numpy(frames).permute(0, 1, 4, 2, 3))


def paths_and_styles(scenes: list[MovingScene]) -> tuple[Tensor, Tensor]:
    """The paths of moving scenes (B, F, POSE), and their styles (B, styles), a one at each scene's own."""
    paths = torch.from_numpy(np.stack([moving.path for moving in scenes])).float()
    layouts = [moving.scene.layout_vector() for moving in scenes]
    return paths, torch.tensor(layouts, dtype=torch.float32, device="cpu")[:, :-3]


def motion_caption(moving: MovingScene, rng: random.Random) -> str:
    """Say what a video shows; in other words at times, and one time in ten without saying how it moves."""
    motion = moving.motion if rng.random() < 0.6 else rng.choice(MOTIONS[moving.motion])
    text = full_caption(moving.scene)
    if rng.random() < 0.1:
        return text
    if rng.random() < 0.4:
        return f"{short_caption(moving.scene)} {motion}"
    return f"{text} {motion}" if rng.random() < 0.7 else f"{text}, {motion}"


def full_motion_caption(moving: MovingScene) -> str:
    """All of it: "a fox wearing a red top hat on a blue background, sliding left"."""
    return f"{full_caption(moving.scene)}, {moving.motion}"
