"""Does it tell what is to be seen, answer what is asked, and know what it cannot know?"""

import random
from collections import defaultdict

import torch
from torch import Tensor
from tqdm import tqdm

from minit2i.evaluate.judge import Judge, verdicts
from minit2i.evaluate.shares import OTHER_SEED, REAL_SEED, share
from minit2i.images import to_float
from minit2i.world.batches import scene_pictures
from minit2i.world.captions import full_caption
from minit2i.world.scenes import Scene, draw_scene

from .captioner import DESCRIBE, Captioner, write
from .chat import Chat
from .train import pictures_of
from .views import View
from .vqa import BEYOND_HELD_OUT, QUESTIONS, Question, ask, beyond, unseen_things


def exam(n: int, split: str) -> list[Question]:
    """n questions about what is to be seen, as many of each kind, and between them some about what no picture
    holds, of words and sentences that training never used."""
    rng, things = random.Random(f"questions {REAL_SEED}"), unseen_things(seen=False)
    kinds, asked = [*QUESTIONS, "beyond", "beyond"], []
    for i in range(n * len(kinds) // len(QUESTIONS)):
        scene, other = (draw_scene(seed, i, split) for seed in (REAL_SEED, OTHER_SEED))
        one = ask(kinds[i % len(kinds)], scene, other, rng, things)
        if one.kind == "beyond":
            one = one._replace(question=beyond(rng, things, BEYOND_HELD_OUT))
        asked.append(one)
    return asked


def about(scenes: list[Scene]) -> list[Question]:
    """A question about each of these scenes, as still pictures show them; of all kinds that fit."""
    rng = random.Random(f"about {REAL_SEED}")
    kinds = [kind for kind in QUESTIONS if kind not in ("how many", "side")]
    views = [View((scene,), scene.background) for scene in scenes]
    picked = [kinds[i % len(kinds)] for i in range(len(scenes))]
    return [
        Question(kind, view, *QUESTIONS[kind](view, rng)) for kind, view in zip(picked, views, strict=True)
    ]


def answers(model: Captioner, tokenizer, tokens: Tensor, asked: list[Question]) -> list[str]:
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
    chat: Chat, blind: Captioner, judge: Judge, n: int, seed: int, split: str = "held_out"
) -> dict:
    """Captions of n scenes; answers to n questions, also with the pictures shuffled, and of a model that was
    trained without pictures; captions of drawn pictures, and pictures drawn from captions.

    A caption is right if it is, word for word, what says all of the scene.
    """
    pixels, scenes = scene_pictures(split, n, 64, seed=REAL_SEED)
    real, conditioning = to_float(pixels), [full_caption(scene) for scene in scenes]
    model, tokenizer = chat.captioner, chat.t2i.tokenizer

    def described(pictures: Tensor) -> list[str]:
        return [
            text
            for i in tqdm(range(0, len(pictures), 100), "describing, 100 at a time", leave=False, delay=1)
            for text in chat.answer(pictures[i : i + 100], DESCRIBE)
        ]

    said = described(real)
    parts = [
        chat.t2i.draw(said[i : i + 50], seed=1000 * seed + i // 50).cpu()
        for i in tqdm(range(0, n, 50), "drawing what was told, 50 at a time")
    ]
    drawn = torch.cat(parts)
    asked, of_drawn = exam(max(n, len(QUESTIONS)), split), about(scenes)
    tokens = torch.cat([chat.look(part) for part in pictures_of(asked).split(100)])
    shuffled = tokens[torch.randperm(len(tokens), generator=torch.Generator().manual_seed(seed))]
    drawn_tokens = torch.cat([chat.look(part) for part in drawn.split(100)])

    def right(texts: list[str], of: list[Question]) -> Tensor:
        return torch.tensor([text == one.answer for text, one in zip(texts, of, strict=True)])

    seeing = right(answers(model, tokenizer, tokens, asked), asked)
    guessing = right(answers(blind, tokenizer, torch.zeros_like(tokens), asked), asked)
    mixed_up = right(answers(model, tokenizer, shuffled, asked), asked)
    beyond = torch.tensor([one.kind == "beyond" for one in asked])
    kind_is = {kind: torch.tensor([one.kind == kind for one in asked]) for kind in QUESTIONS}
    return {
        "captions": share(torch.tensor([a == b for a, b in zip(said, conditioning, strict=True)])),
        "drawn_again": share(verdicts(judge, drawn, scenes)["joint"]),
        "captions_of_drawn": share(
            torch.tensor([a == b for a, b in zip(described(drawn), said, strict=True)])
        ),
        "answers": share(seeing[~beyond]),
        "answers, blind": share(guessing[~beyond]),
        "answers, pictures shuffled": share(mixed_up[~beyond]),
        "answers, drawn pictures": share(right(answers(model, tokenizer, drawn_tokens, of_drawn), of_drawn)),
        "cannot_tell": share(seeing[beyond]),
        "kinds": {kind: share(seeing[of]) for kind, of in kind_is.items()},
        "kinds, blind": {kind: share(guessing[of]) for kind, of in kind_is.items()},
    }
