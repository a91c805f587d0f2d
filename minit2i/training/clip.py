"""How CLIP is trained: on emoji with their names and scenes with captions, half of each batch alike."""

import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
from PIL import Image
from torch import Generator, Tensor

from minit2i.captions import caption, full_caption
from minit2i.clip import CLIP, CLIPConfig, contrastive_loss
from minit2i.device import device
from minit2i.pictures import to_float, to_pil
from minit2i.scenes import STYLES, Scene
from minit2i.schedule import Schedule
from minit2i.tokenizer import Tokenizer
from minit2i.viz import score_table
from minit2i.weights import load_tokenizer

from .batches import emoji_pictures, normal_noise, on_backgrounds, one_each, python_rng, scene_pictures
from .recipe import Recipe


class ClipData(NamedTuple):
    """Scenes (N, 3, 64, 64) and emoji (M, 4, 64, 64), uint8, what is in them, and which of them are alike."""

    tokenizer: Tokenizer
    pictures: Tensor
    scenes: list[Scene]
    alike_scenes: list[list[int]]
    emoji: Tensor
    entries: list[dict]
    alike_emoji: list[list[int]]


@dataclass(frozen=True)
class ClipRecipe(Recipe):
    """CLIP on emoji and training scenes of the given styles; a third of a batch are scenes."""

    batch: int = 192
    minutes: float = 40
    lr: float = 4e-3
    weight_decay: float = 0.1
    styles: tuple[str, ...] = STYLES
    scenes: int = 40_000
    needs: ClassVar[tuple[str, ...]] = ("tokenizer",)

    def load_data(self, folder: str | Path) -> ClipData:
        pictures, scenes = scene_pictures("train", self.scenes, 64, seed=1, styles=self.styles)
        emoji, entries = emoji_pictures(64, self.styles)
        alike_scenes = groups_by([scene_keys(scene) for scene in scenes])
        alike_emoji = groups_by([entry["keywords"] for entry in entries])
        pictures, emoji = pictures.to(device()), emoji.to(device())
        return ClipData(load_tokenizer(folder), pictures, scenes, alike_scenes, emoji, entries, alike_emoji)

    def build(self, data: ClipData) -> CLIP:
        return CLIP(CLIPConfig(vocabulary=data.tokenizer.vocabulary, context=data.tokenizer.context))

    def loss(self, model: CLIP, data: ClipData, generator: Generator) -> Tensor:
        rng, on = python_rng(generator), data.pictures.device
        some = half_alike(len(data.scenes), data.alike_scenes, self.batch // 3, rng)
        others = half_alike(len(data.entries), data.alike_emoji, self.batch - len(some), rng)
        emoji = on_backgrounds(data.emoji[torch.tensor(others, device=on)], generator)
        x = torch.cat([to_float(data.pictures[torch.tensor(some, device=on)]), emoji])
        texts = [caption(data.scenes[i], rng) for i in some]
        texts += [emoji_caption(data.entries[i], rng) for i in others]
        # A quarter of the pictures is noised, up to half of the way, so that half-denoised ones can be read
        # too.
        schedule = Schedule.cosine()
        t = (schedule.random_t(len(x), generator) // 2).to(on)
        noised = one_each(x, generator) < 1 / 4
        eps = normal_noise(*x.shape, generator=generator, device=on)
        x = torch.where(noised, schedule.add_noise(x, eps, t), x)
        return contrastive_loss(model(x, data.tokenizer(texts).to(on)))

    @torch.no_grad()
    def sheet(self, model: CLIP, data: ClipData) -> Image.Image:
        x, prompts = to_float(data.pictures[:8]), [full_caption(scene) for scene in data.scenes[:8]]
        return score_table(to_pil(x), prompts, model(x, data.tokenizer(prompts).to(x.device)).cpu())


def emoji_caption(entry: dict, rng: random.Random) -> str:
    """One way to say what an emoji shows: its name, or one or two of its keywords."""
    if not entry["keywords"] or rng.random() < 0.5:
        form = rng.choice(("{}", "{}", "{} emoji", "a picture of {}", "an image of {}"))
        return form.format(entry["name"])
    chosen = rng.sample(entry["keywords"], min(len(entry["keywords"]), rng.choice((1, 1, 2))))
    return rng.choice(("{}", "something {}", "a picture of {}")).format(" ".join(chosen))


def groups_by(keys: list[list]) -> list[list[int]]:
    """Groups of at least 16 entries that share a key; keys[i] lists those of entry i. Returns their indices.

    Among random scenes the animal and a colour tell most apart, so a CLIP never needs to look at the kind of
    hat, and does not. Among scenes of one animal and one colour it has to.
    """
    groups = defaultdict(list)
    for i, of_entry in enumerate(keys):
        for key in dict.fromkeys(of_entry):
            groups[key].append(i)
    return [group for group in groups.values() if len(group) >= 16]


def scene_keys(scene: Scene) -> list[tuple]:
    """The pairs of attributes by which scenes are alike."""
    pairs = (("animal", "colour"), ("animal", "headwear"), ("headwear", "colour"), ("animal", "background"))
    return [(pair, *(getattr(scene, name) for name in pair)) for pair in pairs]


def half_alike(n: int, groups: list[list[int]], count: int, rng: random.Random) -> list[int]:
    """`count` different indices below n: about half of them in groups of 16 alike, the rest at random.

    None occurs twice: the loss would take a repeat for a wrong answer to itself.
    """
    chosen: dict[int, None] = {}  # a dict and not a set, since it keeps its order
    for _ in range(count // 32):
        chosen |= dict.fromkeys(rng.sample(rng.choice(groups), 16))
    while len(chosen) < min(count, n):
        chosen[rng.randrange(n)] = None
    return list(chosen)
