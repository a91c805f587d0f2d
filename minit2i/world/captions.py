"""From a scene to words: "a cat wearing a blue baseball cap", said in one of very many ways."""

import random
from functools import partial

from .scenes import Scene, world_data

word_lists = partial(world_data, "words")  # openings, and other words for a thing


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
    if scene.eyewear != "none" and scene.headwear == "none":
        text = f"{with_article(scene.animal)} with {scene.eyewear} and no hat"
    elif scene.eyewear != "none":
        text += f" and {scene.eyewear}"
    return f"{text} on {with_article(scene.background)} background"


def said_in_full(scene: Scene) -> str:
    """The same, and also that there are no glasses, if there are none: for an edit, which leaves as it is
    what it is not told."""
    text = full_caption(scene)
    return f"{text} and no glasses" if scene.eyewear == "none" else text


def caption(scene: Scene, rng: random.Random) -> str:
    """Say what a scene shows as people might: other words, another order, things left unsaid.

    All that is said is true, and a colour stands right before its hat, so no caption of a training scene
    names a held-out triple.
    """

    def word(name: str) -> str:
        return rng.choice(word_lists()["other words"].get(name, [name])) if rng.random() < 0.3 else name

    telegram = rng.random() < 0.2  # "cat with blue cap, green background"
    article = (lambda phrase: phrase) if telegram else with_article
    worn = []
    if scene.headwear != "none" and rng.random() < 0.95:
        kind = "hat" if rng.random() < 0.04 else word(scene.headwear)
        worn.append(article(kind if rng.random() < 0.05 else f"{scene.colour} {kind}"))
    if scene.eyewear != "none" and rng.random() < 0.85:
        worn.append(word(scene.eyewear))
    verb = rng.choice(("wearing", "wearing", "wearing", "in", "with"))
    if scene.headwear == "none" and rng.random() < 0.5:
        worn, verb = [*worn, "no hat"], "with"
    text = article(word(scene.animal)) + (f" {verb} {' and '.join(worn)}" if worn else "")
    if not telegram and rng.random() < 0.3:
        text = f"{rng.choice(word_lists()['openings'])} {text}"

    place = article(f"{word(scene.background)} background")
    if rng.random() < 0.6:
        if telegram:
            text = f"{text}, {place}"
        elif rng.random() < 0.1:
            text = f"on {place}, {text}"
        else:
            text = f"{text} {rng.choice(('on', 'on', 'on', 'on', 'against', 'in front of'))} {place}"
    return f"{text} in {scene.style} style" if rng.random() < 0.1 else text
