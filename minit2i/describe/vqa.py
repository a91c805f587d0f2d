"""Questions about pictures, with their answers: what, which colour, how many, where, and what nobody knows.

Questions are balanced: who answers without looking is wrong about as often as can be.
"""

import random
import re
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from minit2i.world.captions import with_article, word_lists
from minit2i.world.noise_words import meaningless_words
from minit2i.world.scenes import ANIMALS, BACKGROUNDS, COLOURS, EYEWEAR, HEADWEAR, Scene

from .captioner import DESCRIBE, UNKNOWN
from .views import View, at_a_side, description, side_by_side


class Question(NamedTuple):
    """A question about a view, its answer, and its kind: a key of QUESTIONS, "describe" or "beyond"."""

    kind: str
    view: View
    question: str
    answer: str


def view_for(kind: str, scene: Scene, other: Scene, rng: random.Random) -> View:
    """A picture for a question of this kind, so that no answer is much likelier than another."""
    if kind != "describe":
        bare = {"missing": 0.5, "there": 0.4}.get(kind, 0.25)
        clear = 0.5 if kind == "missing" else 1 / 3
        if rng.random() < bare:
            scene = replace(scene, headwear="none", colour="none")
        worn = "glasses" if kind == "missing" else rng.choice(EYEWEAR[1:])
        scene = replace(scene, eyewear="none" if rng.random() < clear else worn)
    if kind == "how many":
        return rng.choice(
            (View((), scene.background), View((scene,), scene.background), side_by_side(scene, other, rng))
        )
    if kind == "side":
        return side_by_side(scene, other, rng) if rng.random() < 0.5 else at_a_side(scene, rng)
    chance = rng.random()
    if kind in ("describe", "background", "beyond", "animal", "is it", "there") and chance < 0.04:
        return View((), scene.background)
    if kind in ("describe", "background", "beyond") and chance < 0.14:
        return side_by_side(scene, other, rng)
    return at_a_side(scene, rng) if chance > 0.85 else View((scene,), scene.background)


# ---- Questions. Each is given a view and chance, and returns a question and its answer ----


def called(name: str, rng: random.Random) -> str:
    """The name of a thing, or now and then another word for it."""
    return rng.choice(word_lists()["other words"].get(name, [name])) if rng.random() < 0.2 else name


def what_animal(view: View, rng: random.Random) -> tuple[str, str]:
    asked = rng.choice(("what animal is this", "which animal is it", "who is that", "what is it"))
    return asked, with_article(view.scenes[0].animal) if view.scenes else "nothing"


def is_it(view: View, rng: random.Random) -> tuple[str, str]:
    animal = view.scenes[0].animal if view.scenes else ""
    # Nobody is asked whether a polar bear is a bear
    others = [
        a for a in ANIMALS if a != animal and not {a, animal} <= {"bear", "polar bear", "panda", "koala"}
    ]
    named = animal if animal and rng.random() < 0.5 else rng.choice(others)
    asked = rng.choice(("is it {}", "is this {}")).format(with_article(called(named, rng)))
    return asked, "yes" if named == animal else "no"


def is_there(view: View, rng: random.Random) -> tuple[str, str]:
    kind = rng.choice(("animal", "hat", "any hat"))
    if kind == "any hat" or (kind == "hat" and not view.scenes):
        bare = not view.scenes or view.scenes[0].headwear == "none"
        return "is there a hat", "no" if bare else "yes"
    if kind == "hat":
        asked, answer = wears_hat(view, rng)
        return asked.replace("is it wearing", "is there"), answer
    asked, answer = is_it(view, rng)
    return re.sub("^is (it|this)", "is there", asked), answer


def what_hat(view: View, rng: random.Random) -> tuple[str, str]:
    hat = view.scenes[0].headwear
    asked = rng.choice(("what is on its head", "what hat is it wearing", "what does it wear on its head"))
    return asked, "nothing" if hat == "none" else with_article(hat)


def what_it_wears(view: View, rng: random.Random) -> tuple[str, str]:
    scene = view.scenes[0]
    worn = [] if scene.headwear == "none" else [with_article(f"{scene.colour} {scene.headwear}")]
    worn += [] if scene.eyewear == "none" else [scene.eyewear]
    return rng.choice(("what is it wearing", "what does it wear")), " and ".join(worn) or "nothing"


def hat_colour(view: View, rng: random.Random) -> tuple[str, str]:
    scene = view.scenes[0]
    hat = called(scene.headwear, rng) if scene.headwear != "none" and rng.random() < 0.3 else "hat"
    asked = rng.choice(
        ("what {} is the {}", "which {} is its {}", "what {} is its {}", "which {} does the {} have")
    )
    asked = asked.format(rng.choice(("colour", "colour", "color")), hat)
    return asked, "there is no hat" if scene.headwear == "none" else scene.colour


def background(view: View, rng: random.Random) -> tuple[str, str]:
    colour = rng.choice(("colour", "colour", "color"))
    asked = rng.choice(("what {} is the background", "which {} is the background", "what is behind it"))
    return asked.format(colour), view.background


def is_coloured(view: View, rng: random.Random) -> tuple[str, str]:
    scene = view.scenes[0]
    what, true, all_colours = rng.choice(
        (("hat", scene.colour, COLOURS), ("background", scene.background, BACKGROUNDS))
    )
    named = (
        true if true != "none" and rng.random() < 0.5 else rng.choice([c for c in all_colours if c != true])
    )
    if what == "hat" and true == "none":
        return f"is the hat {named}", "there is no hat"
    whose = rng.choice(("the", "its")) if what == "hat" else "the"
    return f"is {whose} {what} {named}", "yes" if named == true else "no"


def wears_glasses(view: View, rng: random.Random) -> tuple[str, str]:
    worn = view.scenes[0].eyewear
    if rng.random() < 0.4:
        asked = rng.choice(
            ("what is in front of its eyes", "what eyewear is it wearing", "what is on its nose")
        )
        return asked, "nothing" if worn == "none" else worn
    named = worn if worn != "none" and rng.random() < 0.5 else rng.choice(EYEWEAR[1:])
    asked = rng.choice(("is it wearing {}", "does it wear {}", "does it have {}")).format(named)
    return asked, "yes" if named == worn else "no"


def wears_hat(view: View, rng: random.Random) -> tuple[str, str]:
    worn = view.scenes[0].headwear
    if rng.random() < (0.4 if worn == "none" else 0.15):
        asked = rng.choice(("is it wearing a hat", "does it wear a hat", "does it have a hat"))
        return asked, "no" if worn == "none" else "yes"
    named = worn if worn != "none" and rng.random() < 0.6 else rng.choice(HEADWEAR)
    return f"is it wearing {with_article(called(named, rng))}", "yes" if worn == named else "no"


def how_many(view: View, rng: random.Random) -> tuple[str, str]:
    asked = rng.choice(("how many animals are there", "how many animals do you see", "how many are there"))
    return asked, ("none", "one", "two")[len(view.scenes)]


def missing(view: View, rng: random.Random) -> tuple[str, str]:
    lacks = view.scenes[0].headwear == "none", view.scenes[0].eyewear == "none"
    answers = {(True, True): "both", (True, False): "the hat", (False, True): "the glasses"}
    asked = rng.choice(("what is missing a hat or glasses", "which is missing the hat or the glasses"))
    return asked, answers.get(lacks, "nothing")


def which_side(view: View, rng: random.Random) -> tuple[str, str]:
    i = rng.randrange(len(view.scenes))
    side = view.side if len(view.scenes) == 1 else ("left", "right")[i]
    if len(view.scenes) == 1 and rng.random() < 0.4:
        return rng.choice(("on which side is it", "where in the picture is it", "where is it")), side
    asked = rng.choice(("on which side is the {}", "where is the {}"))
    return asked.format(called(view.scenes[i].animal, rng)), side


Maker = Callable[[View, random.Random], tuple[str, str]]
QUESTIONS: dict[str, Maker] = {
    "animal": what_animal, "is it": is_it, "there": is_there, "hat": what_hat, "hat colour": hat_colour,
    "worn": what_it_wears, "background": background, "is coloured": is_coloured, "glasses": wears_glasses,
    "wears": wears_hat, "how many": how_many, "missing": missing, "side": which_side,
}  # fmt: skip
BEYOND = (
    "what is its name", "how old is it", "where does it live", "what time is it", "is it hungry",
    "who made the hat", "what is it thinking", "does it like music", "how heavy is it",
    "what will it do next", "why is it here", "who drew it", "is it a boy or a girl", "can it swim",
    "what did it do yesterday", "how much does the hat cost", "where was this taken", "who owns it",
    "is it married", "does it speak french", "what is it waiting for", "how fast can it run", "is it tired",
    "what season is it", "does it have children", "where did it buy the hat", "what is the weather like",
    "is it afraid", "whose birthday is it", "which country is it from",
)  # fmt: skip
BEYOND_HELD_OUT = (  # only to measure with
    "when was it born", "who is its mother", "what does it eat", "can it fly", "is it thirsty",
    "how tall is it", "what is its favourite food", "who gave it the hat", "where is it going",
    "does it like cheese", "what day is it", "is it asleep at night", "how many friends does it have",
    "what is it called", "why is it wearing that", "who took the picture",
)  # fmt: skip
OF_THINGS = ("what colour is the {}", "what color is its {}", "where is the {}", "who has the {}")


# Words that mean nothing in a prompt, but can be seen
VISIBLE = (
    "head", "eye", "eyes", "nose", "ear", "ears", "mouth", "face", "hair", "fur", "left", "right", "top",
    "middle", "side", "one", "two", "three", "color", "colour", "picture", "image", "animal", "animals",
    "background", "hat", "glasses", "thing", "things", "something", "bottom", "body", "teeth", "neck",
    "shape", "corner", "edge", "center", "figure", "object", "images", "colors", "pictures",
)  # fmt: skip


def unseen_things(seen: bool) -> list[str]:
    """Words for what is in no picture: one half to train with, the other to measure (see clutter.py)."""
    return [word for word in meaningless_words(seen) if word not in VISIBLE]


def beyond(rng: random.Random, things: list[str], sentences: tuple[str, ...] = BEYOND) -> str:
    """A question about what the picture does not hold: one of these sentences, or one of a thing.

    things: words for what is in no picture.
    """
    return rng.choice(sentences) if rng.random() < 0.3 else rng.choice(OF_THINGS).format(rng.choice(things))


DESCRIBING = (
    DESCRIBE,
    "what do you see",
    "describe the picture",
    "what does the picture show",
    "describe it",
)


def ask(kind: str, scene: Scene, other: Scene, rng: random.Random, things: list[str]) -> Question:
    """A question of this kind, and a picture for it. things: see `beyond`."""
    view = view_for(kind, scene, other, rng)
    if kind == "describe":
        return Question(
            kind, view, DESCRIBE if rng.random() < 0.5 else rng.choice(DESCRIBING), description(view)
        )
    if kind == "beyond":
        return Question(kind, view, beyond(rng, things), UNKNOWN)
    return Question(kind, view, *QUESTIONS[kind](view, rng))
