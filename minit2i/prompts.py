"""From a scene to what people type: politeness, clutter, mistakes, and somewhere in it what they want to see.

A text tower knows only words that it has met, and takes anything else for a sign of something. So it has to
meet all that people type, beside pictures that show what they meant: then it learns which words carry
meaning, and that "please", "4k" or "xqz!!!" carry none.
"""

import json
import random
import re
from string import ascii_lowercase
from typing import NamedTuple

from .captions import with_article
from .files import data_file
from .scenes import Scene

WORDING = json.loads(data_file("scenes", "wording.json").read_text())
ANY = "any"  # said of headwear: "a hat" may be any of them


class Prompt(NamedTuple):
    """A text, and what it states of a `Scene`: {"animal": "cat", "headwear": ANY, "colour": "red"}."""

    text: str
    says: dict[str, str]


def prompt(scene: Scene, rng: random.Random, meaningless: list[str]) -> Prompt:
    """Ask for a scene as people do. All that is said is true.

    meaningless: words to throw in, see `meaningless_words`.
    """
    text, says = request(scene, rng)
    if rng.random() < 0.35:
        text = f"{pick('openings', rng)} {text}"
    if rng.random() < 0.3:
        for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
            text += rng.choice((", ", ", ", " ", ". ", " - ", "! ")) + pick("endings", rng)
    return Prompt(garbled(text, rng, meaningless) if rng.random() < 0.5 else text, says)


def request(scene: Scene, rng: random.Random) -> Prompt:
    """Say what a scene shows in one of four orders, with some of it left out."""
    says: dict[str, str] = {}
    animal, hat = animal_phrase(scene, rng, says), hat_phrase(scene, rng, says)
    eyewear, place = eyewear_phrase(scene, rng, says), place_phrase(scene, rng, says)
    form = rng.random()
    if form < 0.12:
        text = keywords(animal, hat, eyewear, place, rng)
    elif form < 0.22:
        text = sentences(animal, hat, eyewear, place, rng)
    elif form < 0.36 and "colour" in says:
        text = f"{hat} {pick('hat on', rng)} {animal}"
        text += f" {rng.choice(('with', 'and', 'wearing', ',', 'who has'))} {eyewear}" if eyewear else ""
        text += f" {pick('placed', rng)} {place}" if place else ""
    else:
        text = plain(animal, hat, eyewear, place, rng)
    if rng.random() < 0.15:
        text += rng.choice((" ", ", ")) + pick("clauses", rng)
    if rng.random() < 0.04:
        says["style"] = scene.style
        text += f" in {scene.style} style"
    return Prompt(re.sub(r"\s+", " ", text).replace(" ,", ",").strip(), says)


def pick(key: str, rng: random.Random) -> str:
    """One of the phrases that the file has for something."""
    return rng.choice(WORDING[key])


# ---- The pieces: each notes in `says` what it states ----


def animal_phrase(scene: Scene, rng: random.Random, says: dict[str, str]) -> str:
    """ "a sleepy kitten", "professor owl", "the tiny hatless pig", rarely "something"."""
    if rng.random() < 0.03:
        return phrase(pick("nobody", rng), rng)
    says["animal"] = scene.animal
    noun = word(scene.animal, rng)
    if rng.random() < 0.25:
        noun = pick("faces", rng).format(noun)
    for _ in range(rng.choice((0, 0, 0, 0, 0, 1, 1, 2))):
        noun = f"{pick('adjectives', rng)} {noun}"
    if scene.headwear == "none" and rng.random() < 0.1:
        says["headwear"] = "none"
        noun = f"{pick('bare before', rng)} {noun}"
    return f"{pick('titles', rng)} {noun}" if rng.random() < 0.04 else phrase(noun, rng)


def hat_phrase(scene: Scene, rng: random.Random, says: dict[str, str]) -> str:
    """ "a nice blue baseball cap", "a cap in blue", "a blue hat", "no hat", or nothing."""
    if scene.headwear == "none":
        if "headwear" in says or rng.random() < 0.35:
            return ""
        says["headwear"] = "none"
        return pick("bare", rng)
    if rng.random() < 0.05:
        return ""
    vague = rng.random() < 0.06
    says["headwear"] = ANY if vague else scene.headwear
    noun = "hat" if vague else word(scene.headwear, rng)
    extra = f"{pick('thing adjectives', rng)} " if rng.random() < 0.18 else ""
    if rng.random() < 0.05:
        return phrase(extra + noun, rng)
    says["colour"] = scene.colour
    colour = word(scene.colour, rng)
    if rng.random() < 0.1:
        return phrase(extra + noun, rng) + pick("colour after", rng).format(colour)
    return phrase(f"{colour} {extra}{noun}" if rng.random() < 0.04 else f"{extra}{colour} {noun}", rng)


def eyewear_phrase(scene: Scene, rng: random.Random, says: dict[str, str]) -> str:
    """ "cool shades", "no glasses", or nothing."""
    if rng.random() < (0.75 if scene.eyewear == "none" else 0.1):
        return ""
    says["eyewear"] = scene.eyewear
    if scene.eyewear == "none":
        return pick("clear", rng)
    noun = word(scene.eyewear, rng)
    return noun if noun.startswith("a ") or rng.random() < 0.85 else f"{pick('thing adjectives', rng)} {noun}"


def place_phrase(scene: Scene, rng: random.Random, says: dict[str, str]) -> str:
    """ "a plain mint green wall", or nothing."""
    if rng.random() < 0.45:
        return ""
    says["background"] = scene.background
    colour = rng.choice(WORDING["backgrounds"][scene.background])
    if rng.random() < 0.08:
        return pick("only colour", rng).format(colour)
    extra = f"{pick('place adjectives', rng)} " if rng.random() < 0.12 else ""
    return phrase(f"{extra}{colour} {pick('background', rng)}", rng)


def word(name: str, rng: random.Random) -> str:
    """The name of a thing, or another word for it."""
    others = WORDING["other words"].get(name)
    return rng.choice(others) if others and rng.random() < 0.4 else name


def phrase(noun: str, rng: random.Random) -> str:
    """Put an article or another small word before a noun, or none."""
    chance = rng.random()
    if chance < 0.7:
        return with_article(noun)
    return noun if chance < 0.88 else f"{pick('small words', rng)} {noun}"


# ---- Their orders ----


def plain(animal: str, hat: str, eyewear: str, place: str, rng: random.Random) -> str:
    """ "a cat wearing a blue baseball cap and glasses on a green background"."""
    text = animal
    if rng.random() < 0.12:
        text += rng.choice((" ", ", ")) + pick("clauses", rng)
    worn = [thing for thing in (hat, eyewear) if thing]
    # What is denied comes last: "no hat and glasses" would deny both.
    if hat in WORDING["bare"] or eyewear not in WORDING["clear"] and rng.random() < 0.2:
        worn.reverse()
    if worn:
        verb = rng.choice(("", "", "", ",", "is")) if denied(worn[0]) else pick("verbs", rng)
        text += f" {verb} " + rng.choice((" and ", " and ", ", ", " & ", " plus ", " with ")).join(worn)
    if place and rng.random() < 0.12:
        return f"{pick('placed', rng)} {place}{rng.choice((', ', ' '))}{text}"
    return f"{text} {pick('placed', rng)} {place}" if place else text


def keywords(animal: str, hat: str, eyewear: str, place: str, rng: random.Random) -> str:
    """ "cat, blue baseball cap, glasses, green background", as people who use image generators write."""
    parts = [re.sub("^(an?|the) ", "", part) for part in (animal, hat, eyewear, place) if part]
    if rng.random() < 0.3:
        rng.shuffle(parts)
    return ", ".join(parts)


def sentences(animal: str, hat: str, eyewear: str, place: str, rng: random.Random) -> str:
    """ "a blue baseball cap; a cat wears it; behind it is green", in two or more short sentences."""

    def said(key: str, part: str) -> str:
        return part if denied(part) else pick(key, rng).format(part)

    parts = [said("animal sentences", animal)]
    if hat and not denied(hat) and rng.random() < 0.3:
        parts = [hat, said("hat then animal", animal)]
    elif hat:
        parts.append(said("hat sentences", hat))
    if eyewear:
        parts.append(said("eyewear sentences", eyewear))
    if place:
        parts.insert(0 if rng.random() < 0.15 else len(parts), said("place sentences", place))
    return rng.choice((". ", ". ", "; ", ", ", "! ", "... ")).join(parts)


def denied(part: str) -> bool:
    """Whether a piece says that something is not there."""
    return part in WORDING["bare"] or part in WORDING["clear"]


# ---- What changes nothing ----


def meaningless_words(seen: bool) -> list[str]:
    """Common English words that name nothing in our pictures: one half to train with, the other to measure.

    seen: True gives the half that trainings throw in, False the other one.
    """
    common = json.loads(data_file("words", "common.json").read_text())
    meant = set(re.findall("[a-z]+", json.dumps(WORDING)))
    unused = [word for word in common if word not in meant and len(word) > 2]
    return [word for word in unused if (random.Random(word).random() < 0.5) == seen]


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
    if rng.random() < 0.35:
        text = " ".join(mistyped(part, rng) if rng.random() < 0.15 else part for part in text.split())
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
