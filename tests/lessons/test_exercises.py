"""`check`: plain words for whatever a student hands in, and never a traceback, except when it is graded."""

import contextlib
import importlib
import sys

import exercises
import pytest
import torch
from exercises import Wrong, check, compare
from PIL import Image
from tqdm import tqdm

from minit2i import utils, viz
from minit2i.trainer import Training
from minit2i.world import datasets


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
    monkeypatch.setitem(sys.modules, "minit2i.evaluate.metrics", None)  # as if it were not installed
    monkeypatch.delitem(sys.modules, "exercises.lesson_06", raising=False)
    with pytest.raises(ModuleNotFoundError, match="minit2i.evaluate.metrics"):
        exercises.load("06")


def test_a_look_at_each_minute_and_less_time_in_a_hurry(monkeypatch):
    training, looks = Training(torch.nn.Linear(2, 2)), []

    def batch_loss(model, generator):
        training.seconds += 10
        return model(torch.ones(1, 2)).square().mean()

    exercises.learn(training, batch_loss, 3, each_minute=lambda: looks.append(training.seconds))
    assert [round(second, -1) for second in looks] == [30, 90, 150]
    assert exercises.minutes(8) == 8 and exercises.few(200) == 200
    monkeypatch.setenv("MINIT2I_HURRY", "20")
    assert exercises.minutes(8) == 0.4
    assert [exercises.few(200), exercises.few(20), exercises.few(4), exercises.few(200, least=16)] == [
        10,
        8,
        4,
        16,
    ]


def test_nbgrader_sees_an_error_for_a_wrong_answer_only(hand_in, monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    hand_in(double)
    with pytest.raises(AssertionError, match="you halve it"):
        hand_in(lambda x: x / 2)


def test_nbgrader_finds_no_error_where_a_right_answer_shows_a_bar(hand_in, capsys):
    check("99.1", lambda x: 2 * torch.stack(list(tqdm(x))))
    said = capsys.readouterr()
    assert "99.1: right." in said.out and said.err == ""


def test_transparency_is_read_by_the_oldest_pillow_that_is_promised(monkeypatch):
    monkeypatch.delattr(Image.Image, "get_flattened_data", raising=False)  # new in Pillow 12.1
    lesson = importlib.import_module("exercises.lesson_00")
    assert lesson.EXERCISES["00.4"](lesson.over) is not None


@pytest.fixture
def elsewhere(monkeypatch):
    """Networks are loaded onto the "meta" device, which has shapes and no numbers; and no exercise keeps any.

    Yields the kinds of devices that each layer which is called finds its weights and its inputs on.
    """
    exercises_with_networks = [
        importlib.import_module(f"exercises.lesson_{n}") for n in ("01", "03", "05", "06")
    ]
    caches = [value for module in exercises_with_networks for value in vars(module).values()]
    caches = [value for value in caches if hasattr(value, "cache_clear")]
    here, found = utils.device, []
    for name, module in list(sys.modules.items()):
        if name.startswith(("minit2i", "exercises")) and getattr(module, "device", None) is here:
            monkeypatch.setattr(module, "device", lambda: torch.device("meta"))

    def look(layer, inputs):
        tensors = [part for part in (*layer.parameters(), *inputs) if isinstance(part, torch.Tensor)]
        found.append({tensor.device.type for tensor in tensors})

    for cached in caches:
        cached.cache_clear()
    with torch.nn.modules.module.register_module_forward_pre_hook(look):
        yield found
    for cached in caches:
        cached.cache_clear()


ANSWERS = {
    "01.4": lambda: "a cup of tea",
    "03.4": lambda: [999, 800, 600, 400, 200, 100],
    "05.4": lambda: {"sampler": "ddim", "steps": 2, "guidance_scale": 2.0},
    "06.4": lambda judge, pictures, animals: judge(pictures),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_exercise_keeps_its_pictures_where_its_networks_are(name, elsewhere, monkeypatch):
    monkeypatch.setattr(datasets, "load", lambda *_, load=datasets.load: load("emoji").select(range(8)))
    # It ends where the first number is wanted: there are none on that device
    with contextlib.suppress(NotImplementedError, RuntimeError, Wrong):
        exercises.load(name[:2])[name](ANSWERS[name])
    assert len(elsewhere) > 5
    assert all(devices <= {"meta"} for devices in elsewhere)


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
