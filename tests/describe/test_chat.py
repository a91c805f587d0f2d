"""A chat: question or request, what a request amounts to, and what becomes of the picture."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from PIL import Image

from minit2i.describe.captioner import UNKNOWN
from minit2i.describe.chat import QUESTION, REQUEST, Chat, as_prompt, as_question, is_goodbye, plainly
from minit2i.edit import any_size
from minit2i.text2image import TextToImage
from minit2i.world.parse import parse_prompt
from minit2i.world.render import render
from minit2i.world.scenes import Scene, draw_scene

CAT = Scene("cat", "baseball cap", "blue", "none", "green", "noto")
BARE = {"headwear": "none", "colour": "none"}


@pytest.mark.parametrize(
    "text",
    [
        "what is it", "is it a cat?", "Where is the fox", "describe it", "on which side is it",
        "What's on its head?",
        "can you see a cat?", "can you tell me what colour the crown is?", "whats that",
        "hey, what do you see?", "does it have a hat", "how many are there",
    ],
)  # fmt: skip
def test_questions_are_questions(text):
    assert QUESTION.match(plainly(text)) and not REQUEST.match(plainly(text))


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("now make the hat red", {"colour": "red"}),
        ("hey, can you make  the hat red?", {"colour": "red"}),
        ("now, could you please put it on a navy background", {"background": "navy"}),
        ("as a dog", {"animal": "dog"}),
        ("and now as a dog?", {"animal": "dog"}),
        ("turn the cat into a dog", {"animal": "dog"}),
        ("change the top hat to a crown", {"headwear": "crown"}),
        ("change the hat from blue to red", {"colour": "red"}),
        ("change the background to navy", {"background": "navy"}),
        ("change the background colour to blue", {"background": "blue"}),
        ("make the background green", {"background": "green"}),
        ("make the background red", {}),
        ("a dog instead of the cat", {"animal": "dog"}),
        ("replace the crown with a red helmet", {"headwear": "helmet", "colour": "red"}),
        ("take off the hat", BARE),
        ("take the crown off", BARE),
        ("remove the red hat", BARE),
        ("get rid of the blue cap", BARE),
        ("remove hat", BARE),
        ("no hat please", BARE),
        ("don't put a crown on it", BARE),
        ("take its sunglasses off", {"eyewear": "none"}),
        ("i don't want glasses", {"eyewear": "none"}),
        ("without glasses", {"eyewear": "none"}),
        ("remove the hat and add sunglasses", {**BARE, "eyewear": "sunglasses"}),
        ("have it wear a yellow crown", {"headwear": "crown", "colour": "yellow"}),
        ("put a crown on it and make the background pink", {"headwear": "crown", "background": "pink"}),
        ("make it a bird", {}),
    ],
)
def test_requests_ask_for_what_they_say(text, asks):
    assert REQUEST.match(plainly(text)) or text.startswith("a ")
    assert parse_prompt(as_prompt(plainly(text))) == asks


def test_questions_become_those_that_were_learnt():
    assert as_question("tell me about the picture") == "describe it"
    assert as_question("can you say something about it") == "describe it"
    assert as_question("does it wear anything") == "what does it wear"
    assert as_question("what colour is it") == "what colour is it"


def test_signs_and_short_forms_do_not_matter():
    assert plainly("What\u2019s on its\thead?!") == "what is on its head"
    assert plainly("It isn't it's name") == "it is not it is name"
    assert plainly("\U0001f600 ...") == ""


def test_a_chat_ends_when_someone_says_so():
    for text in ("bye", "Good bye!", "thanks, bye", "quit", "bye bye"):
        assert is_goodbye(text)
    for text in ("what is it", "make it say bye to the cat on the wall", ""):
        assert not is_goodbye(text)


# ---- The chat ----


@pytest.fixture(scope="module")
def chat() -> Chat:
    return Chat.load()


def test_it_describes_and_answers_and_knows_what_it_cannot_know(chat):
    said = [
        chat.turn(render(CAT, 256), text).answer
        for text in (
            "what is in the picture?",
            "what colour is the hat?",
            "is it a dog?",
            "what is its name?",
        )
    ]
    assert said == ["a cat wearing a blue baseball cap on a green background", "blue", "no", UNKNOWN]


@pytest.fixture
def quick(monkeypatch):
    """Edits of a few steps: which words change what does not depend on how well it is drawn."""
    monkeypatch.setattr(any_size, "edit", partial(any_size.edit, steps=6))


def test_a_request_changes_the_picture_and_nothing_else_does(chat):
    picture = render(CAT, 256)
    turn = chat.turn(picture, "now make the hat red")
    assert turn.answer == "a cat wearing a red baseball cap on a green background"
    assert turn.picture.tobytes() != picture.tobytes()
    for text in ("what is it?", "make the hat blue", "hullabaloo"):
        assert chat.turn(picture, text).picture is picture


def test_requests_of_many_kinds_are_heard(chat, quick):
    picture = render(CAT, 256)
    bare = render(Scene("cat", "none", "none", "none", "green", "noto"), 256)
    assert chat.turn(bare, "make the hat red").answer == "there is no hat"
    assert chat.turn(bare, "give it a red hat").answer.startswith("a cat wearing a red baseball cap")
    assert chat.turn(bare, "add a blue sun hat").answer.startswith("a cat wearing a blue sun hat")
    assert chat.turn(picture, "take off the hat").answer == "a cat with no hat on a green background"
    assert chat.turn(picture, "make it a bird").answer.startswith("i know cat,")


def test_pictures_of_any_kind_can_be_asked_about(chat):
    for odd in (Image.new("RGBA", (1, 1)), Image.new("L", (300, 20)), Image.new("RGB", (64, 64), "navy")):
        assert chat.turn(odd, "what is it?").answer


def test_it_takes_what_is_loaded_already(tiny_weights):
    t2i = TextToImage.load(tiny_weights)
    whole, plain = Chat.load(tiny_weights, t2i), Chat.load(tiny_weights, t2i, edits=False)
    assert whole.t2i is whole.editor.t2i is plain.t2i is t2i and plain.editor is None
    picture = render(CAT, 64)
    assert plain.turn(picture, "make the hat red").picture is picture


def test_four_threads_hear_and_see_what_one_would(tiny_weights, quick):
    chat = Chat.load(tiny_weights)
    lines = ("what is it?", "as a dog in a red crown", "what colour is the hat?", "as an owl in sunglasses")
    jobs = [(render(draw_scene(3, i), 64), line) for i, line in enumerate(lines)]
    alone = [chat.turn(*job) for job in jobs]
    assert any(turn.picture is not picture for turn, (picture, _) in zip(alone, jobs, strict=True))
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda job: chat.turn(*job), jobs))
    assert [turn.answer for turn in together] == [turn.answer for turn in alone]
    assert [turn.picture.tobytes() for turn in together] == [turn.picture.tobytes() for turn in alone]
