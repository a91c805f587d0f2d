"""Does it describe what is to be seen, answer what is asked, and know what it cannot know?"""

import itertools
import random
from collections.abc import Sequence

import torch
from torch import Tensor

from minit2i.checkpoint import load_model
from minit2i.evaluate.judge import verdicts
from minit2i.evaluate.report import Bench
from minit2i.evaluate.scenes import draw_many
from minit2i.evaluate.shares import OTHER_SEED, REAL_SEED, share
from minit2i.utils import in_batches
from minit2i.world.scenes import draw_scene

from . import vqa
from .captioner import DESCRIBE, Captioner
from .chat import Chat
from .vqa import QUESTIONS, Question, View, answers


def exam(n: int, split: str) -> list[Question]:
    """n questions about what is to be seen, as many of each kind, and between them some about what no picture
    holds, of words and sentences that training never used."""
    rng, things = random.Random(f"questions {REAL_SEED}"), vqa.unseen_things(seen=False)
    kinds, questions = [*QUESTIONS, "beyond", "beyond"], []
    for i in range(n * len(kinds) // len(QUESTIONS)):
        scene, other = (draw_scene(seed, i, split) for seed in (REAL_SEED, OTHER_SEED))
        one = vqa.ask(kinds[i % len(kinds)], scene, other, rng, things)
        if one.kind == "beyond":
            one = one._replace(question=vqa.beyond(rng, things, "beyond, only to measure with"))
        questions.append(one)
    return questions


def about(views: list[View]) -> list[Question]:
    """A question about each of these views of one animal, of all kinds that fit."""
    rng = random.Random(f"about {REAL_SEED}")
    kinds = itertools.cycle(kind for kind in QUESTIONS if kind not in ("how many", "side"))
    pairs = zip(views, kinds, strict=False)
    return [Question(kind, view, *vqa.question_about(kind, view, rng)) for view, kind in pairs]


def measure(bench: Bench) -> dict:
    """Captions of n held-out scenes, and pictures drawn from them; answers to n questions, also about drawn
    pictures, with the pictures shuffled, and by a network that was trained without pictures."""
    chat, n = Chat.load(bench.folder, bench.t2i, edits=False), bench.n
    model, blind = chat.captioner, load_model("caption-blind", bench.folder)

    def say(tokens: Tensor, questions: list[Question], model: Captioner = model) -> list[str]:
        return answers(model, chat.t2i.tokenizer, tokens, questions)

    def right(texts: list[str], questions: list[Question]) -> list[bool]:
        return [text == one.answer for text, one in zip(texts, questions, strict=True)]

    scenes = [draw_scene(REAL_SEED, i, "held_out") for i in range(n)]
    views = [View((scene,), scene.background) for scene in scenes]
    captions = [Question("describe", view, DESCRIBE, vqa.description(view)) for view in views]
    said = say(in_batches(chat.look, vqa.pictures_of(captions)), captions)
    drawn = draw_many(bench.t2i, said, bench.seed, "from captions")
    drawn_tokens, about_drawn = in_batches(chat.look, drawn), about(views)
    drawn_again = verdicts(bench.judge, drawn, scenes)["joint"]
    questions = exam(max(n, len(QUESTIONS)), "held_out")
    tokens = in_batches(chat.look, vqa.pictures_of(questions))
    order = torch.randperm(len(tokens), generator=torch.Generator().manual_seed(bench.seed))
    seeing = right(say(tokens, questions), questions)
    guessing = right(say(torch.zeros_like(tokens), questions, blind), questions)
    mixed_up = right(say(tokens[order], questions), questions)

    def of(kinds: Sequence[str], results: list[bool]) -> dict:
        return share([result for result, one in zip(results, questions, strict=True) if one.kind in kinds])

    real, ours = "real pictures", "pictures that minit2i drew"
    blindly = "by a network trained without pictures"
    return {
        "the whole caption, word for word": {
            real: share(right(said, captions)),
            ours: share([a == b for a, b in zip(say(drawn_tokens, captions), said, strict=True)]),
        },
        "a picture drawn from its caption: all five attributes, and an intact picture": share(drawn_again),
        f"the answer to questions of {len(QUESTIONS)} kinds": {
            real: of(QUESTIONS, seeing),
            ours: share(right(say(drawn_tokens, about_drawn), about_drawn)),
            blindly: of(QUESTIONS, guessing),
            "real pictures, shuffled": of(QUESTIONS, mixed_up),
        },
        'what no picture can tell: "i cannot tell"': of(["beyond"], seeing),
        "the answer to questions of the kind": {kind: of([kind], seeing) for kind in QUESTIONS},
        f"the same, {blindly}": {kind: of([kind], guessing) for kind in QUESTIONS},
    }
