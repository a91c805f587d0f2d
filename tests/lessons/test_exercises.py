"""`check`: plain words for whatever a student hands in, and never a traceback, except when it is graded."""

import sys

import exercises
import pytest
import torch
from exercises import check, compare
from tqdm import tqdm

from minit2i import viz
from minit2i.trainer import Training


def double(x):
    return 2 * x


@pytest.fixture
def hand_in(monkeypatch, capsys):
    """Hand in an answer to one exercise, which is to double a tensor; returns what is said."""
    test = compare(
        double,
        [(torch.tensor([1.0, 2.0]),), (torch.ones(3, 4),)],
        {"you halve it": lambda x: x / 2},
        lambda change: viz.to_pil(change(torch.zeros(1, 3, 8, 8))),
    )
    monkeypatch.setattr(exercises, "load", lambda lesson: {"99.1": test})

    def give(answer, name="99.1"):
        check(name, answer)
        return capsys.readouterr().out

    return give


def test_a_right_answer_is_right(hand_in):
    assert hand_in(lambda x: x + x).startswith("99.1: right.")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lambda x: x / 2, "This is what comes out when you halve it."),
        (lambda x: x, "Tried with x = tensor([1.0, 2.0]): expected 2 at [0], got 1."),
        (lambda x: x[:1], "expected the shape (2,), got (1,)"),
        (lambda x: None, "Does it end with `return`?"),
        (lambda x: x / 0, "not a number"),
        (lambda x: "two", "got 'two'"),
        (lambda x: 2 * x if x.shape == (2,) else x, "a tensor of shape (3, 4)"),
        (lambda x: x.mul_(2), "changes the tensor"),
        (lambda x: x.no_such_thing(), "AttributeError"),
        (lambda: 1, "TypeError"),
        (torch.tensor(2.0), "Hand in the function itself"),
    ],
)
def test_a_wrong_answer_is_told_what_differs(hand_in, answer, expected):
    said = hand_in(answer)
    assert said.startswith("99.1: not yet.")
    assert expected in said


def test_an_unknown_exercise_is_named(hand_in):
    assert "There is no exercise 99.7. This lesson has 99.1." in hand_in(double, "99.7")


def test_what_an_exercise_needs_and_lacks_is_not_taken_for_no_exercise(monkeypatch):
    assert exercises.load("98") == {}
    monkeypatch.setitem(sys.modules, "minit2i.metrics", None)  # as if it were not installed
    monkeypatch.delitem(sys.modules, "minit2i.exercises.lesson_06", raising=False)
    with pytest.raises(ModuleNotFoundError, match="minit2i.metrics"):
        exercises.load("06")


def test_a_look_at_each_minute_and_less_time_in_a_hurry(monkeypatch):
    training, attention_maps = Training(torch.nn.Linear(2, 2)), []

    def batch_loss(model, generator):
        training.seconds += 10
        return model(torch.ones(1, 2)).square().mean()

    exercises.learn(training, batch_loss, 3, each_minute=lambda: attention_maps.append(training.seconds))
    assert [round(second, -1) for second in attention_maps] == [30, 90, 150]
    assert exercises.minutes(8) == 8
    monkeypatch.setenv("MINIT2I_HURRY", "20")
    assert exercises.minutes(8) == 0.4


def test_nbgrader_sees_an_error_for_a_wrong_answer_only(hand_in, monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    hand_in(double)
    with pytest.raises(AssertionError, match="you halve it"):
        hand_in(lambda x: x / 2)


def test_nbgrader_finds_no_error_where_a_right_answer_shows_a_bar(hand_in, capsys):
    check("99.1", lambda x: 2 * torch.stack(list(tqdm(x))))
    said = capsys.readouterr()
    assert "99.1: right." in said.out and said.err == ""


def test_stopping_a_training_early_keeps_what_was_learnt():
    training = Training(torch.nn.Linear(2, 2))

    def batch_loss(model, generator):
        if training.step == 3:
            raise KeyboardInterrupt
        return model(torch.ones(1, 2)).square().mean()

    losses = exercises.learn(training, batch_loss, minutes=1)
    assert len(losses) == training.step == 3


@pytest.mark.parametrize(
    ("got", "same"),
    [
        ((1, 2.0), True),
        ([1.0, 2.0], True),
        (torch.tensor([1.0, 2.0]), True),
        ((1, 3), False),
        ((1, 2, 3), False),
        (1, False),
    ],
)
def test_numbers_in_a_row_may_be_a_list_a_tuple_or_a_tensor(got, same):
    assert (exercises.difference(got, (1.0, 2.0)) == "") == same
