"""Can CLIP tell a caption from nearly the same one, name an animal, find art by name, see what is meant?"""

import csv
import random
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Generator, Tensor

from minit2i.checkpoint import load_model, load_tokenizer
from minit2i.clip import Matcher
from minit2i.images import to_float
from minit2i.schedule import Schedule
from minit2i.utils import data_file, device_of, in_batches, progress
from minit2i.world.batches import emoji_pictures, normal_noise, render_all
from minit2i.world.captions import full_caption, short_caption, with_article
from minit2i.world.datasets import load
from minit2i.world.noise_words import meaningless_words, with_words
from minit2i.world.render import render
from minit2i.world.scenes import ANIMALS, ATTRIBUTES, STYLES, Scene, draw_scene

from .metrics import retrieved_at_k
from .report import Bench
from .shares import OTHER_SEED, REAL_SEED, share


def measure(bench: Bench) -> dict:
    """Swapped captions and naming on n held-out scenes; what people type; all emoji by name."""
    matcher = Matcher(load_model("clip", bench.folder), load_tokenizer(bench.folder))
    scenes = [draw_scene(REAL_SEED, i, "held_out") for i in range(bench.n)]
    styles = {split: dict.fromkeys(load("emoji", split)["style"]) for split in ("test", "train")}
    never, known = ({s: retrieval(matcher, s, split) for s in some} for split, some in styles.items())
    return {
        "the right caption against one with": measure_swaps(matcher, scenes),
        "naming one animal of 20": measure_naming(matcher, scenes),
        "what people type": measure_wording(matcher),
        "each attribute of a caption": measure_noise_words(matcher, scenes[: max(1, bench.n // 10)]),
        "an emoji by its name, style never seen": never,
        "an emoji by its name, style of its training": known,
    }


@torch.no_grad()
def embed(matcher: Matcher, pictures: Tensor) -> Tensor:
    """(N, 3, H, W) in [-1, 1] -> (N, E) of length 1."""
    return in_batches(lambda part: matcher.model.embed_pictures(part.to(device_of(matcher.model))), pictures)


def measure_swaps(matcher: Matcher, scenes: list[Scene]) -> dict:
    """Does each scene fit its own caption better than one in which a single attribute is another?

    scenes: all with hats; for the last figure every second one is drawn without.
    """

    def say_all(scene: Scene) -> str:  # the full caption, which also says so if there are no glasses
        bare = f"{short_caption(scene)} and no glasses on {with_article(scene.background)} background"
        return bare if scene.eyewear == "none" else full_caption(scene)

    def prefer_own(own: list[Scene], others: list[Scene], say: Callable[[Scene], str] = full_caption) -> dict:
        pictures = embed(matcher, to_float(render_all(own)))
        own_fit, fit = ((pictures * matcher.embed_texts([*map(say, some)])).sum(1) for some in (own, others))
        return share(own_fit > fit)

    result = {}
    for name in ("animal", "headwear", "colour", "eyewear", "background"):
        values = [value for value in ATTRIBUTES[name] if value != "none" or name == "eyewear"]
        rest = [[value for value in values if value != getattr(scene, name)] for scene in scenes]
        others = [replace(s, **{name: rest[i][i % len(rest[i])]}) for i, s in enumerate(scenes)]  # in turn
        result[f"another {name}"] = prefer_own(scenes, others, say_all if name == "eyewear" else full_caption)
    pairs = [[scene, replace(scene, headwear="none", colour="none")] for scene in scenes]
    own, others = ([pair[(i + k) % 2] for i, pair in enumerate(pairs)] for k in (1, 0))
    return result | {"the hat taken off or put on": prefer_own(own, others)}


def measure_naming(matcher: Matcher, scenes: list[Scene]) -> dict:
    """Which of the 20 animals is it? Asked of the pictures and of their noised versions."""
    names = matcher.embed_texts([with_article(animal) for animal in ANIMALS])
    right = torch.tensor([ANIMALS.index(scene.animal) for scene in scenes])
    schedule, generator, result = Schedule.cosine(), Generator().manual_seed(REAL_SEED), {}
    x_0 = x = to_float(render_all(scenes))
    for label, part in {"as it is": 0, "a quarter of the way to noise": 0.25, "half of the way": 0.5}.items():
        if part:
            eps = normal_noise(*x_0.shape, generator=generator, device=x_0.device)
            x = schedule.add_noise(x_0, eps, torch.full((len(x_0),), int(part * schedule.T)))
        result[label] = share((embed(matcher, x) @ names.T).argmax(1).cpu() == right)
    return result


def retrieval(matcher: Matcher, style: str, split: str = "train") -> dict:
    """Text to picture over all emoji of one style of a split, on white: is the right one among the first?"""
    pixels, entries = emoji_pictures(64, (style,), split)
    pictures = embed(matcher, to_float(pixels[:, :3] + (255 - pixels[:, 3:])))  # premultiplied colours
    similarity = (matcher.embed_texts([entry["name"] for entry in entries]) @ pictures.T).cpu()
    answer, ranks = torch.arange(len(entries)), {"first": 1, "among the first ten": 10}
    return {label: share(retrieved_at_k(similarity, answer, k)) for label, k in ranks.items()}


def read_wording(half: str) -> list[dict[str, str]]:
    """The prompts of one half of what people type: "look" to develop with, "measure" to report."""
    with open(data_file("words", "wording.tsv"), newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [row for row in rows if row["half"] == half]


def measure_wording(matcher: Matcher, half: str = "measure") -> dict:
    """Of each attribute that a prompt states: is it the right one, among all, that fits best?

    The attributes of one prompt are not quite independent, so their interval is a little too narrow.
    """
    right = []
    for i, row in enumerate(progress(read_wording(half), "reading prompts")):
        asked = {name: row[name] for name in ATTRIBUTES if row.get(name)}
        right += read_attributes(matcher, [row["prompt"]], asked, i)
    each = {name: [found[name] for found in right if name in found] for name in ATTRIBUTES}
    return {
        "all that is said, prompt by prompt": share([all(found.values()) for found in right]),
        "each attribute that is said": share(sum(each.values(), [])),
        **{name: share(answers) for name, answers in each.items() if answers},
    }


def measure_noise_words(matcher: Matcher, scenes: list[Scene]) -> dict:
    """The same for full captions: plain, and with one to three meaningless words that no training uses."""
    rng, words = random.Random(OTHER_SEED), meaningless_words(seen=False)
    plain, noisy, names = [], [], ("animal", "headwear", "colour", "background", "eyewear")
    for i, scene in enumerate(progress(scenes, "reading captions")):
        asked = {name: getattr(scene, name) for name in names if getattr(scene, name) != "none"}
        text = full_caption(scene)
        texts = [text, with_words(text, rng.sample(words, rng.randint(1, 3)), rng)]
        for answers, right in zip((plain, noisy), read_attributes(matcher, texts, asked, i), strict=True):
            answers += right.values()
    return {"plain": share(plain), "with one to three words in it that mean nothing": share(noisy)}


def read_attributes(matcher: Matcher, texts: list[str], asked: dict[str, str], i: int) -> list[dict]:
    """For each text and each attribute that is asked for, True if pictures of its value fit the text best.

    All else in the pictures is as asked, or drawn at random where it was left open. There are three pictures
    of each value, one in each style, and the mean of their cosines decides. i: which random draw.
    """

    def shown(scene: Scene, **values: str) -> Scene:  # with a colour if it has a hat, and only then
        scene = replace(scene, **values)
        colour = "red" if scene.colour == "none" else scene.colour
        return replace(scene, colour="none" if scene.headwear == "none" else colour)

    embedded, right = matcher.embed_texts(texts), [{} for _ in texts]
    draws = [draw_scene(OTHER_SEED, 3 * i + k, "held_out") for k in range(len(STYLES))]
    bases = [shown(scene, **asked, style=style) for scene, style in zip(draws, STYLES, strict=True)]
    for name, value in asked.items():
        values = [v for v in ATTRIBUTES[name] if (name, v) != ("colour", "none")]
        pictures = matcher.embed([render(shown(base, **{name: v})) for base in bases for v in values])
        fit = (pictures @ embedded.T).view(len(bases), len(values), len(texts)).mean(0)
        for answer, best in zip(right, fit.argmax(0).tolist(), strict=True):
            answer[name] = values[best] == value
    return right
