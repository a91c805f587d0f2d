"""How CLIP is trained: on emoji with their names and scenes with prompts; one text may fit many pictures."""

import dataclasses
import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import pyarrow.parquet
import torch
from PIL import Image
from torch import Generator, Tensor

from minit2i import scenes as world
from minit2i.captions import full_caption
from minit2i.clip import CLIP, CLIPConfig, many_right_loss
from minit2i.device import device
from minit2i.files import data_file
from minit2i.pictures import to_float, to_pil
from minit2i.prompts import ANY, meaningless_words, prompt
from minit2i.scenes import Scene, draw_scene, held_out
from minit2i.schedule import Schedule
from minit2i.tokenizer import Tokenizer
from minit2i.viz import score_table
from minit2i.weights import load_tokenizer

from .batches import emoji_pictures, normal_noise, on_backgrounds, one_each, python_rng, render_all
from .recipe import Recipe
from .restyle import CHANGES, restyle

ATTRIBUTES = {  # of a scene -> their values
    "animal": world.ANIMALS,
    "headwear": ("none", *world.HEADWEAR),
    "colour": ("none", *world.COLOURS),
    "eyewear": world.EYEWEAR,
    "background": world.BACKGROUNDS,
    "style": world.STYLES,
}


class ClipData(NamedTuple):
    """Emoji (M, 4, 64, 64) uint8 and what the set says of them; the rows of each concept; groups of concepts
    alike; the tags of each row (M, K) bool, and their columns; the part of scenes that a row draws, or "";
    words that mean nothing."""

    tokenizer: Tokenizer
    emoji: Tensor
    entries: list[dict]
    concepts: list[list[int]]
    alike: list[list[int]]
    tags: np.ndarray
    tag: dict
    part: list[str]
    meaningless: list[str]


@dataclass(frozen=True)
class ClipRecipe(Recipe):
    """CLIP on emoji of the given styles (None: all) and scenes; a third of a batch are scenes."""

    batch: int = 192
    minutes: float = 60
    lr: float = 4e-3
    weight_decay: float = 0.1
    styles: tuple[str, ...] | None = None
    changes: tuple[str, ...] = ("palette", *CHANGES)
    turn: float = 12.0
    jitter: float = 0.2
    together: int = 2
    many_right: bool = True
    config: CLIPConfig = CLIPConfig()
    needs: ClassVar[tuple[str, ...]] = ("tokenizer",)

    def load_data(self, folder: str | Path) -> ClipData:
        emoji, entries = emoji_pictures(64, self.styles)
        rows = defaultdict(list)
        for i, entry in enumerate(entries):
            rows[entry["codepoint"]].append(i)
        concepts = list(rows.values())
        alike = groups_by([entries[rows[0]]["keywords"] for rows in concepts])
        tag: dict = {}
        for entry in entries:
            for key in (("name", entry["codepoint"]), *entry["keywords"]):
                tag.setdefault(key, len(tag))
        tags = np.zeros((len(entries), len(tag)), bool)
        for i, entry in enumerate(entries):
            tags[i, [tag[("name", entry["codepoint"])], *(tag[word] for word in entry["keywords"])]] = True
        parts = pyarrow.parquet.read_table(
            data_file("scenes", "parts.parquet"), columns=["name", "codepoint"]
        )
        drawn = {part["codepoint"]: part["name"] for part in parts.to_pylist()}
        part = [drawn.get(entry["codepoint"], "") for entry in entries]
        tokenizer = load_tokenizer(folder)
        return ClipData(
            tokenizer,
            emoji.to(device()),
            entries,
            concepts,
            alike,
            tags,
            tag,
            part,
            meaningless_words(seen=True),
        )

    def build(self, data: ClipData) -> CLIP:
        sizes = {"vocabulary": data.tokenizer.vocabulary, "context": data.tokenizer.context}
        return CLIP(dataclasses.replace(self.config, **sizes))

    def loss(self, model: CLIP, data: ClipData, generator: Generator) -> Tensor:
        rng, on = python_rng(generator), data.emoji.device
        asked = alike_scenes(self.batch // 3, rng)
        rows = self.emoji_rows(data, self.batch - len(asked), rng)

        x = to_float(render_all(asked).to(on))
        # A quarter of the scenes is noised, up to half of the way, so that half-denoised ones can be read.
        schedule = Schedule.cosine()
        t = (schedule.random_t(len(x), generator) // 2).to(on)
        noised = one_each(x, generator) < 1 / 4
        eps = normal_noise(*x.shape, generator=generator, device=on)
        x = torch.where(noised, schedule.add_noise(x, eps, t), x)
        emoji = on_backgrounds(data.emoji[torch.tensor(rows, device=on)], generator, self.jitter, self.turn)
        x = torch.cat([x, restyle(emoji, generator, self.changes)])

        prompts = [prompt(scene, rng, data.meaningless) for scene in asked]
        captions = [emoji_caption(data.entries[i], rng) for i in rows]
        # Texts on emoji are short: by themselves they need little padding.
        texts = [p.text for p in prompts], [text for text, _ in captions]
        embedded = torch.cat([model.embed_texts(data.tokenizer(part).to(on)) for part in texts])
        scores = model.scale * model.embed_pictures(x) @ embedded.T

        n = len(asked)
        right, wrong = np.zeros(scores.shape, bool), np.ones(scores.shape, bool)
        if self.many_right:
            right[:n, :n] = fits(asked, [p.says for p in prompts])
            keys = np.zeros((len(captions), len(data.tag)), np.float32)
            for j, (_, needed) in enumerate(captions):
                keys[j, [data.tag[key] for key in needed]] = 1
            # A text fits if no tag that it needs is missing.
            right[n:, n:] = (~data.tags[rows]).astype(np.float32) @ keys.T == 0
            # Whether a cat in a hat is "a cat face" is left open.
            parts = [(scene.animal, scene.headwear, scene.eyewear) for scene in asked]
            drawn = [data.part[row] for row in rows]
            open_ = np.array([[name in part for name in drawn] for part in parts])
            wrong[:n, n:], wrong[n:, :n] = ~open_, ~open_.T
        else:
            right[np.arange(len(x)), np.arange(len(x))] = True
        wrong &= ~right
        return many_right_loss(scores, torch.from_numpy(right).to(on), torch.from_numpy(wrong).to(on))

    def emoji_rows(self, data: ClipData, count: int, rng: random.Random) -> list[int]:
        """About `count` rows of the emoji: each concept in `together` styles, half of the concepts alike."""
        together: list[int] = []
        alone: list[int] = []  # last, so that the others lie in pairs
        spare = 8  # for concepts that are drawn in one style only
        for concept in half_alike(len(data.concepts), data.alike, count // self.together + spare, rng):
            some = rng.sample(data.concepts[concept], min(self.together, len(data.concepts[concept])))
            if len(together) + len(alone) + len(some) <= count:
                (together if len(some) == self.together else alone).extend(some)
        return together + alone

    @torch.no_grad()
    def sheet(self, model: CLIP, data: ClipData) -> Image.Image:
        scenes = [draw_scene(2, index, "train") for index in range(8)]
        x, prompts = (
            to_float(render_all(scenes).to(data.emoji.device)),
            [full_caption(scene) for scene in scenes],
        )
        return score_table(to_pil(x), prompts, model(x, data.tokenizer(prompts).to(x.device)).cpu())


# ---- Scenes ----


def alike_scenes(count: int, rng: random.Random, family: int = 8) -> list[Scene]:
    """`count` scenes of the training split, in families that differ in one or two attributes.

    Among random scenes the animal and a colour tell most apart, so a CLIP never needs to look at the kind of
    hat, and does not. Within a family it has to.
    """
    chosen: list[Scene] = []
    while len(chosen) < count:
        first = draw_scene(rng.randrange(2**32), 0, "train")
        chosen.append(first)
        wanted = min(count, len(chosen) + family - 1)
        while len(chosen) < wanted:
            other = draw_scene(rng.randrange(2**32), 0, "train")
            names = rng.sample(
                ("animal", "headwear", "colour", "eyewear", "background"), rng.choice((1, 1, 1, 2))
            )
            changes = {name: getattr(other, name) for name in ("style", "x", "y", "size")}
            for name in names:
                changes[name] = rng.choice(
                    [value for value in ATTRIBUTES[name] if value != getattr(first, name)]
                )
            scene = dataclasses.replace(first, **changes)
            if scene.headwear == "none":
                scene = dataclasses.replace(scene, colour="none")
            elif scene.colour == "none":
                scene = dataclasses.replace(scene, colour=rng.choice(world.COLOURS))
            if not held_out(scene.animal, scene.headwear, scene.colour):
                chosen.append(scene)
    return chosen


def fits(scenes: list[Scene], says: list[dict[str, str]]) -> np.ndarray:
    """Whether what each text says is true of each scene: bool (scenes, texts)."""
    true = np.ones((len(scenes), len(says)), bool)
    for name, values in ATTRIBUTES.items():
        shown = np.array([values.index(getattr(scene, name)) for scene in scenes])
        said = np.array([{None: -1, ANY: -2}.get(s.get(name), 0) or values.index(s[name]) for s in says])
        true &= (said == -1) | (said == shown[:, None]) | (said == -2) & (shown[:, None] != 0)
    return true


# ---- Emoji ----


def emoji_caption(entry: dict, rng: random.Random) -> tuple[str, list]:
    """Say what an emoji shows, by its name or by keywords; and the tags that a picture needs to fit."""
    if not entry["keywords"] or rng.random() < 0.5:
        form = rng.choice(
            (
                "{}",
                "{}",
                "{}",
                "{} emoji",
                "a picture of {}",
                "an image of {}",
                "please draw {}",
                "{}!",
                "cute {}",
            )
        )
        return form.format(entry["name"]), [("name", entry["codepoint"])]
    chosen = rng.sample(entry["keywords"], min(len(entry["keywords"]), rng.choice((1, 1, 2))))
    return rng.choice(("{}", "{}", "something {}", "a picture of {}", "show me {}")).format(
        " ".join(chosen)
    ), chosen


def groups_by(keys: list[list]) -> list[list[int]]:
    """Groups of at least 8 entries that share a key; keys[i] lists those of entry i. Returns indices."""
    groups = defaultdict(list)
    for i, of_entry in enumerate(keys):
        for key in dict.fromkeys(of_entry):
            groups[key].append(i)
    return [group for group in groups.values() if len(group) >= 8]


def half_alike(n: int, groups: list[list[int]], count: int, rng: random.Random) -> list[int]:
    """`count` different indices below n: about half of them in groups of 8 alike, the rest at random."""
    chosen: dict[int, None] = {}  # a dict and not a set, since it keeps its order
    for _ in range(count // 16):
        chosen |= dict.fromkeys(rng.sample(rng.choice(groups), 8))
    while len(chosen) < min(count, n):
        chosen[rng.randrange(n)] = None
    return list(chosen)
