"""The grammar of the small world, from a scene to words: "a cat wearing a blue baseball cap", in many ways.

A full caption names everything, in one order and by one word each. People say "kitty" and "ball cap", name
the hat first, use two sentences, leave things out, or ask for "no hat". What they type, a `Prompt`, also
keeps what it states, so that we know of any picture whether it is true of it.
"""

import random
import re
from functools import partial
from typing import NamedTuple

from .noise_words import add_noise_words, pick, wording
from .scenes import Scene, world_data

ANY = "any"  # said of headwear: "a hat" may be any of them
TIED = ("with ", "and ")  # a piece that begins so is tied to the others already
word_lists = partial(world_data, "words")  # a few other words for a thing


def with_article(phrase: str) -> str:
    """Put "a" or "an" before a phrase, by its first letter ("an owl", "a yellow crown")."""
    return ("an " if phrase[0] in "aeio" else "a ") + phrase


def short_caption(scene: Scene) -> str:
    """Name the animal and its hat: "a cat wearing a blue baseball cap"."""
    bare = scene.headwear == "none"
    hat = "with no hat" if bare else f"wearing {with_article(f'{scene.colour} {scene.headwear}')}"
    return f"{with_article(scene.animal)} {hat}"


def full_caption(scene: Scene) -> str:
    """Name everything: "a cat wearing a blue baseball cap and sunglasses on a green background"."""
    text = short_caption(scene)
    if scene.eyewear != "none":
        bare = f"{with_article(scene.animal)} with {scene.eyewear} and no hat"
        text = bare if scene.headwear == "none" else f"{text} and {scene.eyewear}"
    return f"{text} on {with_article(scene.background)} background"


def said_in_full(scene: Scene) -> str:
    """The same, and "no glasses" if there are none: for an edit, which leaves open what it does not say."""
    return full_caption(scene) + (" and no glasses" if scene.eyewear == "none" else "")


class Prompt(NamedTuple):
    """A text, and what it states of a `Scene`: {"animal": "cat", "headwear": ANY, "colour": "red"}."""

    text: str
    says: dict[str, str]


NOTHING = Prompt("", {})


def prompt(scene: Scene, rng: random.Random, meaningless: list[str]) -> Prompt:
    """What people type who want a scene, noise words and all. meaningless: see `meaningless_words`."""
    text, says = request(scene, rng)
    return Prompt(add_noise_words(text, rng, meaningless), says)


def request(scene: Scene, rng: random.Random) -> Prompt:
    """Say what a scene shows in one of four orders, with some of it left out.

    All that is said is true, so nothing that is said of a training scene names a held-out triple.
    """
    animal = animal_phrase(scene, rng)
    hat = NOTHING if "headwear" in animal.says else hat_phrase(scene, rng)
    eyewear, place = eyewear_phrase(scene, rng), place_phrase(scene, rng)
    says = animal.says | hat.says | eyewear.says | place.says
    pieces = (animal.text, hat.text, eyewear.text, place.text)
    form = rng.random()
    if form < 0.12:  # "cat, blue baseball cap, glasses, green background"
        parts = [re.sub("^(an?|the) ", "", piece) for piece in pieces if piece]
        if rng.random() < 0.3:
            rng.shuffle(parts)
        text = ", ".join(parts)
    elif form < 0.22:
        text = sentences(*pieces, rng)
    elif form < 0.36 and "colour" in says:  # "a blue baseball cap on a cat with glasses"
        text = f"{hat.text} {pick('hat on', rng)} {animal.text}"
        if eyewear.text:
            text += f" {rng.choice(('with', 'and', 'wearing', ',', 'who has'))} {eyewear.text}"
        text = f"{text} {where(place.text, rng)}"
    else:
        text = plain(*pieces, rng)
    if rng.random() < 0.15:
        text += rng.choice((" ", ", ")) + pick("clauses", rng)
    if rng.random() < 0.04:
        says["style"] = scene.style
        text += f" in {scene.style} style"
    return Prompt(re.sub(r"\s+", " ", text).replace(" ,", ",").strip(), says)


def animal_phrase(scene: Scene, rng: random.Random) -> Prompt:
    """ "a sleepy kitten", "professor owl", "the tiny hatless pig", rarely "something"."""
    if rng.random() < 0.03:
        return Prompt(phrase(pick("nobody", rng), rng), {})
    says, noun = {"animal": scene.animal}, word(scene.animal, rng)
    if rng.random() < 0.25:
        noun = pick("faces", rng).format(noun)
    for _ in range(rng.choice((0, 0, 0, 0, 0, 1, 1, 2))):
        noun = f"{pick('adjectives', rng)} {noun}"
    if scene.headwear == "none" and rng.random() < 0.1:
        says["headwear"] = "none"
        noun = f"{pick('bare before', rng)} {noun}"
    return Prompt(f"{pick('titles', rng)} {noun}" if rng.random() < 0.04 else phrase(noun, rng), says)


def hat_phrase(scene: Scene, rng: random.Random) -> Prompt:
    """ "a nice blue baseball cap", "a cap in blue", "a blue hat", "no hat", or nothing."""
    if scene.headwear == "none":
        return NOTHING if rng.random() < 0.35 else Prompt(pick("bare", rng), {"headwear": "none"})
    if rng.random() < 0.05:
        return NOTHING
    vague = rng.random() < 0.06
    says = {"headwear": ANY if vague else scene.headwear}
    noun = "hat" if vague else word(scene.headwear, rng)
    extra = f"{pick('thing adjectives', rng)} " if rng.random() < 0.18 else ""
    if rng.random() < 0.05:
        return Prompt(phrase(extra + noun, rng), says)
    says["colour"], colour = scene.colour, word(scene.colour, rng)
    if rng.random() < 0.1:
        return Prompt(phrase(extra + noun, rng) + pick("colour after", rng).format(colour), says)
    noun = f"{colour} {extra}{noun}" if rng.random() < 0.04 else f"{extra}{colour} {noun}"
    return Prompt(phrase(noun, rng), says)


def eyewear_phrase(scene: Scene, rng: random.Random) -> Prompt:
    """ "cool shades", "no glasses", or nothing."""
    if rng.random() < (0.75 if scene.eyewear == "none" else 0.1):
        return NOTHING
    says = {"eyewear": scene.eyewear}
    if scene.eyewear == "none":
        return Prompt(pick("clear", rng), says)
    noun = word(scene.eyewear, rng)
    plain = noun.startswith("a ") or rng.random() < 0.85
    return Prompt(noun if plain else f"{pick('thing adjectives', rng)} {noun}", says)


def place_phrase(scene: Scene, rng: random.Random) -> Prompt:
    """ "a plain mint green wall", "with mint green behind it", or nothing."""
    if rng.random() < 0.45:
        return NOTHING
    says, colour = {"background": scene.background}, rng.choice(wording()["backgrounds"][scene.background])
    if rng.random() < 0.08:
        return Prompt(pick("only colour", rng).format(colour), says)
    extra = f"{pick('place adjectives', rng)} " if rng.random() < 0.12 else ""
    return Prompt(phrase(f"{extra}{colour} {pick('background', rng)}", rng), says)


def word(name: str, rng: random.Random) -> str:
    """The name of a thing, or another word for it."""
    others = wording()["other words"].get(name)
    return rng.choice(others) if others and rng.random() < 0.4 else name


def phrase(noun: str, rng: random.Random) -> str:
    """Put an article or another small word before a noun, or none."""
    chance = rng.random()
    if chance < 0.7:
        return with_article(noun)
    return noun if chance < 0.88 else f"{pick('small words', rng)} {noun}"


def denied(part: str) -> bool:
    """Whether a piece says that something is not there."""
    return part in wording()["bare"] or part in wording()["clear"]


def plain(animal: str, hat: str, eyewear: str, place: str, rng: random.Random) -> str:
    """ "a cat wearing a blue baseball cap and glasses on a green background"."""
    text = animal
    if rng.random() < 0.12:
        text += rng.choice((" ", ", ")) + pick("clauses", rng)
    worn = [thing for thing in (hat, eyewear) if thing]
    # What is denied comes last: "no hat and glasses" would deny both.
    if hat in wording()["bare"] or (eyewear not in wording()["clear"] and rng.random() < 0.2):
        worn.reverse()
    if worn:
        verb = rng.choice(("", "", "", ",", "is")) if denied(worn[0]) else pick("verbs", rng)
        text += f" {verb} " + rng.choice((" and ", " and ", ", ", " & ", " plus ", " with ")).join(worn)
    if place and rng.random() < 0.12:
        return f"{where(place, rng)}{rng.choice((', ', ' '))}{text}"
    return f"{text} {where(place, rng)}"


def where(place: str, rng: random.Random) -> str:
    """Put "on", "in front of" or the like before a place, unless it needs none ("with blue behind it")."""
    return place if place.startswith(TIED) or not place else f"{pick('placed', rng)} {place}"


def sentences(animal: str, hat: str, eyewear: str, place: str, rng: random.Random) -> str:
    """ "a blue baseball cap; a cat wears it; behind it is green", in two or more short sentences."""

    def said(key: str, part: str) -> str:
        return part if denied(part) or part.startswith(TIED) else pick(key, rng).format(part)

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
