"""How CLIP is trained: on emoji with their names and scenes with prompts; one text may fit many pictures.

A batch holds many scenes in hats and a cat in seven styles, so a text fits more pictures than its own. A loss
that took these for wrong would teach falsehoods: `answers` says what is right, what is wrong, and neither.
"""

import random
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor

from minit2i.checkpoint import load_tokenizer
from minit2i.clip import CLIP, CLIPConfig
from minit2i.images import to_float, to_pil
from minit2i.schedule import Schedule
from minit2i.tokenizer import Tokenizer, words_of
from minit2i.utils import data_file, device, device_of, need
from minit2i.viz import score_table
from minit2i.world import batches
from minit2i.world.captions import ANY, Prompt, full_caption, prompt
from minit2i.world.noise_words import meaningless_words
from minit2i.world.scenes import ATTRIBUTES, COLOURS, Scene, draw_scene, held_out

from .recipe import Recipe
from .restyle import ALL_CHANGES, restyle

GROUP = 8  # of scenes, or of concepts, that are alike
Tag = str | tuple[str, str]  # what may be true of an emoji: a keyword, or ("name", codepoint)
NAMED = ["{}"] * 3 + ["{} emoji", "a picture of {}", "an image of {}", "please draw {}", "{}!", "cute {}"]
DESCRIBED = ("{}", "{}", "something {}", "a picture of {}", "show me {}")


class ClipData(NamedTuple):
    """Emoji as pictures (M, 4, 64, 64) uint8 and as what is known of them; words to throw into prompts."""

    tokenizer: Tokenizer
    pictures: Tensor
    emoji: "Emoji"
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
        words = meaningless_words(seen=True)
        return ClipData(load_tokenizer(folder), pictures.to(device()), Emoji(entries), words)

    def build(self, data: ClipData) -> CLIP:
        return CLIP(CLIPConfig(vocabulary=data.tokenizer.vocabulary, context=data.tokenizer.context))

    def loss(self, model: CLIP, data: ClipData, generator: Generator) -> Tensor:
        rng, on = batches.python_rng(generator), data.pictures.device
        asked = alike_scenes(self.batch // 3, rng)
        rows = data.emoji.rows(self.batch - len(asked), self.together, rng)

        x = to_float(batches.render_all(asked).to(on))
        # A quarter of the scenes is noised, up to half of the way, so that half-denoised ones can be read.
        schedule = Schedule.cosine()
        t = (schedule.random_t(len(x), generator) // 2).to(on)
        noised = batches.one_each(x, generator) < 1 / 4
        eps = batches.normal_noise(*x.shape, generator=generator, device=on)
        x = torch.where(noised, schedule.add_noise(x, eps, t), x)
        drawings = batches.on_backgrounds(data.pictures[rows], generator, self.jitter, self.turn)
        x = torch.cat([x, restyle(drawings, generator, self.changes)])

        prompts = [prompt(scene, rng, data.meaningless) for scene in asked]
        captions, needed = zip(*(data.emoji.caption(row, rng) for row in rows), strict=True)
        texts = [p.text for p in prompts] + list(captions)
        scores = model.scale * model.embed_pictures(x) @ embed_texts(model, data.tokenizer, texts).T

        own = np.eye(len(x), dtype=bool)
        right, wrong = answers(data.emoji, asked, prompts, rows, needed) if self.many_right else (own, ~own)
        return many_right_loss(scores, torch.from_numpy(right).to(on), torch.from_numpy(wrong).to(on))

    @torch.no_grad()
    def preview(self, model: CLIP, data: ClipData) -> Image.Image:
        scenes = [draw_scene(2, index, "train") for index in range(8)]
        x = to_float(batches.render_all(scenes).to(data.pictures.device))
        prompts = [full_caption(scene) for scene in scenes]
        return score_table(to_pil(x), prompts, model(x, data.tokenizer(prompts).to(x.device)).cpu())


def many_right_loss(scores: Tensor, right: Tensor, wrong: Tensor) -> Tensor:
    """`contrastive_loss` where a picture fits several texts and a text several pictures: each right pair
    should beat all wrong ones of its row, and of its column; right ones do not compete with each other.

    scores: (B, N). right, wrong: bool (B, N); what is neither is left alone. Returns a scalar.
    With the diagonal right and all else wrong it is `contrastive_loss`. Source: Khosla et al. 2020 (many
    right answers), Feeney & Hughes 2023 (they do not compete).
    """
    total = 0.0
    for s, good, bad in ((scores, right, wrong), (scores.T, right.T, wrong.T)):  # rows, then columns
        # L_ij = log(1 + sum over wrong k of e^(s_ik - s_ij)), the mean over the right j of each row i
        rivals = s.masked_fill(~bad, -torch.inf).logsumexp(dim=1, keepdim=True)  # e^-inf adds nothing
        losses = F.softplus(rivals - s).masked_fill(~good, 0).sum(1) / good.sum(1).clamp(min=1)
        total = total + losses.sum() / good.any(1).sum() / 2
    return total


def embed_texts(model: CLIP, tokenizer: Tokenizer, texts: list[str], size: int = 24) -> Tensor:
    """Texts -> (N, E), `size` at a time, the shortest first: padding costs as much as words do."""
    order = sorted(range(len(texts)), key=lambda i: len(tokenizer.encode(texts[i])))
    parts = [order[i : i + size] for i in range(0, len(order), size)]
    on = device_of(model)
    embedded = [model.embed_texts(tokenizer([texts[i] for i in part]).to(on)) for part in parts]
    return torch.cat(embedded)[torch.tensor(order).argsort().to(on)]


def alike_scenes(count: int, rng: random.Random) -> list[Scene]:
    """`count` scenes of the training split, in families: like the first but for one or two attributes, the
    style and the place. Among random scenes the animal and a colour tell most apart, so a CLIP never needs to
    look at the kind of hat, and does not. Within a family it has to."""
    chosen: list[Scene] = []
    while len(chosen) < count:
        other = draw_scene(rng.randrange(2**32), 0, "train")
        if len(chosen) % GROUP == 0:
            chosen.append(first := other)
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


class Emoji:
    """What is true of each emoji of a set, as tags: its name, which no other concept has, and its keywords.

    concepts: the rows that draw one concept, in one style each; alike: concepts that share a keyword. tags:
    (rows, K) bool, what is true. perhaps: (rows, K) bool, what may be said besides, such as "cat" of a "cat
    face". drawn: the part of scenes that a row draws, or "". of_part: what may be said of such a part, (K,).
    entries: name, keywords, style and codepoint of each row.
    """

    def __init__(self, entries: list[dict]):
        self.entries = entries
        rows_of, alike = defaultdict(list), defaultdict(list)
        for i, entry in enumerate(entries):
            rows_of[entry["codepoint"]].append(i)
        self.concepts = list(rows_of.values())

        names = {("name", entry["codepoint"]): set(words_of(entry["name"])) for entry in entries}
        keywords = dict.fromkeys(word for entry in entries for word in entry["keywords"])
        self.column: dict[Tag, int] = {tag: i for i, tag in enumerate([*names, *keywords])}
        self.tags, self.perhaps = np.zeros((2, len(entries), len(self.column)), bool)
        for i, rows in enumerate(self.concepts):
            entry = entries[rows[0]]
            for word in dict.fromkeys(entry["keywords"]):
                alike[word].append(i)
            words = set(words_of(" ".join([entry["name"], *entry["keywords"]])))
            self.mark(self.tags, rows, [("name", entry["codepoint"]), *entry["keywords"]])
            self.mark(self.perhaps, rows, [tag for tag in names if names[tag] <= words])
        self.alike = [group for group in alike.values() if len(group) >= GROUP]

        file = data_file("scenes", "parts.parquet")
        art = need("pyarrow.parquet").read_table(file, columns=["name", "codepoint"])
        parts = {part["codepoint"]: part["name"] for part in art.to_pylist()}
        self.drawn = [parts.get(entry["codepoint"], "") for entry in entries]
        known = self.tags | self.perhaps
        self.of_part = {part: known[[d == part for d in self.drawn]].any(0) for part in parts.values()}

    def mark(self, table: np.ndarray, rows: int | list[int], tags: list[Tag]) -> None:
        """Set the columns of these tags in these rows of a table."""
        table[np.ix_(rows, [self.column[tag] for tag in tags])] = 1

    def rows(self, count: int, together: int, rng: random.Random) -> list[int]:
        """About `count` rows: each concept in `together` styles, about half of the concepts alike."""
        wanted = count // together + 8  # some to spare, for concepts that are drawn in one style only
        chosen: dict[int, None] = {}  # a dict and not a set, since it keeps its order
        for _ in range(wanted // (2 * GROUP)):
            chosen |= dict.fromkeys(rng.sample(rng.choice(self.alike), GROUP))
        while len(chosen) < min(wanted, len(self.concepts)):
            chosen[rng.randrange(len(self.concepts))] = None
        pairs, alone = [], []  # these last, so that the others lie in pairs
        for rows in (self.concepts[i] for i in chosen):
            some = rng.sample(rows, min(together, len(rows)))
            if len(pairs) + len(alone) + len(some) <= count:
                (pairs if len(some) == together else alone).extend(some)
        return pairs + alone

    def caption(self, row: int, rng: random.Random) -> tuple[str, list[Tag]]:
        """Say what an emoji shows, by its name or by keywords; and the tags that a picture needs to fit."""
        entry = self.entries[row]
        if not entry["keywords"] or rng.random() < 0.6:
            return rng.choice(NAMED).format(entry["name"]), [("name", entry["codepoint"])]
        chosen = rng.sample(entry["keywords"], min(len(entry["keywords"]), rng.choice((1, 1, 2))))
        return rng.choice(DESCRIBED).format(" ".join(chosen)), chosen


def fits(scenes: list[Scene], says: list[dict[str, str]]) -> np.ndarray:
    """Whether what each text says is true of each scene: bool (scenes, texts)."""
    # What may truly be said of each scene: besides the value itself ANY, if there is such a thing
    true = [{k: (v, v if v == "none" else ANY) for k, v in vars(scene).items()} for scene in scenes]
    return np.array([[all(said[k] in of[k] for k in said) for said in says] for of in true])


def answers(
    emoji: Emoji, asked: list[Scene], prompts: list[Prompt], rows: list[int], needed: list[list[Tag]]
) -> tuple[np.ndarray, np.ndarray]:
    """The texts that are right for each picture, and the wrong ones: two bool tables (pictures, texts).

    Pictures are the scenes and then the emoji of `rows`, texts the prompts and then captions that need these
    tags. What may be true or not is neither: that a cat in a hat is "a cat face", that a cat's face is a cat.
    """
    n = len(asked)
    right = np.zeros((n + len(rows), n + len(needed)), bool)
    perhaps = np.zeros_like(right)
    needs = np.zeros((len(needed), len(emoji.column)), np.float32)
    for j, tags in enumerate(needed):
        emoji.mark(needs, [j], tags)

    def nothing_missing(tags: np.ndarray) -> np.ndarray:
        """Which of the captions need no tag but those of each row: bool (rows, captions)."""
        return (~tags).astype(np.float32) @ needs.T == 0

    right[:n, :n] = fits(asked, [p.says for p in prompts])
    right[n:, n:] = nothing_missing(emoji.tags[rows])
    perhaps[n:, n:] = nothing_missing(emoji.tags[rows] | emoji.perhaps[rows])
    for i, scene in enumerate(asked):
        shown = (scene.animal, scene.headwear, scene.eyewear)
        said = np.any([emoji.of_part[part] for part in shown if part != "none"], axis=0)
        perhaps[i, n:] = nothing_missing(said[None])
        perhaps[n:, i] = [emoji.drawn[row] in shown for row in rows]
    return right, ~right & ~perhaps
