"""How videos are learnt: the planner which path words ask for, the layers along time how frames agree."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor

from minit2i.checkpoint import load_tokenizer
from minit2i.images import to_pil
from minit2i.text2image import TextToImage
from minit2i.tokenizer import Tokenizer
from minit2i.train.denoiser import DenoiserRecipe
from minit2i.train.recipe import Recipe
from minit2i.unet import denoising_loss
from minit2i.utils import device_of
from minit2i.viz import grid
from minit2i.world.batches import drop_captions, python_rng
from minit2i.world.scenes import FRAMES

from . import motion
from .animator import Animator, layouts_on, path_pictures, plan, starts
from .motion import new_moving_scenes
from .planner import Planner, PlannerConfig, to_unit
from .temporal import TemporalConfig, TemporalLayers, VideoDenoiser
from .warp import moving_noise


@dataclass(frozen=True)
class PlannerRecipe(Recipe):
    """How scenes move, and what people say of it."""

    batch: int = 128
    minutes: float = 3
    lr: float = 3e-3
    needs: ClassVar[tuple[str, ...]] = ("tokenizer",)

    def load_data(self, folder: str | Path) -> Tokenizer:
        return load_tokenizer(folder)

    def build(self, data: Tokenizer) -> Planner:
        return Planner(PlannerConfig(vocabulary=data.vocabulary, context=data.context))

    def loss(self, model: Planner, data: Tokenizer, generator: Generator) -> Tensor:
        rng, on = python_rng(generator), device_of(model)
        scenes = new_moving_scenes(self.batch, generator)
        captions = drop_captions([motion.motion_caption(moving, rng) for moving in scenes], rng)
        motions = np.stack([motion.motion_like(moving.motion, rng.random()) for moving in scenes])
        text, x_0 = model.read(data(captions).to(on)), to_unit(torch.from_numpy(motions).float()).to(on)
        return denoising_loss(model, model.config.schedule, x_0, text, generator, "none")

    @torch.no_grad()
    def preview(self, model: Planner, data: Tokenizer) -> Image.Image:
        """Paths from words, as a square that moves."""
        captions = [f"a cat wearing a blue top hat, {name}" for name in motion.MOTIONS]
        paths = starts(plan(model, data, captions), seed=0)
        return grid(path_pictures(paths), columns=4, captions=captions)


@dataclass(frozen=True)
class VideoRecipe(Recipe):
    """The layers along time alone learn; the denoiser between them is frozen.

    batch: videos a step; frames: how many of each. Many videos in part teach more than few whole ones, since
    frames are much alike. spinning: how many spin, beside those that happen to: the denoiser has never seen
    a head upside down.
    """

    batch: int = 8
    minutes: float = 72
    lr: float = 2e-3
    frames: int = 8
    spinning: int = 3
    needs: ClassVar[tuple[str, ...]] = ("tokenizer", "clip", "autoencoder", "denoiser")

    def load_data(self, folder: str | Path) -> TextToImage:
        t2i = TextToImage.load(folder)
        t2i.denoiser.requires_grad_(False)
        return t2i

    def build(self, data: TextToImage) -> TemporalLayers:
        return TemporalLayers(TemporalConfig.of(data.denoiser.config))

    def loss(self, model: TemporalLayers, data: TextToImage, generator: Generator) -> Tensor:
        rng, on = python_rng(generator), device_of(model)
        scenes = new_moving_scenes(self.batch, generator, self.spinning)
        moments = sorted(rng.sample(range(FRAMES), self.frames))
        captions = drop_captions([motion.motion_caption(moving, rng) for moving in scenes], rng)
        scenes = [moving._replace(path=moving.path[moments]) for moving in scenes]
        x_0 = data.encode_pictures(motion.real_videos(scenes).flatten(0, 1).to(on))
        text = data.encode(captions).repeat_interleave(self.frames)
        paths, styles = motion.paths_and_styles(scenes)
        layout, angle = (part.to(on) for part in layouts_on(paths, styles))
        net, schedule = VideoDenoiser(data.denoiser, model, moments), data.schedule
        t = schedule.random_t(self.batch, generator, DenoiserRecipe.logit_normal)  # one for each video
        noise = t.repeat_interleave(self.frames), moving_noise(paths, x_0.shape[1:], generator)
        settings = {"noise": noise, "layout": layout, "angle": angle}
        return denoising_loss(net, schedule, x_0, text, generator, DenoiserRecipe.weighting, **settings)

    @torch.no_grad()
    def preview(self, model: TemporalLayers, data: TextToImage) -> Image.Image:
        """Videos of the training split, true ones above drawn ones on the same path."""
        scenes = [motion.draw_moving_scene(3, i) for i in (0, 1, 5)]
        prompts = [motion.full_motion_caption(moving) for moving in scenes]
        drawn = Animator(data, model).at_once(prompts, *motion.paths_and_styles(scenes), steps=8)
        both = torch.stack([motion.real_videos(scenes), drawn.cpu()], dim=1)  # (3, 2, F, 3, 64, 64)
        return grid(to_pil(both[:, :, ::2].flatten(0, 2)), columns=FRAMES // 2, side=64)
