"""How the denoiser learns to go on from what is known: it is shown that, and trained a little further."""

import random
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
from PIL import Image
from torch import Generator, Tensor

from minit2i.images import to_float, to_pil
from minit2i.text2image import TextToImage
from minit2i.train.denoiser import DenoiserRecipe, worded
from minit2i.train.recipe import Recipe
from minit2i.unet import UNet, UNetConfig, denoising_loss
from minit2i.utils import device_of
from minit2i.viz import grid
from minit2i.world.batches import drop_captions, new_scenes, one_each, python_rng, render_all
from minit2i.world.captions import full_caption
from minit2i.world.noise_words import meaningless_words
from minit2i.world.render import framed
from minit2i.world.render import layout as placed
from minit2i.world.scenes import COLOURS, EYEWEAR, HEADWEAR, Scene, draw_scene

from .any_size import ROOM, TOWARDS, amid_the_new, left_behind
from .compositing import composite
from .editor import inpaint_conditioning, layouts
from .masks import difference, random_masks


class InpaintData(NamedTuple):
    """The networks that it grows from and works with, and words to throw into prompts."""

    t2i: TextToImage
    meaningless: list[str]


class Covered(NamedTuple):
    """Pictures (B, 3, 64, 64) in [-1, 1], masks (B, 1, 64, 64), and the scenes that captions speak of."""

    pictures: Tensor
    masks: Tensor
    scenes: list[Scene]


@dataclass(frozen=True)
class InpaintRecipe(Recipe):
    """The denoiser, with eyes for what is known: of rectangles, strokes, the shapes of what may change, and
    windows that look beyond the edge of a picture."""

    batch: int = 32
    minutes: float = 20
    lr: float = 2e-3
    needs: ClassVar[tuple[str, ...]] = ("tokenizer", "clip", "autoencoder", "denoiser")

    def load_data(self, folder: str | Path) -> InpaintData:
        return InpaintData(TextToImage.load(folder), meaningless_words(seen=True))

    def build(self, data: InpaintData) -> UNet:
        config: UNetConfig = data.t2i.denoiser.config
        model = UNet(UNetConfig(**asdict(config) | {"inpaint_cond": config.channels + 1}))
        model.load_state_dict(model.state_dict() | data.t2i.denoiser.state_dict())
        return model

    def loss(self, model: UNet, data: InpaintData, generator: Generator) -> Tensor:
        rng, t2i, on = python_rng(generator), data.t2i, device_of(model)
        with torch.no_grad():
            pictures, masks, scenes = new_batch(self.batch, generator)
            pictures, masks = pictures.to(on), masks.to(on)
            captions = worded(scenes, rng, DenoiserRecipe.in_full, data.meaningless)
            layout = layouts(scenes)
            left_out = one_each(layout, generator)[..., 0, 0] < DenoiserRecipe.left_out  # (B, 1)
            conditioning = {
                "layout": layout.masked_fill(left_out, 0.0).to(on),
                "inpaint_cond": inpaint_conditioning(t2i, pictures, masks),
            }
            text = t2i.encode(drop_captions(captions, rng))
            x_0 = t2i.encode_pictures(pictures)
        settings = DenoiserRecipe.weighting, DenoiserRecipe.logit_normal
        return denoising_loss(model, t2i.schedule, x_0, text, generator, *settings, **conditioning)

    @torch.no_grad()
    def preview(self, model: UNet, data: InpaintData) -> Image.Image:
        """Pictures, covered, and drawn anew."""
        t2i = data.t2i
        x, masks, scenes = new_batch(16, Generator().manual_seed(2))
        x, masks = x.to(device_of(model)), masks.to(device_of(model))
        settings = {
            "layout": layouts(scenes),
            "conditioning": {"inpaint_cond": inpaint_conditioning(t2i, x, masks)},
        }
        drawn = t2i.with_denoiser(model).draw([full_caption(scene) for scene in scenes], **settings)
        return grid(to_pil(torch.cat([x, x * (1 - masks), drawn])), columns=16, side=64)


def new_batch(count: int, generator: Generator) -> Covered:
    """Half with rectangles and strokes, a quarter with the shapes of what may change, a quarter windows."""
    rng, scenes = python_rng(generator), new_scenes(count, generator)
    half, quarter = count // 2, count // 4
    pictures = render_all(scenes)
    masks = random_masks(count, generator)
    changed = scenes[half : half + quarter]
    others = render_all([changed_scene(scene, rng) for scene in changed])
    shapes = difference(pictures[half : half + quarter], others, wrap_denoiser=rng.randint(1, 4))
    masks[half : half + quarter] = torch.maximum(shapes, masks[half : half + quarter] * (rng.random() < 0.2))
    windows = [window(scene, rng) for scene in scenes[half + quarter :]]
    pictures, scenes = to_float(pictures), scenes[: half + quarter] + [w.scenes[0] for w in windows]
    pictures = torch.cat([pictures[: half + quarter], *(w.pictures for w in windows)])
    return Covered(pictures, torch.cat([masks[: half + quarter], *(w.masks for w in windows)]), scenes)


def changed_scene(scene: Scene, rng: random.Random) -> Scene:
    """The scene with another hat, another colour of it or other eyewear, the head where it is."""
    head = placed(scene)[0][2:]
    other = replace(scene, headwear=rng.choice(HEADWEAR), colour=rng.choice(COLOURS))
    if rng.random() < 0.3:
        other = replace(scene, eyewear=rng.choice(EYEWEAR))
    return framed(other, head)


def window(scene: Scene, rng: random.Random) -> Covered:
    """A square that looks beyond one side of a scene, at what goes on there: the scene itself, or another
    animal on the same background. What is beyond is covered."""
    side, share = rng.choice(list(TOWARDS)), rng.uniform(0.1, 0.85)
    mask, there = beyond(side, round(64 * share)), left_behind(scene, side, share)
    if share < ROOM:
        return Covered(to_float(render_all([there])), mask, [there])
    other = replace(draw_scene(rng.getrandbits(62), 0), background=scene.background)
    other = amid_the_new(other, side, share)
    known, new = to_float(render_all([there, other])).split(1)
    return Covered(composite(known, new, mask), mask, [other])


def beyond(side: str, new: int) -> Tensor:
    """A mask (1, 1, 64, 64) over so many pixels at one side."""
    mask = torch.zeros(1, 1, 64, 64)
    places = slice(0, new) if side in ("left", "up") else slice(64 - new, 64)
    mask[(..., places) if side in ("left", "right") else (..., places, slice(None))] = 1
    return mask
