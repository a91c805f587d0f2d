"""The figures of captions and answers: what is counted, and under which name."""

from types import SimpleNamespace

import pytest
import torch

from minit2i.describe import evaluate
from minit2i.describe.vqa import QUESTIONS
from minit2i.evaluate.judge import Judge, JudgeConfig
from minit2i.text2image import TextToImage


@pytest.fixture(scope="module")
def figures(tiny_weights):
    def oracle(
        model, tokenizer, tokens, questions
    ):  # right, but for those who see nothing, and for drawn pictures
        seen = tokens.flatten(1).abs().amax(dim=1) > 0
        return [
            one.answer if any_ and one.kind != "missing" else "?"
            for one, any_ in zip(questions, seen, strict=True)
        ]

    torch.manual_seed(0)
    judge = Judge(JudgeConfig(widths=(8, 8))).eval()
    bench = SimpleNamespace(
        folder=tiny_weights, n=26, seed=0, t2i=TextToImage.load(tiny_weights), judge=judge
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "answers", oracle)
        return evaluate.measure(bench)


def test_each_figure_counts_what_its_name_says(figures):
    captions, drawn_again, answers, unknown, kinds, blind = figures.values()
    assert {name: (of["value"], of["n"]) for name, of in captions.items()} == {
        "real pictures": (1, 26),
        "pictures that minit2i drew": (1, 26),
    }
    assert drawn_again["n"] == 26 and 0 <= drawn_again["value"] <= 1
    assert {name: (round(13 * of["value"]), of["n"]) for name, of in answers.items()} == {
        "real pictures": (12, 26),
        "pictures that minit2i drew": (12, 26),
        "by a network trained without pictures": (0, 26),
        "real pictures, shuffled": (12, 26),
    }
    assert unknown["value"] == 1 and unknown["n"] == 4
    assert list(kinds) == list(blind) == list(QUESTIONS)
    assert {kind for kind, of in kinds.items() if of["value"] == 1} == {*QUESTIONS} - {"missing"}
    assert not any(of["value"] for of in blind.values()) and {of["n"] for of in kinds.values()} == {2}


def test_answers_come_in_the_order_of_the_questions(tiny_weights):
    from minit2i.describe.chat import Chat
    from minit2i.describe.vqa import answers, pictures_of

    chat = Chat.load(tiny_weights, edits=False)
    questions = evaluate.exam(40, "held_out")
    tokens = chat.look(pictures_of(questions))
    alone = [
        answers(chat.captioner, chat.t2i.tokenizer, tokens[i : i + 1], [one])[0]
        for i, one in enumerate(questions)
    ]
    assert answers(chat.captioner, chat.t2i.tokenizer, tokens, questions) == alone
