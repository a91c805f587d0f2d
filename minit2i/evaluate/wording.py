"""Does CLIP know what is meant, however it is said? Texts are read against rendered scenes."""

import csv
import dataclasses
import random

import torch
from tqdm import tqdm

from minit2i.clip import Matcher
from minit2i.utils import data_file
from minit2i.world.captions import full_caption
from minit2i.world.noise_words import meaningless_words, with_words
from minit2i.world.render import render
from minit2i.world.scenes import ATTRIBUTES, STYLES, Scene, draw_scene

from .shares import OTHER_SEED, REAL_SEED, share


def read_wording(half: str) -> list[dict[str, str]]:
    """The prompts of one half of the file: "look" to develop with, "measure" to report."""
    with open(data_file("..", "tests", "data", "wording.tsv"), newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [row for row in rows if row["half"] == half]


def measure_wording(matcher: Matcher, half: str = "measure") -> dict:
    """Of each attribute that a prompt states: is it the right one, among all, that fits best?

    `prompts` counts the prompts with all attributes right, `attributes` the attributes of all prompts. (Those
    of one prompt are not quite independent, so the interval of `attributes` is a little too narrow.)
    """
    right: dict[str, list[bool]] = {"prompts": [], "attributes": []}
    for i, row in enumerate(tqdm(read_wording(half), "reading prompts", leave=False, delay=1)):
        asked = {name: row[name] for name in ATTRIBUTES if row.get(name)}
        [answers] = best_values(matcher, [row["prompt"]], asked, i)
        right["prompts"].append(answers == asked)
        for name, answer in answers.items():
            right.setdefault(name, []).append(answer == asked[name])
            right["attributes"].append(answer == asked[name])
    return {f"wording_{name}": share(torch.tensor(answers)) for name, answers in right.items()}


def measure_meaningless(matcher: Matcher, n: int) -> dict:
    """The same for full captions of n held-out scenes: plain, and with one to three words in them that mean
    nothing and that no training throws in."""
    rng, words = random.Random(OTHER_SEED), meaningless_words(seen=False)
    right: dict[str, list[bool]] = {"plain": [], "meaningless": []}
    for i in tqdm(range(n), "reading captions", leave=False, delay=1):
        scene = draw_scene(REAL_SEED, i, "held_out")
        asked = {name: getattr(scene, name) for name in ("animal", "headwear", "colour", "background")}
        if scene.eyewear != "none":
            asked["eyewear"] = scene.eyewear
        texts = [full_caption(scene)]
        texts.append(with_words(texts[0], rng.sample(words, rng.randint(1, 3)), rng))
        for name, answers in zip(right, best_values(matcher, texts, asked, i), strict=True):
            right[name] += [answers[attribute] == asked[attribute] for attribute in asked]
    return {f"caption_{name}": share(torch.tensor(answers)) for name, answers in right.items()}


def best_values(matcher: Matcher, texts: list[str], asked: dict[str, str], i: int) -> list[dict[str, str]]:
    """For each text and each attribute that is asked for: the value whose pictures fit the text best.

    All else in the pictures is as asked, or drawn at random where it was left open. There are three pictures
    of each value, one in each style, and the mean of their cosines decides. i: which random draw.
    """
    answers: list[dict[str, str]] = [{} for _ in texts]
    embedded = matcher.embed_texts(texts)
    bases = [
        with_hat(dataclasses.replace(draw_scene(OTHER_SEED, 3 * i + k, "held_out"), **asked, style=style))
        for k, style in enumerate(STYLES)
    ]
    for name in asked:
        values = [value for value in ATTRIBUTES[name] if (name, value) != ("colour", "none")]
        pictures = [
            render(with_hat(dataclasses.replace(base, **{name: value}))) for base in bases for value in values
        ]
        fit = (matcher.embed(pictures) @ embedded.T).view(len(bases), len(values), len(texts)).mean(0)
        for answer, best in zip(answers, fit.argmax(0).tolist(), strict=True):
            answer[name] = values[best]
    return answers


def with_hat(scene: Scene) -> Scene:
    """The scene with a colour if it has a hat, and none if it has none."""
    if scene.headwear == "none":
        return dataclasses.replace(scene, colour="none")
    return dataclasses.replace(scene, colour="red") if scene.colour == "none" else scene
