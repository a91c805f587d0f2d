"""From a picture, and from words, back to a scene: what is to be seen, where the head is, what is asked for.

Who changes a picture has to know what is in it. CLIP's image tower has learnt to see; what its tokens know
is read off by a small network. What a prompt asks for is looked up in lists of words, and whatever it leaves
open stays as it is.

Shapes: B pictures, L D tokens of CLIP's image tower and their width.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor, nn

from .captions import WORDS
from .clip import CLIP
from .clutter import WORDING
from .device import device_of
from .render import framed
from .scenes import ATTRIBUTES, COLOURS, Scene
from .tokenizer import words_of

HEAD = 3  # numbers that say where a head is: left, top and side of its square, as fractions of the picture


@dataclass(frozen=True)
class ReaderConfig:
    """Sizes of a reader; `answers`: how many values each attribute of a scene has."""

    tokens: int = 16
    token_width: int = 160
    hidden: int = 256
    answers: tuple[int, ...] = tuple(len(values) for values in ATTRIBUTES.values())


class Reader(nn.Module):
    """CLIP's image tokens of a picture, side by side, through two layers: what it shows, and where."""

    def __init__(self, config: ReaderConfig):
        super().__init__()
        self.config = config
        width = config.tokens * config.token_width
        self.layers = nn.Sequential(
            nn.Linear(width, config.hidden), nn.SiLU(), nn.Linear(config.hidden, sum(config.answers) + HEAD)
        )

    def forward(self, tokens: Tensor) -> tuple[list[Tensor], Tensor]:
        """(B, L, D) -> the logits of each attribute, (B, values) each, and the head's square, (B, HEAD)."""
        *logits, head = self.layers(tokens.flatten(1)).split([*self.config.answers, HEAD], dim=1)
        return logits, head


@torch.no_grad()
def read(clip: CLIP, reader: Reader, pictures: Tensor) -> list[tuple[Scene, list[float]]]:
    """What each picture (B, 3, 64, 64) in [-1, 1] shows, as a scene, and the square of its head.

    The scene's x, y and size are those at which its head is there.
    """
    logits, heads = reader(clip.image.tokens(pictures.to(device_of(clip))))
    hat, colour = (list(ATTRIBUTES).index(name) for name in ("headwear", "colour"))
    bare = logits[hat].argmax(1) == 0
    # A hat has a colour, and no hat has none: whether there is one, the hat decides.
    logits[colour][:, 0] = torch.where(bare, torch.inf, -torch.inf)
    answers = torch.stack([logit.argmax(1) for logit in logits], dim=1).tolist()
    scenes = [
        Scene(**{name: values[i] for (name, values), i in zip(ATTRIBUTES.items(), row, strict=True)})
        for row in answers
    ]
    return [(framed(scene, head), head) for scene, head in zip(scenes, heads.tolist(), strict=True)]


# ---- Words ----


@lru_cache(maxsize=1)
def vocabulary() -> dict[str, dict[str, str]]:
    """For each attribute the ways to name its values: {"animal": {"kitty cat": "cat", ...}, ...}."""
    names: dict[str, dict[str, str]] = {}
    for attribute, values in ATTRIBUTES.items():
        names[attribute] = ways = {}
        for value in (value for value in values if value != "none"):
            if attribute == "background":
                said = WORDS["other words"].get(value, []) + WORDING["backgrounds"][value]
            else:
                said = WORDS["other words"].get(value, []) + WORDING["other words"].get(value, [])
            ways |= {plain(way): value for way in (value, *said)}
    names["headwear"] |= {plain(way): "none" for way in WORDING["bare"]}
    names["eyewear"] |= {plain(way): "none" for way in WORDING["clear"]}
    return names


def plain(text: str) -> str:
    """The words of a text, with single spaces between them."""
    return " ".join(words_of(text))


def said(prompt: str) -> dict[str, str]:
    """What a prompt says of a scene: {"animal": "cat", "headwear": "crown", "colour": "red"}.

    Words are looked up, the longest first; what is in no list is not understood. A colour before a
    "background" is that of the background, any other that of the hat.
    """
    text, names, found = f" {plain(prompt)} ", vocabulary(), {}

    def take(attribute: str, pattern: str = "{}") -> None:
        nonlocal text
        for way in sorted(names[attribute], key=len, reverse=True):
            match = re.search(pattern.format(re.escape(f" {way} ")), text)
            if match:
                found[attribute] = names[attribute][way]
                text = text[: match.start()] + " , " + text[match.end() :]
                return

    places = "|".join(sorted({re.escape(plain(word)) for word in WORDING["background"]}))
    take("background", f"{{}}(?=(?:{places}) )")  # "green wall"
    for before, after in (way.split("{}") for way in WORDING["only colour"]):
        if "background" not in found:  # "with green behind it"
            take("background", f"(?<={re.escape(plain(before))}){{}}(?={re.escape(plain(after))})")
    for attribute in ("eyewear", "headwear", "colour", "animal"):
        take(attribute)
    if "style" not in found:
        take("style")
    if found.get("headwear") == "none":
        found["colour"] = "none"
    return found


def asked(scene: Scene, head: list[float], prompt: str) -> Scene:
    """The scene that a prompt asks for, seen from one that is there: what it leaves open stays as it is.

    head: the square of the head that is there; it stays where it is. A new hat without a colour is red.
    """
    wanted = replace(scene, **said(prompt))
    if wanted.headwear == "none":
        wanted = replace(wanted, colour="none")
    elif wanted.colour == "none":
        wanted = replace(wanted, colour=COLOURS[0])
    return framed(wanted, head)
