"""What people say in a conversation: question or wish, and what a wish amounts to."""

import pytest

from minit2i.describe.wishes import QUESTION, WISH, as_prompt, as_question, is_goodbye, plainly
from minit2i.world.parse import parse_prompt

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
    assert QUESTION.match(plainly(text)) and not WISH.match(plainly(text))


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
def test_wishes_ask_for_what_they_say(text, asks):
    assert WISH.match(plainly(text)) or text.startswith("a ")
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


def test_a_conversation_ends_when_someone_says_so():
    for text in ("bye", "Good bye!", "thanks, bye", "quit", "bye bye"):
        assert is_goodbye(text)
    for text in ("what is it", "make it say bye to the cat on the wall", ""):
        assert not is_goodbye(text)
