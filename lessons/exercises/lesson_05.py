"""Lesson 05, putting it together: a push by a gradient, guidance, captions left out, and a fast artist."""

import random
from functools import cache

import torch
from PIL import Image
from torch import Tensor

from exercises import Wrong, attempt, compare
from minit2i import viz
from minit2i.checkpoint import load_model
from minit2i.evaluate.judge import Judge, verdicts
from minit2i.images import to_pil
from minit2i.samplers import SAMPLERS
from minit2i.text2image import TextToImage
from minit2i.world import scenes
from minit2i.world.captions import full_caption, short_caption

# ---- 05.1 ----


def push(x_0_hat: Tensor, g: Tensor, s: float, bar: float) -> Tensor:
    return x_0_hat + s * (1 - bar) / bar**0.5 * g


push_test = compare(
    push,
    [
        (torch.tensor([0.5, -1.0]), torch.tensor([1.0, 2.0]), 2.0, 0.25),
        (torch.tensor([0.5, -1.0]), torch.tensor([-1.0, 0.5]), 0.5, 0.81),
    ],
    {
        "nothing is pushed": lambda x_0_hat, g, s, bar: x_0_hat,
        "the gradient is added without the fraction": lambda x_0_hat, g, s, bar: x_0_hat + s * g,
        "it is pushed the other way": lambda x_0_hat, g, s, bar: push(x_0_hat, -g, s, bar),
        "alpha_bar stands under the line without its root": lambda x_0_hat, g, s, bar: (
            x_0_hat + s * (1 - bar) / bar * g
        ),
        "the guess itself is lost: add the push to it": lambda x_0_hat, g, s, bar: push(
            0 * x_0_hat, g, s, bar
        ),
    },
)

# ---- 05.2 ----


def guidance(without: Tensor, with_words: Tensor, s: float) -> Tensor:
    return without + s * (with_words - without)


PAIR = (torch.tensor([0.0, 0.5, -0.2]), torch.tensor([0.1, 0.5, 0.4]))


@cache
def two_guesses() -> tuple[Tensor, Tensor]:
    """Two flat pictures to exaggerate between: greyish, and a little blue."""
    plain = torch.zeros(1, 3, 16, 16)
    bluish = torch.tensor([-0.15, -0.05, 0.2]).view(1, 3, 1, 1).expand(1, 3, 16, 16)
    return plain, bluish


guidance_test = compare(
    guidance,
    [(*PAIR, 0.0), (*PAIR, 1.0), (*PAIR, 3.0)],
    {
        "the words are ignored": lambda without, with_words, s: without,
        "the roles are swapped: s = 0 should leave the guess without words": lambda without, with_words, s: (
            with_words + s * (without - with_words)
        ),
        "the difference is added to the wrong guess, the one with words": lambda without, with_words, s: (
            with_words + s * (with_words - without)
        ),
        "the difference is taken the wrong way round": lambda without, with_words, s: (
            without + s * (without - with_words)
        ),
    },
    lambda answer: to_pil(torch.cat([answer(*two_guesses(), s) for s in (0.0, 1.0, 2.0, 4.0)])),
)

# ---- 05.3 ----


def drop_test(answer) -> None:
    captions = [f"caption {i}" for i in range(10_000)]
    before, rng = list(captions), random.Random(0)
    got = attempt(answer, (captions, rng))
    if captions != before:
        raise Wrong("Your function changes the list that it is given. Make a new one.")
    if not isinstance(got, list) or len(got) != len(captions):
        raise Wrong(
            "Return a list of the same length. A caption is replaced by an empty text, not taken out."
        )
    if any(ours not in ("", theirs) for ours, theirs in zip(got, captions, strict=True)):
        raise Wrong("The captions that stay must stay as they are, and in their places.")
    empty = got.count("") / len(got)
    if not 0.08 < empty < 0.12:
        raise Wrong(f"Of 10,000 captions {empty:.0%} are left empty; about 10 % are asked for.")
    if rng.getstate() == random.Random(0).getstate():
        raise Wrong("It does not draw from the rng that it is given, so no seed would make it repeatable.")


# ---- 05.4 ----


@cache
def artist() -> tuple[TextToImage, Judge, list[scenes.Scene]]:
    """The pretrained networks, the judge, and 40 scenes of the training split to ask for."""
    judge = load_model("judge")
    return TextToImage.load(), judge, [scenes.draw_scene(501, i, "train") for i in range(40)]


def settings_test(answer, wanted: int = 34) -> Image.Image:
    settings = answer()
    if not isinstance(settings, dict) or set(settings) != {"sampler", "steps", "guidance_scale"}:
        raise Wrong('Return a dictionary with "sampler", "steps" and "guidance_scale".')
    if settings["sampler"] not in SAMPLERS:
        raise Wrong(f"The samplers are {', '.join(SAMPLERS)}.")
    if not 1 <= settings["steps"] <= 4:
        raise Wrong("At most 4 steps are allowed.")
    t2i, judge, asked = artist()
    drawn = t2i.draw([full_caption(scene) for scene in asked], seed=0, **settings)
    right = int(verdicts(judge, drawn, asked)["joint"].sum())
    picture = viz.grid(to_pil(drawn[:8]), columns=8, side=128, captions=[short_caption(s) for s in asked[:8]])
    if right < wanted:
        raise Wrong(f"The judge finds {right} of 40 right in everything; {wanted} are asked for.", picture)
    print(f"{right} of 40 are right in everything.")
    return picture


EXERCISES = {"05.1": push_test, "05.2": guidance_test, "05.3": drop_test, "05.4": settings_test}
