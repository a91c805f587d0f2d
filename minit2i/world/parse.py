"""From a picture, and from words, back to a scene: what is to be seen, and what is asked for.

What a picture shows is read by a network (reader.py). What a prompt asks for is looked up in lists of words,
and whatever it leaves open stays as it is.

Shapes: B pictures.
"""

import difflib
import re
from dataclasses import replace
from functools import lru_cache

from minit2i.tokenizer import words_of

from .captions import word_lists
from .noise_words import wording
from .render import framed
from .scenes import ANIMALS, ATTRIBUTES, BACKGROUNDS, COLOURS, HEADWEAR, Scene


@lru_cache(maxsize=1)
def vocabulary() -> dict[str, dict[str, str]]:
    """For each attribute the ways to name its values: {"animal": {"kitty cat": "cat", ...}, ...}."""
    names: dict[str, dict[str, str]] = {}
    for attribute, values in ATTRIBUTES.items():
        names[attribute] = ways = {}
        for value in (value for value in values if value != "none"):
            if attribute == "background":
                said = word_lists()["other words"].get(value, []) + wording()["backgrounds"][value]
            else:
                said = word_lists()["other words"].get(value, []) + wording()["other words"].get(value, [])
            ways |= {plain(way): value for way in (value, *said)}
    names["headwear"] |= {plain(way): "none" for way in wording()["bare"]}
    names["eyewear"] |= {plain(way): "none" for way in wording()["clear"]}
    return names


def plain(text: str) -> str:
    """The words of a text, with single spaces between them."""
    return " ".join(words_of(text))


DENIED = (
    " (?:no|not|without|minus|remove|delete|drop|lose|get rid of|take off|take away|not wearing|"
    "do not (?:put|want|wear|add|give it))(?: on)?(?: (?:a|an|any|the|its|his|her|that|this))?"
)


@lru_cache(maxsize=1000)
def parse_prompt(prompt: str) -> dict[str, str]:
    """What a prompt says of a scene: {"animal": "cat", "headwear": "crown", "colour": "red"}.

    Words are looked up, the longest first; what is in no list is not understood. A colour beside a word for
    the background is that of the background, one before an animal is its own, any other that of the hat.
    """
    text, names, found = f" {plain(prompt)} ", vocabulary(), {}
    text = re.sub(r" (?:take|put) (.{1,40}?) (?:off|away) ", r" remove \1 ", text)

    def take(attribute: str, before: str = "", after: str = "") -> None:
        nonlocal text
        for way in sorted(names[attribute], key=len, reverse=True):
            if f" {way} " not in text:
                continue
            match = re.search(f"{before} {re.escape(way)}{after} ", text)
            if match:
                found[attribute] = names[attribute][way]
                text = f"{text[: match.start()]} , {text[match.end() :]}"
                return

    def refuse(attribute: str, *others: str) -> None:
        nonlocal text
        ways = "|".join(map(re.escape, sorted((*names[attribute], *others), key=len, reverse=True)))
        match = re.search(f"{DENIED}(?: (?:{colours}))? (?:{ways}) ", text)
        if match:
            found[attribute] = "none"
            text = f"{text[: match.start()]} , {text[match.end() :]}"

    places = "|".join(sorted({re.escape(plain(word)) for word in wording()["background"]}))
    colours = "|".join(map(re.escape, names["colour"]))
    take("background", after=f" (?:{places})")  # "green wall"
    if "background" not in found:
        take("background", before=f" (?:{places})(?: colou?r)?(?: is| to| :| in| =)?")  # "the wall is green"
    for start, end in (way.split("{}") for way in wording()["only colour"]):
        if "background" not in found:  # "with green behind it"
            ends = plain(end) and f" {re.escape(plain(end))}"
            take("background", before=f" {re.escape(plain(start))}", after=ends)
    # A wall of a colour that there is not, is no hat of that colour
    text = re.sub(f" (?:{places})(?: colou?r)?(?: is| to)? (?:{colours}) ", " , ", text)
    text = re.sub(f" (?:{colours}) (?:{places}) ", " , ", text)
    take("animal", before=f"(?: (?:{colours}))?")
    refuse("eyewear")
    refuse("headwear", "hat", "hats")
    for attribute in ("eyewear", "headwear"):
        if attribute not in found:
            take(attribute)
    take("colour")
    take("style")
    if found.get("headwear") == "none":
        found["colour"] = "none"
    return found


def apply_prompt(scene: Scene, head: list[float], prompt: str) -> Scene:
    """The scene that a prompt asks for, seen from one that is there: what it leaves open stays as it is.

    head: the square of the head that is there; it stays where it is. A new hat without a colour is red.
    """
    wanted = replace(scene, **parse_prompt(prompt))
    if wanted.headwear == "none":
        wanted = replace(wanted, colour="none")
    elif wanted.colour == "none":
        wanted = replace(wanted, colour=COLOURS[0])
    return framed(wanted, head)


def suggest_words(prompt: str, word: str) -> list[str]:
    """What to say instead of an unknown word of a prompt: the nearest known word, or else words of its kind.

    Of which kind it is, its neighbours tell: before "background" stands a colour, after what is worn or after
    a hat's colour a kind of headwear; anything else may be an animal.
    """
    names = [name for values in ATTRIBUTES.values() for name in values if name != "none"]
    near = difflib.get_close_matches(
        word, {part for name in names for part in name.split()}, n=3, cutoff=0.75
    )
    if near:
        return near
    places = "|".join({re.escape(plain(place)) for place in wording()["background"]})
    if re.search(rf"\b{word} (?:{places})\b", plain(prompt)):
        return list(BACKGROUNDS)
    before = plain(prompt).split(f" {word}")[0].split()[-1:]
    worn = re.search(rf"\b(?:wearing|wears|in|with|on)\b.*\b{word}\b", plain(prompt))
    return list(HEADWEAR if worn or before[0:1] in [[colour] for colour in COLOURS] else ANIMALS)
