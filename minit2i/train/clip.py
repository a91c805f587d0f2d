"""How CLIP is trained: on emoji with their names and scenes with prompts; one text may fit many pictures."""

import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor

from minit2i.checkpoint import load_tokenizer
from minit2i.clip import CLIP, CLIPConfig, many_right_loss
from minit2i.images import to_float, to_pil
from minit2i.schedule import Schedule
from minit2i.tokenizer import Tokenizer
from minit2i.utils import device, device_of
from minit2i.viz import score_table
from minit2i.world import batches
from minit2i.world.captions import full_caption, prompt
from minit2i.world.noise_words import meaningless_words
from minit2i.world.scenes import ATTRIBUTES, COLOURS, Scene, draw_scene, held_out

from .answers import Emoji, answers, groups_by
from .recipe import Recipe
from .restyle import ALL_CHANGES, restyle

GROUP = 8  # of scenes, or of concepts, that are alike


class ClipData(NamedTuple):
    """Emoji as pictures and as what is known of them, and words to throw into prompts."""

    tokenizer: Tokenizer
    pictures: Tensor  # (M, 4, 64, 64) uint8
    emoji: Emoji
    alike: list[list[int]]  # groups of concepts that share a keyword
    meaningless: list[str]


@dataclass(frozen=True)
class ClipRecipe(Recipe):
    """CLIP on emoji of the given styles (None: all) and scenes; a third of a batch are scenes.

    changes, turn, jitter: how drawings are changed, see `restyle` and `on_backgrounds`. together: in how many
    styles a concept comes into a batch. many_right: whether a picture may fit more than its own text.
    """

    batch: int = 192
    minutes: float = 60
    lr: float = 4e-3
    weight_decay: float = 0.1
    styles: tuple[str, ...] | None = None
    changes: tuple[str, ...] = ALL_CHANGES
    turn: float = 12.0
    jitter: float = 0.2
    together: int = 2
    many_right: bool = True
    needs: ClassVar[tuple[str, ...]] = ("tokenizer",)

    def load_data(self, folder: str | Path) -> ClipData:
        pictures, entries = batches.emoji_pictures(64, self.styles)
        emoji, words = Emoji(entries), meaningless_words(seen=True)
        alike = groups_by([entries[rows[0]]["keywords"] for rows in emoji.concepts], GROUP)
        return ClipData(load_tokenizer(folder), pictures.to(device()), emoji, alike, words)

    def build(self, data: ClipData) -> CLIP:
        return CLIP(CLIPConfig(vocabulary=data.tokenizer.vocabulary, context=data.tokenizer.context))

    def loss(self, model: CLIP, data: ClipData, generator: Generator) -> Tensor:
        rng, on = batches.python_rng(generator), data.pictures.device
        asked = alike_scenes(self.batch // 3, rng)
        rows = self.emoji_rows(data, self.batch - len(asked), rng)

        x = to_float(batches.render_all(asked).to(on))
        # A quarter of the scenes is noised, up to half of the way, so that half-denoised ones can be read.
        schedule = Schedule.cosine()
        t = (schedule.random_t(len(x), generator) // 2).to(on)
        noised = batches.one_each(x, generator) < 1 / 4
        eps = batches.normal_noise(*x.shape, generator=generator, device=on)
        x = torch.where(noised, schedule.add_noise(x, eps, t), x)
        drawings = data.pictures[torch.tensor(rows, device=on)]
        emoji = batches.on_backgrounds(drawings, generator, self.jitter, self.turn)
        x = torch.cat([x, restyle(emoji, generator, self.changes)])

        prompts = [prompt(scene, rng, data.meaningless) for scene in asked]
        captions, needed = zip(*(data.emoji.caption(row, rng) for row in rows), strict=True)
        texts = [p.text for p in prompts] + list(captions)
        scores = model.scale * model.embed_pictures(x) @ embed_texts(model, data.tokenizer, texts).T

        right = np.eye(len(x), dtype=bool)
        wrong = ~right
        if self.many_right:
            right, wrong = answers(data.emoji, asked, prompts, rows, needed)
        return many_right_loss(scores, torch.from_numpy(right).to(on), torch.from_numpy(wrong).to(on))

    def emoji_rows(self, data: ClipData, count: int, rng: random.Random) -> list[int]:
        """About `count` rows of the emoji: each concept in `together` styles, half of the concepts alike."""
        together: list[int] = []
        alone: list[int] = []  # last, so that the others lie in pairs
        spare = 8  # for concepts that are drawn in one style only
        concepts = data.emoji.concepts
        for i in half_alike(len(concepts), data.alike, count // self.together + spare, rng):
            some = rng.sample(concepts[i], min(self.together, len(concepts[i])))
            if len(together) + len(alone) + len(some) <= count:
                (together if len(some) == self.together else alone).extend(some)
        return together + alone

    @torch.no_grad()
    def preview(self, model: CLIP, data: ClipData) -> Image.Image:
        scenes = [draw_scene(2, index, "train") for index in range(8)]
        x = to_float(batches.render_all(scenes).to(data.pictures.device))
        prompts = [full_caption(scene) for scene in scenes]
        return score_table(to_pil(x), prompts, model(x, data.tokenizer(prompts).to(x.device)).cpu())


def alike_scenes(count: int, rng: random.Random) -> list[Scene]:
    """`count` scenes of the training split, in families: like the first but for one or two attributes, the
    style and the place.

    Among random scenes the animal and a colour tell most apart, so a CLIP never needs to look at the kind of
    hat, and does not. Within a family it has to.
    """
    chosen: list[Scene] = []
    while len(chosen) < count:
        other = draw_scene(rng.randrange(2**32), 0, "train")
        if len(chosen) % GROUP == 0:
            first = other
            chosen.append(first)
            continue
        scene = replace(first, style=other.style, x=other.x, y=other.y, size=other.size)
        names = ["animal", "headwear", "eyewear", "background"]
        names += ["colour"] if first.headwear != "none" else []
        for name in rng.sample(names, rng.choice((1, 1, 1, 2))):
            values = COLOURS if name == "colour" else ATTRIBUTES[name]
            value = rng.choice([value for value in values if value != getattr(first, name)])
            scene = replace(scene, **{name: value})
        if scene.headwear == "none" or scene.colour == "none":  # a hat has a colour, and no hat has none
            scene = replace(scene, colour="none" if scene.headwear == "none" else rng.choice(COLOURS))
        if not held_out(scene.animal, scene.headwear, scene.colour):
            chosen.append(scene)
    return chosen


def half_alike(n: int, groups: list[list[int]], count: int, rng: random.Random) -> list[int]:
    """`count` different indices below n: about half of them in groups alike, the rest at random."""
    chosen: dict[int, None] = {}  # a dict and not a set, since it keeps its order
    for _ in range(count // (2 * GROUP)):
        chosen |= dict.fromkeys(rng.sample(rng.choice(groups), GROUP))
    while len(chosen) < min(count, n):
        chosen[rng.randrange(n)] = None
    return list(chosen)


def embed_texts(model: CLIP, tokenizer: Tokenizer, texts: list[str], size: int = 24) -> Tensor:
    """Texts -> (N, E), `size` at a time, the shortest first: padding costs as much as words do."""
    order = sorted(range(len(texts)), key=lambda i: len(tokenizer.encode(texts[i])))
    parts = [order[i : i + size] for i in range(0, len(order), size)]
    on = device_of(model)
    embedded = [model.embed_texts(tokenizer([texts[i] for i in part]).to(on)) for part in parts]
    return torch.cat(embedded)[torch.tensor(order).argsort().to(on)]
