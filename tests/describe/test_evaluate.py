"""The figures of captions and answers: what is counted, and under which name."""

from types import SimpleNamespace

import pytest
import torch

from minit2i.describe import evaluate
from minit2i.describe.chat import Chat
from minit2i.describe.vqa import QUESTIONS, answers, pictures_of
from minit2i.evaluate.judge import Judge, JudgeConfig
from minit2i.text2image import TextToImage

N = 65  # pictures; with questions that nobody can answer, 75


class Drawing(TextToImage):
    """Notes what is to be drawn."""

    def draw(self, prompts, **settings):
        self.asked.append((prompts, settings))
        return torch.full((len(prompts), 3, self.size, self.size), 0.5)


def oracle(model, tokenizer, tokens, questions):
    """Right about all that is seen at all, but for glasses."""
    seen = tokens.flatten(1).abs().amax(dim=1) > 0
    return [
        one.answer if there and one.kind != "glasses" else "?"
        for one, there in zip(questions, seen, strict=True)
    ]


@pytest.fixture(scope="module")
def tiny(tiny_weights) -> Drawing:
    return Drawing.load(tiny_weights)


def test_each_figure_counts_what_its_name_says(tiny, tiny_weights, monkeypatch):
    torch.manual_seed(0)
    tiny.asked = []
    judge = Judge(JudgeConfig(widths=(8, 8))).eval()
    monkeypatch.setattr(evaluate, "answers", oracle)
    bench = SimpleNamespace(folder=tiny_weights, n=N, seed=3, t2i=tiny, judge=judge)
    captions, drawn_again, right, unknown, kinds, blind = evaluate.measure(bench).values()
    assert [(len(prompts), settings) for prompts, settings in tiny.asked] == [
        (50, {"seed": 3000}),
        (15, {"seed": 3001}),
    ]
    assert all(" wearing a" in prompt for prompts, _ in tiny.asked for prompt in prompts)
    assert {name: (of["value"], of["n"]) for name, of in captions.items()} == {
        "real pictures": (1, N),
        "pictures that minit2i drew": (1, N),
    }
    assert drawn_again["n"] == N and 0 <= drawn_again["value"] <= 1
    assert {name: (of["value"] * of["n"], of["n"]) for name, of in right.items()} == {
        "real pictures": (60, N),
        "pictures that minit2i drew": (59, N),  # of 11 kinds
        "by a network trained without pictures": (0, N),
        "real pictures, shuffled": (60, N),
    }
    assert (unknown["value"], unknown["n"]) == (1, 10)
    assert {kind: (of["value"], of["n"]) for kind, of in kinds.items()} == {
        kind: (float(kind != "glasses"), 5) for kind in QUESTIONS
    }
    assert {kind: (of["value"], of["n"]) for kind, of in blind.items()} == dict.fromkeys(QUESTIONS, (0, 5))


def test_answers_come_in_the_order_of_the_questions(tiny, tiny_weights):
    chat = Chat.load(tiny_weights, tiny, edits=False)
    questions = evaluate.exam(len(QUESTIONS), "held_out")
    tokens = chat.look(pictures_of(questions))
    alone = [
        answers(chat.captioner, chat.t2i.tokenizer, tokens[i : i + 1], [one])[0]
        for i, one in enumerate(questions)
    ]
    assert answers(chat.captioner, chat.t2i.tokenizer, tokens, questions) == alone
