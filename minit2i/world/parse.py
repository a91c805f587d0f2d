"""From a prompt back to a scene: what it asks for is looked up in lists of words, the rest is left open."""

import difflib
import re
from dataclasses import replace
from functools import cache

from minit2i.tokenizer import words_of

from .captions import word_lists
from .noise_words import wording
from .render import framed
from .scenes import ATTRIBUTES, COLOURS, Scene

DENIED = (
    " (?:no|not|without|minus|remove|delete|drop|lose|get rid of|take off|take away|not wearing|"
    "do not (?:put|want|wear|add|give it))(?: on)?(?: (?:a|an|any|the|its|his|her|that|this))?"
)
EDIT_WORDS = frozenset(re.findall("[a-z]+", DENIED))  # obeyed, though no caption has them


def plain(text: str) -> str:
    """The words of a text, with single spaces between them."""
    return " ".join(words_of(text))


@cache
def vocabulary() -> dict[str, dict[str, str]]:
    """For each attribute the ways to name its values, the longest first: {"animal": {"kitty cat": "cat"}}."""
    names, none = {}, {"headwear": wording()["bare"], "eyewear": wording()["clear"]}
    for attribute, values in ATTRIBUTES.items():
        others = wording()["backgrounds" if attribute == "background" else "other words"]
        ways = {}
        for value in (value for value in values if value != "none"):
            said = (value, *word_lists()["other words"].get(value, ()), *others.get(value, ()))
            ways |= {plain(way): value for way in said}
        ways |= {plain(way): "none" for way in none.get(attribute, ())}
        names[attribute] = dict(sorted(ways.items(), key=lambda item: -len(item[0])))
    return names


def parse_prompt(prompt: str) -> dict[str, str]:
    """What a prompt says of a scene: {"animal": "cat", "headwear": "crown", "colour": "red"}.

    Words are looked up, the longest first; what is in no list is not understood. A colour beside a word for
    the background is that of the background, one before an animal is its own, any other that of the hat.
    """
    text, names, found = f" {plain(prompt)} ", vocabulary(), {}
    text = re.sub(r" (?:take|put) (.{1,40}?) (?:off|away) ", r" remove \1 ", text)

    def cut(pattern: str, every: bool = False) -> bool:
        """Take what fits out of the text, once; says whether there was any."""
        nonlocal text
        text, count = re.subn(f"{pattern} ", " , ", text, count=0 if every else 1)
        return count > 0

    def take(attribute: str, before: str = "", after: str = "") -> None:
        for way, value in names[attribute].items():
            if attribute not in found and f" {way} " in text and cut(f"{before} {re.escape(way)}{after}"):
                found[attribute] = value

    places = "|".join(sorted({re.escape(plain(word)) for word in wording()["background"]}))
    colours = "|".join(map(re.escape, names["colour"]))
    take("background", after=f" (?:{places})")  # "green wall"
    take("background", before=f" (?:{places})(?: colou?r)?(?: is| to| :| in| =)?")  # "the wall is green"
    for start, end in (way.split("{}") for way in wording()["only colour"]):  # "with green behind it"
        ends = plain(end) and f" {re.escape(plain(end))}"
        take("background", before=f" {re.escape(plain(start))}", after=ends)
    # A wall of a colour that there is not, is no hat of that colour
    cut(f" (?:{places})(?: colou?r)?(?: is| to)? (?:{colours})", every=True)
    cut(f" (?:{colours}) (?:{places})", every=True)
    take("animal", before=f"(?: (?:{colours}))?")
    for attribute, others in (("eyewear", ""), ("headwear", "|hats?")):
        ways = "|".join(map(re.escape, names[attribute]))
        if cut(f"{DENIED}(?: (?:{colours}))? (?:{ways}{others})"):
            found[attribute] = "none"
    for attribute in ("eyewear", "headwear", "colour", "style"):
        take(attribute)
    if found.get("headwear") == "none":
        found["colour"] = "none"
    return found


def apply_prompt(scene: Scene, head: list[float], prompt: str) -> Scene:
    """The scene that a prompt asks for, seen from one that is there: what it leaves open stays as it is, and
    the head stays in its square (see `framed`). A new hat without a colour is red."""
    wanted = replace(scene, **parse_prompt(prompt))
    colour = COLOURS[0] if wanted.colour == "none" else wanted.colour
    return framed(replace(wanted, colour="none" if wanted.headwear == "none" else colour), head)


def suggest_words(prompt: str, word: str) -> list[str]:
    """What to say instead of an unknown word of a prompt: what it may be a typing error for, or all there is
    of its kind, as the word after it tells, or else the last one before it that ties things together."""
    said, (before, _, after) = parse_prompt(prompt), f" {plain(prompt)} ".partition(f" {word} ")
    ties = re.findall(r"\b(?:in front of|in|with|has|wears|wearing|on|against|behind)\b|,", before)
    tie = ties[-1] if ties else ""
    hats = ("hat", *(way for way, value in vocabulary()["headwear"].items() if value != "none"))
    if after.startswith(tuple(f"{plain(way)} " for way in wording()["background"])):
        kind = "background"
    elif after.startswith(tuple(f"{way} " for way in hats)):
        kind = "colour"
    elif after.startswith("style"):
        kind = "style"
    elif tie in ("with", "has", "wears", "wearing") or (tie in ("in", ",") and "headwear" not in said):
        kind = "headwear"
    else:
        kind = "background" if tie and "animal" in said else "animal"
    for name in (kind, *(name for name in ATTRIBUTES if name not in said)):
        values = [value for value in ATTRIBUTES[name] if value != "none"]
        if near := difflib.get_close_matches(word, " ".join(values).split(), n=3, cutoff=0.75):
            return list(dict.fromkeys(near))
    return [value for value in ATTRIBUTES[kind] if value != "none"]
