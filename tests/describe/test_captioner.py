"""A model that looks, tells and answers: what it may see, how it writes, and questions that are fair."""

import random
import re
from collections import Counter, defaultdict

import pytest
import torch
from PIL import Image
from torch import Generator
from torch.testing import assert_close

from minit2i.describe.captioner import (
    DESCRIBE,
    LONGEST,
    UNKNOWN,
    Captioner,
    CaptionerConfig,
    attention_maps,
    beam_search,
    caption_loss,
    write,
)
from minit2i.describe.chat import Chat
from minit2i.describe.evaluate import exam
from minit2i.describe.train import new_questions, question_batch
from minit2i.describe.views import render_view
from minit2i.describe.vqa import BEYOND, QUESTIONS, ask, unseen_things
from minit2i.images import to_tensor
from minit2i.tokenizer import Tokenizer
from minit2i.trainer import Training
from minit2i.world.batches import python_rng
from minit2i.world.captions import full_caption, word_lists
from minit2i.world.render import render
from minit2i.world.scenes import Scene, draw_scene, held_out

SMALL = {"context": 104, "width": 32, "depth": 2, "heads": 2, "picture_tokens": 4, "picture_width": 8}
CAT = Scene("cat", "baseball cap", "blue", "none", "green", "noto")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([full_caption(draw_scene(1, i)) for i in range(50)] * 2, 600, context=64)


@pytest.fixture
def model(tokenizer) -> Captioner:
    torch.manual_seed(0)
    return Captioner(CaptionerConfig(vocabulary=tokenizer.vocabulary, **SMALL)).eval()


@pytest.fixture
def picture() -> torch.Tensor:
    return torch.randn(2, 4, 8, generator=Generator().manual_seed(1))


# ---- The network ----


def test_no_token_sees_what_comes_after_it(model, picture):
    ids = torch.randint(500, (2, 7), generator=Generator().manual_seed(2))
    before, _ = model(picture, ids)
    ids[:, 4] += 1
    after, _ = model(picture, ids)
    assert torch.equal(before[:, :4], after[:, :4])
    assert (before[:, 4:] - after[:, 4:]).abs().amax(dim=(0, 2)).min() > 1e-5


def test_every_token_sees_the_picture(model, picture):
    ids = torch.randint(500, (2, 5), generator=Generator().manual_seed(2))
    one, other = model(picture, ids)[0], model(picture.flip(0), ids)[0]
    assert (one - other).abs().amax(dim=(0, 2)).min() > 1e-5


def test_a_cache_changes_nothing(model, picture):
    ids = torch.randint(500, (2, 6), generator=Generator().manual_seed(2))
    whole, _ = model(picture, ids)
    first, cache = model(picture, ids[:, :3])
    second, cache = model(None, ids[:, 3:5], cache)
    third, _ = model(None, ids[:, 5:], cache)
    assert_close(torch.cat([first, second, third], dim=1), whole, atol=1e-5, rtol=1e-4)


def test_the_loss_counts_answers_alone(model, picture, tokenizer):
    rng = random.Random(0)
    asked = [ask("hat", CAT, CAT, rng, ["train"]), ask("describe", CAT, CAT, rng, ["train"])]
    lesson = question_batch(tokenizer, asked)
    for row, one in enumerate(asked):
        columns = lesson.columns[lesson.rows == row]
        conditioning = lesson.ids[row, columns].tolist()
        assert conditioning[-1] == tokenizer.end and tokenizer.decode(conditioning) == one.answer
    logits, _ = model(picture, lesson.ids)
    by_hand = [
        -logits[row, column - 1].log_softmax(-1)[lesson.ids[row, column]]
        for row, column in zip(lesson.rows, lesson.columns, strict=True)
    ]
    assert_close(caption_loss(model, picture, lesson), torch.stack(by_hand).mean())


def test_it_learns_to_tell_two_pictures_apart(model, picture, tokenizer):
    rng = random.Random(0)
    dog = Scene("dog", "crown", "red", "none", "navy", "noto")
    lesson = question_batch(tokenizer, [ask("animal", scene, CAT, rng, ["x"]) for scene in (CAT, dog)])
    training = Training(model, lr=5e-3)
    for _ in range(60):
        training.update(caption_loss(training.model, picture, lesson), progress=0)
    asked = [tokenizer.decode(row.tolist()) for row in lesson.ids]
    questions = [text.rsplit(" a ", 1)[0] for text in asked]
    answers = [
        write(training.model.eval(), tokenizer, picture[i : i + 1], question)[0]
        for i, question in enumerate(questions)
    ]
    assert answers == ["a cat", "a dog"]


# ---- Writing ----


def greedily(model, tokenizer, picture, question=DESCRIBE) -> str:
    """Greedy writing without a cache and without a batch."""
    ids = tokenizer.encode(question)
    begin = len(ids)
    for _ in range(LONGEST):
        logits, _ = model(picture, torch.tensor([ids]))
        ids.append(int(logits[0, -1].argmax()))
        if ids[-1] == tokenizer.end:
            break
    return tokenizer.decode([i for i in ids[begin:] if i != tokenizer.end])


def test_greedy_takes_the_likeliest_token_each_time(model, picture, tokenizer):
    with torch.no_grad():
        model.embed.weight[tokenizer.end] *= 4  # else it would never end
    texts = [greedily(model, tokenizer, picture[i : i + 1]) for i in (0, 1)]
    assert write(model, tokenizer, picture) == texts


def test_sampling_depends_on_the_seed(model, picture, tokenizer):
    bold = [write(model, tokenizer, picture, temperature=2.0, seed=seed) for seed in (1, 1, 2)]
    assert bold[0] == bold[1] != bold[2]


def test_a_text_that_ends_early_stays_as_it_is_while_others_go_on(model, picture, tokenizer):
    def rigged(picture, ids, cache=None):
        logits, cache = Captioner.forward(model, picture, ids, cache)
        logits[0, :, tokenizer.end] += 1e4 * (cache[0][0].shape[2] > 4 + len(tokenizer.encode(DESCRIBE)))
        logits[1, :, tokenizer.end] -= 1e4
        return logits, cache

    short, long = write(rigged, tokenizer, picture)
    assert len(tokenizer.encode(short)) <= 3 < len(tokenizer.encode(long))


def test_each_picture_of_a_batch_is_written_of_as_if_alone(model, picture, tokenizer):
    alone = [write(model, tokenizer, picture[i : i + 1])[0] for i in (0, 1)]
    assert write(model, tokenizer, picture) == alone


def test_beams_say_how_likely_their_texts_are(model, picture, tokenizer, monkeypatch):
    assert beam_search(model, tokenizer, picture[:1], width=1)[0][0] == greedily(
        model, tokenizer, picture[:1]
    )
    monkeypatch.setattr(tokenizer, "decode", lambda ids: ids)  # other tokens may spell the same text
    found = beam_search(model, tokenizer, picture[:1], width=4)
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
    before = tokenizer.encode(DESCRIBE)
    for ids, score in found:
        after = ids if len(ids) == LONGEST else [*ids, tokenizer.end]
        logits, _ = model(picture[:1], torch.tensor([before + after[:-1]]))
        steps = logits[0, len(before) - 1 :].log_softmax(-1)
        assert score == pytest.approx(steps[range(len(after)), after].sum().item(), abs=1e-3)


@pytest.mark.parametrize("question", ["what " * 500, "ы" * 300, ""])
def test_any_question_fits(model, picture, tokenizer, question):
    assert len(write(model, tokenizer, picture, question)) == 2
    assert len(tokenizer.encode(question)) + LONGEST <= model.config.context


def test_looks_are_shares_of_the_picture(model, picture, tokenizer):
    look = attention_maps(model, tokenizer, picture[:1], DESCRIBE, "a cat")
    assert look.shape == (len(tokenizer.encode("a cat")) - 2, 2, 2)
    assert_close(look.sum(dim=(1, 2)), torch.ones(len(look)))
    before, answer = tokenizer.encode(DESCRIBE), tokenizer.encode("a cat")[1:-1]
    for i in range(len(answer)):  # where the token before looked, from which this one was guessed
        _, _, weights = model.read(picture[:1], torch.tensor([before + answer[:i]]))
        last = torch.cat(weights)[:, :, -1, :4].mean(dim=(0, 1))
        assert_close(look[i].flatten(), last / last.sum())


# ---- Questions ----


def names(animal: str) -> list[str]:
    return [animal, *word_lists()["other words"].get(animal, [])]


def test_answers_are_true_of_the_picture():
    rng = random.Random(0)
    seen = {kind: ask(kind, CAT, CAT, rng, ["train"]) for kind in ("animal", "background", "beyond")}
    assert seen["animal"].answer == "a cat"
    assert seen["background"].answer == "green"
    assert seen["beyond"].answer == UNKNOWN
    for i in range(200):
        one = ask("is it", CAT, CAT, random.Random(i), [])
        named = any(name in one.question for name in names("cat"))
        assert (one.answer == "yes") == (named and len(one.view.scenes) == 1)
        one = ask("how many", CAT, CAT, random.Random(i), [])
        assert one.answer == ("none", "one", "two")[len(one.view.scenes)]
        one = ask("side", CAT, draw_scene(3, i), random.Random(i), [])
        named = [s for s in one.view.scenes if any(name in one.question for name in names(s.animal))]
        x = (named or one.view.scenes)[0].x
        assert one.answer == ("left" if x < -0.05 else "right" if x > 0.05 else "in the middle")


def test_who_knows_the_questions_but_not_the_pictures_answers_few():
    # The best that a blind student can do: to each question the answer that is commonest for it in the exam
    asked = [one for one in exam(3000, "held_out") if one.kind != "beyond"]
    by_question = defaultdict(Counter)
    for one in asked:
        by_question[re.sub(r"\b(an?|the) .*", "", one.question)][one.answer] += 1
    guessed = sum(answers.most_common(1)[0][1] for answers in by_question.values())
    assert guessed / len(asked) < 0.5


@pytest.mark.parametrize("kind", QUESTIONS)
def test_no_answer_is_much_likelier_than_all_others(kind):
    rng = random.Random(0)
    answers = Counter(ask(kind, draw_scene(1, i), draw_scene(2, i), rng, []).answer for i in range(600))
    assert answers.most_common(1)[0][1] / 600 < 0.58


def test_no_held_out_combination_is_ever_in_a_picture_to_learn_from():
    generator = Generator().manual_seed(0)
    for one in new_questions(1500, generator, python_rng(generator), ["train"]):
        assert not any(held_out(s.animal, s.headwear, s.colour) for s in one.view.scenes)


def test_two_animals_stand_side_by_side():
    rng = random.Random(0)
    view = next(v for v in (ask("side", CAT, CAT, rng, []).view for _ in range(50)) if len(v.scenes) == 2)
    picture = to_tensor(render_view(view))
    ground = picture[..., :1, :1]
    inside = ((picture - ground).abs().amax(dim=1) > 0.3).any(dim=1)[0]
    assert inside[4:28].any() and inside[36:60].any() and not inside[31:33].all()


def test_things_of_the_exam_are_not_those_of_training():
    assert not set(unseen_things(True)) & set(unseen_things(False))
    asked = exam(60, "held_out")
    assert {one.kind for one in asked} == {*QUESTIONS, "beyond"}
    assert not {one.question for one in asked if one.kind == "beyond"} & set(BEYOND)


# ---- A conversation ----


@pytest.fixture(scope="module")
def chat() -> Chat:
    return Chat.load()


def test_it_tells_and_answers_and_knows_what_it_cannot_know(chat):
    picture = render(CAT, 256)
    said = [
        chat.turn(picture, text).answer
        for text in (
            "what is in the picture?",
            "what colour is the hat?",
            "is it a dog?",
            "what is its name?",
        )
    ]
    assert said == ["a cat wearing a blue baseball cap on a green background", "blue", "no", UNKNOWN]


def test_a_wish_changes_the_picture_and_nothing_else_does(chat):
    picture = render(CAT, 256)
    turn = chat.turn(picture, "now make the hat red")
    assert turn.answer == "a cat wearing a red baseball cap on a green background"
    assert turn.picture.tobytes() != picture.tobytes()
    for text in ("what is it?", "make the hat blue", "hullabaloo"):
        assert chat.turn(picture, text).picture is picture
    bare = render(Scene("cat", "none", "none", "none", "green", "noto"), 256)
    assert chat.turn(bare, "make the hat red").answer == "there is no hat"
    assert chat.turn(bare, "give it a red hat").answer.startswith("a cat wearing a red baseball cap")
    assert chat.turn(bare, "add a blue sun hat").answer.startswith("a cat wearing a blue sun hat")
    assert chat.turn(picture, "take off the hat").answer == "a cat with no hat on a green background"
    assert chat.turn(picture, "make it a bird").answer.startswith("i know cat,")


def test_pictures_of_any_kind_can_be_talked_about(chat):
    for odd in (Image.new("RGBA", (1, 1)), Image.new("L", (300, 20)), Image.new("RGB", (64, 64), "navy")):
        assert chat.turn(odd, "what is it?").answer
