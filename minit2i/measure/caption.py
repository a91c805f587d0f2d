"""Does it tell what is to be seen, answer what is asked, and know what it cannot know?"""

import random
from collections import defaultdict

import torch
from torch import Tensor
from tqdm import tqdm

from minit2i.caption import DESCRIBE, Captioner, write
from minit2i.captions import full_caption
from minit2i.judge import Judge, verdicts
from minit2i.pictures import to_float
from minit2i.questions import BEYOND_HELD_OUT, QUESTIONS, Asked, ask, beyond, unseen_things
from minit2i.scenes import draw_scene
from minit2i.talk import Talker
from minit2i.training.batches import scene_pictures
from minit2i.training.caption import pictures_of

from .shares import OTHER_SEED, REAL_SEED, share


def exam(n: int, split: str) -> list[Asked]:
    """n questions, as many of each kind; twice as many about what no picture holds, of words and sentences
    that training never used."""
    rng, things = random.Random(f"questions {REAL_SEED}"), unseen_things(seen=False)
    kinds, asked = [*QUESTIONS, "beyond", "beyond"], []
    for i in range(n):
        scene, other = (draw_scene(seed, i, split) for seed in (REAL_SEED, OTHER_SEED))
        one = ask(kinds[i % len(kinds)], scene, other, rng, things)
        if one.kind == "beyond":
            one = one._replace(question=beyond(rng, things, BEYOND_HELD_OUT))
        asked.append(one)
    return asked


def answers(model: Captioner, tokenizer, tokens: Tensor, asked: list[Asked]) -> list[str]:
    """An answer to each question, each with its picture's tokens (n, P, W); those alike are asked at once."""
    alike = defaultdict(list)
    for i, one in enumerate(asked):
        alike[one.question].append(i)
    result = [""] * len(asked)
    for question, places in tqdm(alike.items(), "answering", leave=False, delay=1):
        for i, text in zip(places, write(model, tokenizer, tokens[places], question), strict=True):
            result[i] = text
    return result


def measure_captions(
    talker: Talker, blind: Captioner, judge: Judge, n: int, seed: int, split: str = "held_out"
) -> dict:
    """Captions of n scenes; answers to n questions, also with the pictures shuffled, and of a model that was
    trained without pictures; captions of drawn pictures, and pictures drawn from captions.

    A caption is right if it is, word for word, what says all of the scene.
    """
    pixels, scenes = scene_pictures(split, n, 64, seed=REAL_SEED)
    real, told = to_float(pixels), [full_caption(scene) for scene in scenes]
    model, tokenizer = talker.captioner, talker.t2i.tokenizer

    def described(pictures: Tensor) -> list[str]:
        return [
            text
            for i in tqdm(range(0, len(pictures), 100), "describing, 100 at a time", leave=False, delay=1)
            for text in talker.answer(pictures[i : i + 100], DESCRIBE)
        ]

    said = described(real)
    m = max(1, n // 4)
    parts = [
        talker.t2i.draw(said[i : min(i + 50, m)], seed=1000 * seed + i // 50).cpu()
        for i in tqdm(range(0, m, 50), "drawing what was told, 50 at a time")
    ]
    again = torch.cat(parts)
    asked = exam(max(n, 26), split)
    tokens = torch.cat([talker.look(part) for part in pictures_of(asked).split(100)])
    shuffled = tokens[torch.randperm(len(tokens), generator=torch.Generator().manual_seed(seed))]
    given = {
        "answers": answers(model, tokenizer, tokens, asked),
        "answers, pictures shuffled": answers(model, tokenizer, shuffled, asked),
        "answers, blind": answers(blind, tokenizer, torch.zeros_like(tokens), asked),
    }
    right = {
        name: torch.tensor([text == one.answer for text, one in zip(texts, asked, strict=True)])
        for name, texts in given.items()
    }
    beyond = torch.tensor([one.kind == "beyond" for one in asked])
    return {
        "captions": share(torch.tensor([a == b for a, b in zip(said, told, strict=True)])),
        "drawn_again": share(verdicts(judge, again, scenes[:m])["joint"]),
        "captions_of_drawn": share(
            torch.tensor([a == b for a, b in zip(described(again), said[:m], strict=True)])
        ),
        "cannot_tell": share(right["answers"][beyond]),
        **{name: share(of[~beyond]) for name, of in right.items()},
        "kinds": {
            kind: share(right["answers"][torch.tensor([one.kind == kind for one in asked])])
            for kind in QUESTIONS
        },
    }
