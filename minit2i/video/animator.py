"""Video from words: first a path and a picture, then all frames at once, which look at each other.

A planner samples where the scene is in each frame (planner.py). The picture denoiser draws the first, which
is warped along that path; then all are drawn anew, and layers along time make them agree (temporal.py).
Papers: Guo et al. 2023 (AnimateDiff), Lian et al. 2024 (a layout for each frame first).

Shapes: B videos, F frames of each, S side of a small frame (64); a path is (F, POSE), see motion.py.
"""

import cmath
import math
import random
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from minit2i.checkpoint import load_beside_denoiser
from minit2i.edit.scene_reader import SceneReader, read_scenes
from minit2i.images import to_pil, to_tensor
from minit2i.samplers import denoiser_of, sample
from minit2i.text2image import TextToImage
from minit2i.tokenizer import Tokenizer, words_of
from minit2i.utils import WEIGHTS, device_of
from minit2i.world.captions import full_caption
from minit2i.world.parse import parse_prompt
from minit2i.world.scenes import FRAMES, POSE

from .motion import MOTIONS, path_from, path_within
from .planner import Planner, from_unit
from .temporal import TemporalLayers, VideoDenoiser
from .warp import moving_noise, warp_along

REDRAWN = 0.3  # how far to noise warped frames go, before they are drawn anew


@torch.no_grad()
def plan(planner: Planner, tokenizer: Tokenizer, prompts: list[str], seed: int = 0) -> Tensor:
    """A motion for each prompt, which begins where the scene is: (B, FRAMES, POSE)."""
    on, schedule = device_of(planner), planner.config.schedule
    denoise = denoiser_of(planner, schedule, planner.read(tokenizer(prompts).to(on)), clamp=False)
    shape = (len(prompts), POSE, 1, FRAMES)
    motions = sample(denoise, shape, schedule, sampler="dpm_solver", steps=20, seed=seed, device=on)
    shift, factor, angle = from_unit(motions).split([2, 1, 1], dim=2)
    return torch.cat([shift - shift[:, :1], factor / factor[:, :1], angle - angle[:, :1]], dim=2)


def starts(motions: Tensor, seed: int) -> Tensor:
    """Paths (B, F, POSE) of these motions from positions where they stay in the frame, by chance."""
    paths = [path_within(motion, random.Random(f"{seed} {i}")) for i, motion in enumerate(motions.numpy())]
    return torch.from_numpy(np.stack(paths)).float()


def layouts_on(paths: Tensor, styles: Tensor) -> tuple[Tensor, Tensor]:
    """What the denoiser is given for each frame: layouts (B F, LAYOUT) and angles (B F,).
    paths: (B, F, POSE); styles: (B, styles), a one at the style of each video."""
    each = styles[:, None].expand(-1, paths.shape[1], -1)
    return torch.cat([each, paths[..., :3]], dim=2).flatten(0, 1), paths[..., 3].flatten()


class Animator:
    """Prompts in, videos out."""

    def __init__(
        self,
        t2i: TextToImage,
        layers: TemporalLayers,
        planner: Planner | None = None,
        reader: SceneReader | None = None,
    ):
        """planner: how words move; reader: besides, for videos that begin with a picture."""
        self.layers, self.planner, self.reader = layers, planner, reader
        moves = {word for motion, others in MOTIONS.items() for word in words_of(" ".join((motion, *others)))}
        self.t2i = t2i.with_denoiser(t2i.denoiser, moves)

    @classmethod
    def load(cls, folder: str | Path = WEIGHTS, t2i: TextToImage | None = None) -> "Animator":
        """From `folder`, and what is not there from the pretrained weights; t2i: that of the folder, if it is
        loaded already. Raises InputError if weights are missing, damaged, or do not belong together."""
        networks = load_beside_denoiser(folder, "video", "planner", "reader")
        return cls(t2i or TextToImage.load(folder), *networks)

    def draw(self, prompts: list[str], seed: int = 0, style: str | None = None, **settings) -> Tensor:
        """One video a prompt: (B, F, 3, S, S) in [-1, 1]. settings: steps, guidance_scale and sampler, see
        `TextToImage.steps`. Raises InputError for another style."""
        styles = self.t2i.layouts(prompts, seed, style)[:, :-3]
        paths = starts(plan(self.planner, self.t2i.tokenizer, prompts, seed), seed)
        return self.on_path(prompts, paths, styles, seed=seed, **settings)

    def draw_from(self, first: Tensor, prompts: list[str], seed: int = 0) -> Tensor:
        """Videos that begin with squares of any size (B, 3, S, S) in [-1, 1]: (B, F, 3, S, S).

        Where the scene is, is read off, and the words say how it moves from there. In all these motions its
        shape stays: so the picture is warped, with what surrounds it, and nothing is drawn anew. Had the
        layers along time to draw it anew, it would be less like a real video (lesson 10).
        """
        self.t2i.warn_of_unknown_words(prompts)
        small = torch.cat([to_tensor(picture, size=self.t2i.size) for picture in to_pil(first)])
        shown = [scene for scene, _ in read_scenes(self.t2i.clip, self.reader, small)]
        in_full = [
            prompt if "animal" in parse_prompt(prompt) else f"{full_caption(scene)}, {prompt}"
            for scene, prompt in zip(shown, prompts, strict=True)
        ]
        motions = plan(self.planner, self.t2i.tokenizer, in_full, seed).numpy()
        paths = [path_from(s.x, s.y, s.size, motion) for s, motion in zip(shown, motions, strict=True)]
        ways = zip(first, torch.from_numpy(np.stack(paths)).float(), strict=True)
        return torch.stack([warp_along(picture, path) for picture, path in ways])

    def on_path(
        self, prompts: list[str], paths: Tensor, styles: Tensor, steps: int = 20, **settings
    ) -> Tensor:
        """The same on paths (B, F, POSE), which begin upright, and in styles (B, styles) that are given.

        The first frame is a picture, warped along the path. Then all frames are drawn anew from REDRAWN of
        the way to noise, which makes what was small and has grown crisp again.
        """
        layout, _ = layouts_on(paths[:, :1], styles)
        first = self.t2i.draw(prompts, layout=layout, steps=steps, **settings)
        along = torch.cat([warp_along(picture, path) for picture, path in zip(first, paths, strict=True)])
        start = self.t2i.encode_pictures(along), round(REDRAWN * self.t2i.schedule.T)
        return self.at_once(prompts, paths, styles, start=start, steps=math.ceil(REDRAWN * steps), **settings)

    def at_once(self, prompts: list[str], paths: Tensor, styles: Tensor, **settings) -> Tensor:
        """All frames at once by the layers along time, from noise, or from `start` as in `SamplerSettings`.
        The noise moves along; what the sampler "ddpm" adds in each step is drawn for each frame alone."""
        frames, (layout, angle) = paths.shape[1], layouts_on(paths, styles)
        net = VideoDenoiser(self.t2i.denoiser, self.layers, range(frames))
        side, generator = net.config.picture_size, torch.Generator().manual_seed(settings.get("seed", 0))
        noise = moving_noise(paths, (net.config.channels, side, side), generator)
        settings |= {"layout": layout, "conditioning": {"angle": angle}, "noise": noise}
        each = [prompt for prompt in prompts for _ in range(frames)]
        return self.t2i.with_denoiser(net).draw(each, **settings).unflatten(0, (-1, frames))

    def apart(self, prompts: list[str], paths: Tensor, styles: Tensor, **settings) -> Tensor:
        """The same by the picture denoiser alone, each frame for itself: to compare with. It cannot turn."""
        frames, (layout, _) = paths.shape[1], layouts_on(paths, styles)
        each = [prompt for prompt in prompts for _ in range(frames)]
        return self.t2i.draw(each, layout=layout, **settings).unflatten(0, (-1, frames))


def path_pictures(paths: Tensor, side: int = 128) -> list[Image.Image]:
    """Each of the paths (B, F, POSE) as a picture: the scene's square in each moment, from light to dark."""
    pictures = []
    for path in paths.tolist():
        picture = Image.new("RGB", (side, side), "white")
        pen = ImageDraw.Draw(picture)
        for f, (x, y, size, angle) in enumerate(path):
            # As complex numbers: to turn is to multiply. The corners begin at the left end of the top
            turned = [cmath.rect(size / 2, angle) * corner for corner in (-1 - 1j, 1 - 1j, 1 + 1j, -1 + 1j)]
            points = [(side * (0.5 + x + z.real), side * (0.5 + y + z.imag)) for z in turned]
            shade = round(220 * (1 - f / max(1, len(path) - 1)))
            pen.line([*points, points[0]], fill=(shade, shade, 255 - (255 - shade) // 3))
            pen.line(points[:2], fill=(255, shade, shade), width=2)  # the top, in red
        pictures.append(picture)
    return pictures
