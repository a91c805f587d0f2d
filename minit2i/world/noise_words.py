"""What people type around what they mean: politeness, adornment, odd words, mistakes. It changes no picture.

A text tower takes any word that it has not met for a sign of something. So it has to meet noise words beside
pictures that show what was meant: then it learns that "please", "4k" and "xqz!!!" carry no meaning here.
"""

import json
import random
import re
from functools import partial
from string import ascii_lowercase

from minit2i.utils import data_file

from .scenes import world_data

wording = partial(world_data, "wording")  # phrases, written by hand


def known_words() -> set[str]:
    """The words that name something in our scenes, and those that people add to them."""
    return set(re.findall("[a-z]+", json.dumps(wording())))


def meaningless_words(seen: bool) -> list[str]:
    """Common English words that name nothing in our scenes: the half to train with, or the one to measure."""
    common, meant = json.loads(data_file("words", "common.json").read_text()), known_words()
    unused = [word for word in common if word not in meant and len(word) > 2]
    return [word for word in unused if (random.Random(word).random() < 0.5) == seen]


def pick(key: str, rng: random.Random) -> str:
    """One of the phrases that the file has for something."""
    return rng.choice(wording()[key])


def add_noise_words(text: str, rng: random.Random, meaningless: list[str]) -> str:
    """Put what people add around a text; garble every second one. meaningless: see `meaningless_words`."""
    if rng.random() < 0.35:
        text = f"{pick('openings', rng)} {text}"
    if rng.random() < 0.3:
        for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
            text += rng.choice((", ", ", ", " ", ". ", " - ", "! ")) + pick("endings", rng)
    return garbled(text, rng, meaningless) if rng.random() < 0.5 else text


def with_words(text: str, words: list[str], rng: random.Random) -> str:
    """Put words into a text, each at a place of its own."""
    parts = text.split()
    for extra in words:
        parts.insert(rng.randint(0, len(parts)), extra)
    return " ".join(parts)


def garbled(text: str, rng: random.Random, meaningless: list[str]) -> str:
    """Throw in words, letters and signs that mean nothing, and mistype some."""
    if rng.random() < 0.4:
        text = with_words(text, rng.sample(meaningless, rng.choice((1, 1, 2, 3, 4))), rng)
    if rng.random() < 0.15:
        letters = "".join(rng.choices(ascii_lowercase, k=rng.randint(1, 8)))
        text = with_words(text, [rng.choice((letters, letters, str(rng.randrange(10_000))))], rng)
    if rng.random() < 0.5:
        text = " ".join(mistyped(part, rng) if rng.random() < 0.2 else part for part in text.split())
    if rng.random() < 0.1:
        text = f'"{text}"'
    if rng.random() < 0.4:
        text += pick("signs", rng) * rng.choice((1, 1, 1, 2, 3, 5))
    if rng.random() < 0.08:
        text = text.replace(" ", rng.choice(("_", "-", "  ", " / ")))
    return text.replace(",", "") if rng.random() < 0.15 else text


def mistyped(word: str, rng: random.Random) -> str:
    """Drop a letter of a word of at least four, double it, or swap it with the next one."""
    if len(word) < 4 or not word.isalpha():
        return word
    i = rng.randrange(1, len(word) - 1)
    before, letter, after = word[:i], word[i], word[i + 1 :]
    swapped = before + after[0] + letter + after[1:]
    return rng.choice((before + after, before + 2 * letter + after, swapped))
