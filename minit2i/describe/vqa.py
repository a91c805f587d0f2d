"""Visual question answering (VQA): pictures to ask about, and questions about them whose answers are known.

All pictures are made from scenes: no animal, one somewhere, or two side by side. Questions are balanced: who
answers without looking is wrong about as often as can be.
Papers: Antol et al. 2015 (VQA), Goyal et al. 2017 (why to balance it).
"""

import random
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from PIL import Image
from torch import Tensor

from minit2i.images import to_tensor
from minit2i.tokenizer import Tokenizer
from minit2i.utils import progress
from minit2i.world.captions import full_caption, short_caption, with_article, word_lists
from minit2i.world.noise_words import meaningless_words
from minit2i.world.render import paints, render
from minit2i.world.scenes import ANIMALS, BACKGROUNDS, COLOURS, EYEWEAR, HEADWEAR, Scene, world_data

from .captioner import DESCRIBE, UNKNOWN, Captioner, write

# ---- Pictures ----

SIDES = {"left": -1, "in the middle": 0, "right": 1}


class View(NamedTuple):
    """A picture to ask about: the scenes that stand in it (none, one, or two, from left to right), its
    background, and on which side a single one stands."""

    scenes: tuple[Scene, ...]
    background: str
    side: str = "in the middle"


def at_a_side(scene: Scene, rng: random.Random) -> View:
    """The scene, small, on the left, on the right or in the middle."""
    side, size = rng.choice(list(SIDES)), rng.uniform(0.55, 0.68)
    room = 0.49 - size / 2
    x = SIDES[side] * rng.uniform(0.75, 1) * room + (side == "in the middle") * rng.uniform(-0.03, 0.03)
    return View((replace(scene, x=x, y=rng.uniform(-room, room), size=size),), scene.background, side)


def side_by_side(scene: Scene, other: Scene, rng: random.Random) -> View:
    """Two scenes on one background; the second is another animal."""
    if other.animal == scene.animal:  # bare: another animal in this hat may be held out
        animal = rng.choice([a for a in ANIMALS if a != scene.animal])
        other = replace(other, animal=animal, headwear="none", colour="none")
    pair = [
        replace(s, background=scene.background, x=x, y=rng.uniform(-0.1, 0.1), size=rng.uniform(0.42, 0.48))
        for s, x in ((scene, -0.25), (other, 0.25))
    ]
    return View(tuple(pair), scene.background)


def view_for(kind: str, scene: Scene, other: Scene, rng: random.Random) -> View:
    """A picture for a question of this kind, so that no answer is much likelier than another."""
    if kind != "describe":
        if rng.random() < {"missing": 0.5, "there": 0.4}.get(kind, 0.25):
            scene = replace(scene, headwear="none", colour="none")
        worn = "glasses" if kind == "missing" else rng.choice(EYEWEAR[1:])
        clear = rng.random() < (0.5 if kind == "missing" else 1 / 3)
        scene = replace(scene, eyewear="none" if clear else worn)
    nobody, alone = View((), scene.background), View((scene,), scene.background)
    if kind == "how many":
        return rng.choice((nobody, alone, side_by_side(scene, other, rng)))
    if kind == "side":
        return side_by_side(scene, other, rng) if rng.random() < 0.5 else at_a_side(scene, rng)
    chance = rng.random()
    if kind in ("describe", "background", "beyond", "animal", "is it", "there") and chance < 0.04:
        return nobody
    if kind in ("describe", "background", "beyond") and chance < 0.14:
        return side_by_side(scene, other, rng)
    return at_a_side(scene, rng) if chance > 0.85 else alone


def render_view(view: View, size: int = 64) -> Image.Image:
    """The picture of a view, size x size."""
    if not view.scenes:
        return Image.new("RGB", (size, size), tuple(paints()["backgrounds"][view.background]))
    picture = render(view.scenes[0], size)
    if len(view.scenes) == 2:  # the right half is the other one's
        half = size // 2
        picture.paste(render(view.scenes[1], size).crop((half, 0, size, size)), (half, 0))
    return picture


def description(view: View) -> str:
    """What is to be seen: "a cat wearing a blue baseball cap on a green background". Of two animals, what
    eyewear they have is left out."""
    if len(view.scenes) == 1:
        return full_caption(view.scenes[0])
    who = " and ".join(short_caption(scene) for scene in view.scenes) or "nothing"
    return f"{who} on {with_article(view.background)} background"


# ---- Questions ----

QUESTIONS = (  # the kinds whose answers a picture shows
    "animal", "is it", "there", "hat", "hat colour", "worn", "background", "is coloured", "glasses", "wears",
    "how many", "missing", "side",
)  # fmt: skip
phrases = partial(world_data, "questions")  # ways to put a question, written by hand


def called(name: str, rng: random.Random) -> str:
    """The name of a thing, or now and then another word for it."""
    return rng.choice(word_lists()["other words"].get(name, [name])) if rng.random() < 0.2 else name


def truth_or(truth: str, others: Sequence[str], rng: random.Random, chance: float = 0.5) -> str:
    """What to name in a question for yes or no: with this chance the truth, if there is one, or another."""
    return truth if truth != "none" and rng.random() < chance else rng.choice(others)


def question_about(kind: str, view: View, rng: random.Random) -> tuple[str, str]:
    """A question of this kind, one of QUESTIONS, about a view, and its answer."""
    scene = view.scenes[0] if view.scenes else Scene("none", "none", "none", "none", view.background, "none")
    animal, hat, colour, eyewear = scene.animal, scene.headwear, scene.colour, scene.eyewear

    def put(kind: str = kind) -> str:
        return rng.choice(phrases()[kind])

    match kind:
        case "animal" | "hat":
            named = animal if kind == "animal" else hat
            return put(), "nothing" if named == "none" else with_article(named)
        case "is it":
            bears = {"bear", "polar bear", "panda", "koala"}  # nobody is asked whether a polar bear is a bear
            named = truth_or(animal, [a for a in ANIMALS if a != animal and not {a, animal} <= bears], rng)
            return put().format(with_article(called(named, rng))), "yes" if named == animal else "no"
        case "there":
            thing = rng.choice(("animal", "hat", "any hat"))
            if thing == "any hat" or (thing == "hat" and not view.scenes):
                return "is there a hat", "yes" if hat != "none" else "no"
            question, answer = question_about("wears" if thing == "hat" else "is it", view, rng)
            return re.sub("^is (it|this)( wearing)?", "is there", question), answer
        case "hat colour":
            thing = called(hat, rng) if hat != "none" and rng.random() < 0.3 else "hat"
            question = put().format(put("spelling"), thing)
            return question, "there is no hat" if hat == "none" else colour
        case "worn":
            worn = [] if hat == "none" else [with_article(f"{colour} {hat}")]
            worn += [] if eyewear == "none" else [eyewear]
            return put(), " and ".join(worn) or "nothing"
        case "background":
            spelling, question = put("spelling"), put()
            return question.format(spelling), view.background
        case "is coloured":
            things = ("hat", colour, COLOURS), ("background", view.background, BACKGROUNDS)
            thing, truth, colours = rng.choice(things)
            named = truth_or(truth, [c for c in colours if c != truth], rng)
            if truth == "none":
                return f"is the hat {named}", "there is no hat"
            whose = rng.choice(("the", "its")) if thing == "hat" else "the"
            return f"is {whose} {thing} {named}", "yes" if named == truth else "no"
        case "glasses":
            if rng.random() < 0.4:
                return put(), "nothing" if eyewear == "none" else eyewear
            named = truth_or(eyewear, EYEWEAR[1:], rng)
            return put("wears glasses").format(named), "yes" if named == eyewear else "no"
        case "wears":
            if rng.random() < (0.4 if hat == "none" else 0.15):
                return put(), "yes" if hat != "none" else "no"
            named = truth_or(hat, HEADWEAR, rng, chance=0.6)
            return f"is it wearing {with_article(called(named, rng))}", "yes" if named == hat else "no"
        case "how many":
            return put(), ("none", "one", "two")[len(view.scenes)]
        case "missing":
            answers = {(True, True): "both", (True, False): "the hat", (False, True): "the glasses"}
            return put(), answers.get((hat == "none", eyewear == "none"), "nothing")
        case "side":
            i, alone = rng.randrange(len(view.scenes)), len(view.scenes) == 1
            side = view.side if alone else ("left", "right")[i]
            if alone and rng.random() < 0.4:
                return put("side of one"), side
            return put().format(called(view.scenes[i].animal, rng)), side
        case _:
            raise ValueError(f"there is no kind of question {kind!r}")


def unseen_things(seen: bool) -> list[str]:
    """Words for what is in no picture: one half to train with, the other to measure (`meaningless_words`)."""
    # Those that are visible mean nothing in a prompt, but can be seen
    return [word for word in meaningless_words(seen) if word not in phrases()["visible"]]


def beyond(rng: random.Random, things: list[str], kind: str = "beyond") -> str:
    """A question about what the picture does not hold: a phrase of this kind, or one about one of `things`,
    words for what is in no picture."""
    if rng.random() < 0.3:
        return rng.choice(phrases()[kind])
    return rng.choice(phrases()["beyond, of a thing"]).format(rng.choice(things))


class Question(NamedTuple):
    """A question about a view, its answer, and its kind: one of QUESTIONS, "describe" or "beyond"."""

    kind: str
    view: View
    question: str
    answer: str


def ask(kind: str, scene: Scene, other: Scene, rng: random.Random, things: list[str]) -> Question:
    """A question of this kind, and a picture for it. things: see `beyond`."""
    view = view_for(kind, scene, other, rng)
    if kind == "describe":
        question = DESCRIBE if rng.random() < 0.5 else rng.choice(phrases()[kind])
        return Question(kind, view, question, description(view))
    if kind == "beyond":
        return Question(kind, view, beyond(rng, things), UNKNOWN)
    return Question(kind, view, *question_about(kind, view, rng))


def pictures_of(questions: list[Question], size: int = 64) -> Tensor:
    """The pictures that are asked about: (B, 3, size, size) in [-1, 1]."""
    return to_tensor([render_view(one.view, size) for one in progress(questions, "rendering")])


def answers(model: Captioner, tokenizer: Tokenizer, tokens: Tensor, questions: list[Question]) -> list[str]:
    """An answer to each question, each with its picture's tokens (n, P, W); those alike are asked at once."""
    alike = defaultdict(list)
    for i, one in enumerate(questions):
        alike[one.question].append(i)
    parts = [rows[i : i + 100] for rows in alike.values() for i in range(0, len(rows), 100)]
    texts = {}
    for rows in progress(parts, "answering"):
        written = write(model, tokenizer, tokens[rows], questions[rows[0]].question)
        texts |= dict(zip(rows, written, strict=True))
    return [texts[i] for i in range(len(questions))]
