"""Captions and prompts: what is said of a scene is true, whatever else is typed, and no held-out triple is
named for a training scene."""

import hashlib
import random
import re
from dataclasses import replace

import pytest
from PIL import Image

from minit2i.evaluate.clip import read_wording
from minit2i.tokenizer import words_of
from minit2i.world.captions import ANY, full_caption, plain, prompt, request, sentences, short_caption
from minit2i.world.datasets import _scene_rows
from minit2i.world.noise_words import garbled, meaningless_words, mistyped, with_words, wording
from minit2i.world.scenes import ANIMALS, BACKGROUNDS, COLOURS, EYEWEAR, HEADWEAR, Scene, draw_scene, held_out

CAT = Scene("cat", "baseball cap", "blue", "none", "green", "noto")

OTHER_WORDS = wording()["other words"]


def reader(things: tuple[str, ...]) -> dict[str, str]:
    """Every word for a thing -> the thing, the longest first."""
    names = {word: thing for thing in things for word in (thing, *OTHER_WORDS[thing])}
    return dict(sorted(names.items(), key=lambda item: -len(item[0])))


ANIMAL_WORDS, HAT_WORDS, COLOUR_WORDS = reader(ANIMALS), reader(HEADWEAR), reader(COLOURS)
COLOUR, HAT = "|".join(COLOUR_WORDS), "|".join(HAT_WORDS)
CLAIM = re.compile(rf"\b({COLOUR}) ({HAT})\b")  # "red cap"
AFTER = "|".join(re.escape(form).replace(r"\{\}", f"({COLOUR})") for form in wording()["colour after"])
PLACES = "|".join(wording()["background"])
CLAIM_AFTER = re.compile(rf"\b({HAT})(?:{AFTER})(?![a-z]| (?:{PLACES}))")  # "cap that is red"
ANIMAL = re.compile(rf"\b({'|'.join(ANIMAL_WORDS)})\b")


def test_what_a_prompt_states_is_true_and_is_no_held_out_triple():
    claims = {True: 0, False: 0}
    for i in range(6000):
        scene = draw_scene(0, i, "train")
        text, says = request(scene, random.Random(i))
        for name, value in says.items():
            assert getattr(scene, name) == value or (name, value) == ("headwear", ANY), text
        assert scene.headwear != "none" or says.get("headwear") in (None, "none")
        # And read from the words themselves
        animal = ANIMAL.search(text)
        for hat in filter(None, (CLAIM.search(text), CLAIM_AFTER.search(text))):
            if animal and "colour" in says and says["headwear"] != ANY:
                words = [group for group in hat.groups() if group]
                kind = next(HAT_WORDS[word] for word in words if word in HAT_WORDS)
                colour = next(COLOUR_WORDS[word] for word in words if word in COLOUR_WORDS)
                claims[hat.re is CLAIM] += 1
                assert (kind, colour) == (scene.headwear, scene.colour), text
                assert ANIMAL_WORDS[animal[1]] == scene.animal, text
                assert not held_out(ANIMAL_WORDS[animal[1]], kind, colour)
    assert claims[True] > 2500  # the reader does find what prompts say
    assert claims[False] > 200


def triple(text: str) -> tuple[str, str, str] | None:
    """The animal, hat and colour that a text names, if it names all three."""
    animal, hat = ANIMAL.search(text), CLAIM.search(text)
    return (ANIMAL_WORDS[animal[1]], HAT_WORDS[hat[2]], COLOUR_WORDS[hat[1]]) if animal and hat else None


def test_no_caption_of_a_training_scene_names_a_held_out_triple(monkeypatch):
    assert triple("a kitty in a blue cap on a red background") == ("cat", "baseball cap", "blue")
    assert triple("polar bear with pink straw hat, blue background") == ("polar bear", "sun hat", "pink")
    assert triple("an owl on a blue background") is None
    # What load("scenes") pairs with its pictures, which need not be rendered here
    monkeypatch.setattr("minit2i.world.datasets.render", lambda scene, size: Image.new("RGB", (1, 1)))
    rows = list(_scene_rows("train", 3000, 64, 0, ""))
    assert len({row["caption"] for row in rows}) > 2500
    named = 0
    for row in rows:
        scene = Scene(**{name: row[name] for name in vars(CAT)})
        for text in (row["caption"], full_caption(scene), short_caption(scene)):
            found = triple(text)
            named += found is not None
            assert found in (None, (scene.animal, scene.headwear, scene.colour)), text
            assert found is None or not held_out(*found), text
    assert named > 6000  # the reader above does find what captions say


def test_the_tokenizer_learns_from_these_texts_and_no_others():
    rng = random.Random(0)  # as in train_tokenizer: other texts would make another tokenizer
    texts = [request(draw_scene(0, index, "train"), rng).text for index in range(2000)]
    assert hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16] == "994e19a86fa2d49f"


def test_captions_are_plain_and_have_the_right_article():
    for i in range(2000):
        text = request(draw_scene(0, i, "all"), random.Random(i)).text
        assert text.isascii() and text == text.strip() and "  " not in text
        assert not re.search(r"\ba [aeio]", text) and not re.search(r"\ban [^aeio]", text), text


def test_full_and_short_captions():
    assert short_caption(CAT) == "a cat wearing a blue baseball cap"
    assert full_caption(CAT) == "a cat wearing a blue baseball cap on a green background"
    worn = replace(CAT, animal="owl", colour="orange", headwear="crown", eyewear="sunglasses")
    assert full_caption(worn) == "an owl wearing an orange crown and sunglasses on a green background"
    bare = replace(CAT, headwear="none", colour="none")
    assert short_caption(bare) == "a cat with no hat"
    assert full_caption(bare) == "a cat with no hat on a green background"
    glasses = replace(bare, eyewear="glasses")
    assert full_caption(glasses) == "a cat with glasses and no hat on a green background"


def test_every_attribute_is_stated_often_and_left_open_at_times():
    says = [request(draw_scene(1, i), random.Random(i)).says for i in range(2000)]
    for name, low, high in (
        ("animal", 0.9, 0.99), ("headwear", 0.85, 0.97), ("colour", 0.7, 0.9), ("background", 0.4, 0.7),
        ("eyewear", 0.2, 0.6),
    ):  # fmt: skip
        assert low < sum(name in said for said in says) / len(says) < high, name
    assert any(said.get("eyewear") == "none" for said in says)
    assert any(said.get("headwear") == "none" for said in says)


def test_what_is_denied_is_not_followed_by_what_is_there():
    for seed in range(200):
        text = plain("a cat", "no hat", "glasses", "", random.Random(seed))
        assert text.index("glasses") < text.index("no hat")
        text = plain("a cat", "a red cap", "no glasses", "", random.Random(seed))
        assert text.index("red cap") < text.index("no glasses")


def test_sentences_say_all_pieces():
    for seed in range(100):
        text = sentences("a cat", "a red cap", "glasses", "a blue wall", random.Random(seed))
        assert all(piece in text for piece in ("a cat", "a red cap", "glasses", "a blue wall"))


def test_prompts_are_the_same_for_the_same_seed_and_varied_for_others():
    words, scene = meaningless_words(seen=True), draw_scene(0, 0)
    assert prompt(scene, random.Random(3), words) == prompt(scene, random.Random(3), words)
    assert len({prompt(scene, random.Random(i), words).text for i in range(500)}) > 450


def test_words_that_mean_nothing_are_in_halves_and_name_nothing():
    seen, unseen = meaningless_words(seen=True), meaningless_words(seen=False)
    assert min(len(seen), len(unseen)) > 1500
    assert not set(seen) & set(unseen)
    things = {
        *ANIMALS,
        *HEADWEAR,
        *EYEWEAR,
        *COLOURS,
        *BACKGROUNDS,
        *(w for ws in OTHER_WORDS.values() for w in ws),
    }
    meant = {word for thing in things for word in words_of(thing)} | {"no", "not", "without", "hat", "never"}
    assert not meant & {*seen, *unseen}


def test_words_are_put_between_words():
    text = with_words("a cat in a cap", ["one", "two"], random.Random(0))
    assert sorted(text.split()) == sorted(["a", "cat", "in", "a", "cap", "one", "two"])
    assert [word for word in text.split() if word not in ("one", "two")] == ["a", "cat", "in", "a", "cap"]


def test_typing_errors_are_small():
    for seed in range(50):
        wrong = mistyped("baseball", random.Random(seed))
        assert abs(len(wrong) - 8) <= 1
        assert wrong[0] == "b"
    assert mistyped("cat", random.Random(0)) == "cat"
    assert any(
        garbled("a cat in a cap", random.Random(i), ["word"] * 5) != "a cat in a cap" for i in range(9)
    )


# ---- The prompts written by hand ----


@pytest.mark.parametrize("half", ["look", "measure"])
def test_prompts_written_by_hand_ask_for_what_there_is(half):
    rows = read_wording(half)
    known = {
        "animal": ANIMALS, "headwear": ("none", *HEADWEAR), "colour": COLOURS, "eyewear": EYEWEAR,
        "background": BACKGROUNDS,
    }  # fmt: skip
    assert len(rows) >= 150
    for row in rows:
        assert row["prompt"].strip()
        assert row["animal"]
        for name, values in known.items():
            assert row[name] in ("", *values), row
        assert not (row["headwear"] == "none" and row["colour"]), row


def test_the_two_halves_share_no_prompt():
    look, measure = ({row["prompt"].lower() for row in read_wording(half)} for half in ("look", "measure"))
    assert not look & measure
