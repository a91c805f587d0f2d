"""How a denoiser learns to inpaint, and the reader to say what is there: on scenes with a part covered.

Shapes: B scenes, pictures (B, 3, S, S), masks (B, 1, S, S), 1 where covered; S = 64.
"""

import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Generator, Tensor

from minit2i.checkpoint import load_model
from minit2i.clip import CLIP, Text
from minit2i.evaluate.train_judge import soften
from minit2i.images import to_float, to_pil, to_tensor
from minit2i.text2image import TextToImage
from minit2i.train.denoiser import DenoiserRecipe, DenoisingRecipe, conditioned_text, drop_layouts, worded
from minit2i.train.recipe import Recipe
from minit2i.unet import UNet
from minit2i.utils import device_of
from minit2i.viz import grid
from minit2i.world.batches import new_scenes, one_each, python_rng, render_all, scene_pictures
from minit2i.world.captions import full_caption
from minit2i.world.noise_words import meaningless_words
from minit2i.world.render import framed, layout
from minit2i.world.scenes import ATTRIBUTES, COLOURS, EYEWEAR, HEADWEAR, Scene, draw_scene

from .any_size import ROOM, TOWARDS, moved_on, turned
from .compositing import composite, dilate
from .editor import inpaint_conditioning, layout_vectors
from .scene_reader import SceneReader, SceneReaderConfig, read_scenes

S = 64


class InpaintData(NamedTuple):
    """The networks that it grows from and works with, and words to throw into prompts."""

    t2i: TextToImage
    meaningless: list[str]


@dataclass(frozen=True)
class InpaintRecipe(DenoisingRecipe):
    """The denoiser, given the known part as well, trained a little further: what is covered are rectangles,
    strokes, the shapes of what may change, and what lies beyond the edge of a picture."""

    lr: float = 2e-3
    needs: ClassVar[tuple[str, ...]] = ("tokenizer", "clip", "autoencoder", "denoiser")

    def load_data(self, folder: str | Path) -> InpaintData:
        return InpaintData(TextToImage.load(folder), meaningless_words(seen=True))

    def build(self, data: InpaintData) -> UNet:
        denoiser = data.t2i.denoiser
        model = UNet(replace(denoiser.config, inpaint_cond=denoiser.config.channels + 1))
        model.load_state_dict(model.state_dict() | denoiser.state_dict())
        return model

    def new_batch(self, data: InpaintData, generator: Generator) -> tuple[Tensor, Text, dict[str, Tensor]]:
        (t2i, meaningless), rng = data, python_rng(generator)
        x, masks, scenes = covered_scenes(self.batch, generator, device_of(t2i.denoiser))
        layouts = drop_layouts(layout_vectors(scenes), generator).to(x.device)
        captions = worded(scenes, rng, DenoiserRecipe.in_full, meaningless)
        text = conditioned_text(t2i.clip, t2i.tokenizer, captions, rng)
        conditioning = {"layout": layouts, "inpaint_cond": inpaint_conditioning(t2i, x, masks)}
        return t2i.encode_pictures(x), text, conditioning

    @torch.no_grad()
    def preview(self, model: UNet, data: InpaintData) -> Image.Image:
        """Pictures, covered, and drawn anew."""
        t2i, generator = data.t2i.with_denoiser(model), Generator().manual_seed(2)
        x, masks, scenes = covered_scenes(16, generator, device_of(model))
        captions = [full_caption(scene) for scene in scenes]
        conditioning = {"inpaint_cond": inpaint_conditioning(t2i, x, masks)}
        drawn = t2i.draw(captions, layout=layout_vectors(scenes), conditioning=conditioning)
        return grid(to_pil(torch.cat([x, x * (1 - masks), drawn])), columns=16, side=S)


def covered_scenes(count: int, generator: Generator, on: torch.device) -> tuple[Tensor, Tensor, list[Scene]]:
    """Pictures in [-1, 1], masks and what captions speak of: half of them with rectangles and strokes, a
    quarter with the shapes of what may change, a quarter windows beyond an edge."""
    rng, scenes = python_rng(generator), new_scenes(count, generator)
    half, rest = count // 2, count // 2 + count // 4
    pictures, masks = render_all(scenes), random_masks(count, generator)
    others = render_all([changed_scene(scene, rng) for scene in scenes[half:rest]])
    shapes = difference(pictures[half:rest], others, margin=rng.randint(1, 4))
    masks[half:rest] = torch.maximum(shapes, masks[half:rest] * (rng.random() < 0.2))
    parts = [(to_float(pictures[:rest]), masks[:rest], scenes[:rest])]
    parts += [window(scene, rng) for scene in scenes[rest:]]
    pictures, masks, scenes = zip(*parts, strict=True)
    return torch.cat(pictures).to(on), torch.cat(masks).to(on), sum(scenes, [])


def changed_scene(scene: Scene, rng: random.Random) -> Scene:
    """The scene with another hat, another colour of it or other eyewear, the head where it is."""
    other = replace(scene, headwear=rng.choice(HEADWEAR), colour=rng.choice(COLOURS))
    if rng.random() < 0.3:
        other = replace(scene, eyewear=rng.choice(EYEWEAR))
    return framed(other, layout(scene)[0][2:])


def window(scene: Scene, rng: random.Random) -> tuple[Tensor, Tensor, list[Scene]]:
    """A square that looks beyond one side of a scene, at what goes on there: the scene itself, or another
    animal on the same background. What is beyond is covered."""
    side, share = rng.choice(list(TOWARDS)), rng.uniform(0.1, 0.85)
    new, there = round(S * share), moved_on(scene, side, share, anew=False)
    mask = turned(F.pad(torch.zeros(1, 1, S, S - new), (0, new), value=1.0), side)
    if share < ROOM:
        return to_float(render_all([there])), mask, [there]
    other = replace(draw_scene(rng.getrandbits(62), 0), background=scene.background)
    other = moved_on(other, side, share, anew=True)
    known, new = to_float(render_all([there, other])).split(1)
    return composite(known, new, mask), mask, [other]


def random_masks(count: int, generator: Generator) -> Tensor:
    """One to three rectangles, or one to four strokes, on little to most of a picture: (count, 1, S, S)."""
    rng, spots = python_rng(generator), range(-4, S + 4)
    masks = [Image.new("L", (S, S)) for _ in range(count)]
    for brush in map(ImageDraw.Draw, masks):
        if rng.random() < 0.5:
            for _ in range(rng.choice((1, 1, 2, 3))):
                x, y, w, h = rng.choice(spots), rng.choice(spots), rng.randint(6, 48), rng.randint(6, 48)
                brush.rectangle((x - w // 2, y - h // 2, x + w // 2, y + h // 2), fill=255)
            continue
        for _ in range(rng.randint(1, 4)):
            width = rng.randint(3, 16)
            points = [(rng.choice(spots), rng.choice(spots)) for _ in range(rng.randint(2, 5))]
            brush.line(points, fill=255, width=width, joint="curve")
            for x, y in points:
                brush.circle((x, y), width / 2, fill=255)  # round ends
    return (to_tensor(masks, mode="L") > 0).float()


def difference(a: Tensor, b: Tensor, margin: int) -> Tensor:
    """A mask over where two uint8 pictures (B, 3, S, S) differ, and over so many pixels around that."""
    differs = (to_float(a) - to_float(b)).abs().amax(dim=1, keepdim=True) > 0.04
    return dilate(differs.float(), margin)


@dataclass(frozen=True)
class ReaderRecipe(Recipe):
    """The scene reader, on scenes of the training split, softened a little, half of them covered in part."""

    batch: int = 64
    minutes: float = 3
    lr: float = 2e-3
    position: float = 20.0  # how much it counts where the head is
    needs: ClassVar[tuple[str, ...]] = ("clip",)

    def load_data(self, folder: str | Path) -> CLIP:
        return load_model("clip", folder)

    def build(self, data: CLIP) -> SceneReader:
        return SceneReader(SceneReaderConfig(*data.image.position.shape))

    def loss(self, model: SceneReader, data: CLIP, generator: Generator) -> Tensor:
        scenes, on = new_scenes(self.batch, generator), device_of(data)
        x = soften(to_float(render_all(scenes).to(on)), generator)
        covered = random_masks(self.batch, generator).to(on) * (one_each(x, generator) < 0.5)
        with torch.no_grad():
            tokens = data.image.tokens(x * (1 - covered))
        logits, heads = model(tokens)
        right = [[values.index(getattr(s, name)) for s in scenes] for name, values in ATTRIBUTES.items()]
        losses = map(F.cross_entropy, logits, torch.tensor(right).to(on))  # one of each attribute
        return sum(losses) + self.position * F.l1_loss(heads, heads_of(scenes).to(on))

    @torch.no_grad()
    def preview(self, model: SceneReader, data: CLIP) -> Image.Image:
        pictures = to_float(scene_pictures("train", 16, S, seed=2)[0]).to(device_of(data))
        shown = read_scenes(data, model, pictures)
        captions = [f"{s.animal}, {s.colour} {s.headwear}, {s.size:.2f}" for s, _ in shown]
        return grid(to_pil(pictures), captions=captions)


def heads_of(scenes: list[Scene]) -> Tensor:
    """The squares of the heads: left, top and side, (B, 3), as fractions of the frame."""
    return torch.tensor([layout(scene)[0][2:] for scene in scenes], dtype=torch.float32)
