"""Questions that are fair: true answers, none much likelier than the others, and what is held out."""

import random
import re
from collections import Counter, defaultdict

import pytest
from torch import Generator

from minit2i.describe.captioner import DESCRIBE, UNKNOWN
from minit2i.describe.evaluate import exam
from minit2i.describe.train import new_questions
from minit2i.describe.vqa import QUESTIONS, View, ask, phrases, question_about, render_view, unseen_things
from minit2i.images import to_tensor
from minit2i.world.batches import python_rng
from minit2i.world.captions import word_lists
from minit2i.world.scenes import Scene, draw_scene, held_out

CAT = Scene("cat", "baseball cap", "blue", "none", "green", "noto")


def names(animal: str) -> list[str]:
    return [animal, *word_lists()["other words"].get(animal, [])]


def test_answers_are_true_of_the_picture():
    rng = random.Random(0)
    kinds = ("animal", "background", "beyond")
    answers = {kind: ask(kind, CAT, CAT, rng, ["train"]).answer for kind in kinds}
    assert answers == {"animal": "a cat", "background": "green", "beyond": UNKNOWN}
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


def test_a_seed_always_asks_the_same():
    rng = random.Random(3)
    asked = {kind: question_about(kind, View((CAT,), CAT.background), rng) for kind in QUESTIONS}
    assert asked == {  # what the pretrained captioner was trained with
        "animal": ("which animal is it", "a cat"),
        "is it": ("is this a fox", "no"),
        "there": ("is there a ball cap", "yes"),
        "hat": ("what hat is it wearing", "a baseball cap"),
        "hat colour": ("which color is its hat", "blue"),
        "worn": ("what does it wear", "a blue baseball cap"),
        "background": ("what is behind it", "green"),
        "is coloured": ("is the background green", "yes"),
        "glasses": ("does it have glasses", "no"),
        "wears": ("is it wearing a graduation cap", "no"),
        "how many": ("how many are there", "one"),
        "missing": ("what is missing a hat or glasses", "the glasses"),
        "side": ("on which side is the cat", "in the middle"),
    }


def test_a_kind_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="'whose'"):
        question_about("whose", View((CAT,), "green"), random.Random(0))


def test_a_caption_answers_the_first_way_to_ask_for_a_description():
    assert phrases()["describe"][0] == DESCRIBE


def test_who_knows_the_questions_but_not_the_pictures_answers_few():
    # The best that a blind student can do: to each question the answer that is commonest for it in the exam
    asked = [one for one in exam(3000, "held_out") if one.kind != "beyond"]
    by_question = defaultdict(Counter)
    for one in asked:
        by_question[re.sub(r"\b(an?|the) .*", "", one.question)][one.answer] += 1
    best = sum(answers.most_common(1)[0][1] for answers in by_question.values())
    assert best / len(asked) < 0.5


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
    assert not {one.question for one in asked if one.kind == "beyond"} & set(phrases()["beyond"])
