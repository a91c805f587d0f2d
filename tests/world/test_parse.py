"""From pictures and words to scenes: the words by lists, the pictures by shipped weights."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from minit2i.checkpoint import load_model
from minit2i.edit.scene_reader import SceneReader, SceneReaderConfig, read_scenes
from minit2i.edit.train import heads_of
from minit2i.evaluate.clip import read_wording
from minit2i.images import to_float
from minit2i.train.denoiser import DenoiserRecipe
from minit2i.world.batches import scene_pictures
from minit2i.world.captions import full_caption
from minit2i.world.parse import EDIT_WORDS, apply_prompt, parse_prompt, suggest_words
from minit2i.world.render import framed, layout
from minit2i.world.scenes import ANIMALS, ATTRIBUTES, BACKGROUNDS, COLOURS, HEADWEAR, STYLES, draw_scene


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        (
            "a cat wearing a blue baseball cap",
            {"animal": "cat", "headwear": "baseball cap", "colour": "blue"},
        ),
        ("put it on a dark blue wall", {"background": "navy"}),
        ("blue cap, pink background", {"headwear": "baseball cap", "colour": "blue", "background": "pink"}),
        ("a cap with green behind it", {"headwear": "baseball cap", "background": "green"}),
        (
            "a hatless kitty in shades",
            {"animal": "cat", "headwear": "none", "colour": "none", "eyewear": "sunglasses"},
        ),
        ("a polar bear", {"animal": "polar bear"}),
        ("no glasses", {"eyewear": "none"}),
        ("without sunglasses", {"eyewear": "none"}),
        ("remove the crown", {"headwear": "none", "colour": "none"}),
        ("the background is pink", {"background": "pink"}),
        ("change the wall to dark blue", {"background": "navy"}),
        ("a black cat in a red cap", {"animal": "cat", "headwear": "baseball cap", "colour": "red"}),
        ("in noto style", {"style": "noto"}),
        ("a category of dogma", {}),
        ("", {}),
    ],
)
def test_what_a_prompt_says(prompt, says):
    assert parse_prompt(prompt) == says


def test_what_a_caller_does_to_an_answer_changes_no_other():
    parse_prompt("a cat in a red crown").clear()
    assert parse_prompt("a cat in a red crown") == {"animal": "cat", "headwear": "crown", "colour": "red"}


@pytest.mark.parametrize(
    ("prompt", "word", "suggested"),
    [
        ("a cat wearing a red beret", "beret", HEADWEAR),
        ("a zebra in a red beret", "beret", HEADWEAR),
        ("dog, fez, blue background", "fez", HEADWEAR),
        ("a zebra in a hat", "zebra", ANIMALS),
        ("a crown on a zebra", "zebra", ANIMALS),
        ("a zebra without a hat", "zebra", ANIMALS),
        ("a kangaroo capless", "kangaroo", ANIMALS),
        ("ZEBRA!", "zebra", ANIMALS),
        ("a cat on a lilac background", "lilac", BACKGROUNDS),
        ("a cat in front of a house", "house", BACKGROUNDS),  # though a mouse is spelt nearly so
        ("a cat in a teal hat", "teal", COLOURS),
        ("a cat in watercolour style", "watercolour", STYLES),
        ("a catt in a hat", "catt", ("cat",)),
        ("a red catt", "catt", ("cat",)),
        ("a cat in a bleu cap", "bleu", ("blue",)),
        ("a cat wearing sunglases", "sunglases", ("sunglasses", "glasses")),
        ("a cat", "zebra", ANIMALS),  # not in it at all
    ],
)
def test_what_is_suggested_is_near_or_of_the_same_kind(prompt, word, suggested):
    assert suggest_words(prompt, word) == list(suggested)


def test_words_that_are_obeyed_can_be_known():
    assert {"take", "off", "delete", "get", "rid", "of", "put", "away"} <= EDIT_WORDS
    assert not EDIT_WORDS & {word for values in ATTRIBUTES.values() for word in values}
    assert {*STYLES, "cat", "please"} <= set(DenoiserRecipe().note(None)["words"])


def test_every_full_caption_is_understood():
    for i in range(300):
        scene = draw_scene(8, i, "all")
        says = parse_prompt(full_caption(scene))
        assert {**vars(scene), **says} == vars(scene)
        assert {"animal", "headwear", "background"} <= says.keys()


def test_most_of_what_people_type_is_understood():
    rows = read_wording("look")
    stated = [{name: row[name] for name in ATTRIBUTES if row.get(name)} for row in rows]
    pairs = [
        (says.get(name), value)
        for row, names in zip(rows, stated, strict=True)
        for says in [parse_prompt(row["prompt"])]
        for name, value in names.items()
    ]
    assert sum(a == b for a, b in pairs) / len(pairs) > 0.85


@pytest.mark.parametrize("seed", range(5))
def test_a_frame_around_a_head_is_the_frame_it_came_from(seed):
    scene = draw_scene(seed, 0, "all")
    again = framed(scene, layout(scene)[0][2:])
    assert_close(again.layout_vector(), scene.layout_vector())
    for hat in HEADWEAR:  # whatever it puts on, the head stays where it is
        other = framed(replace(scene, headwear=hat, colour="red"), layout(scene)[0][2:])
        assert_close(
            torch.tensor(layout(other)[0][2:]), torch.tensor(layout(scene)[0][2:]), atol=1e-6, rtol=0
        )


def test_what_is_left_open_stays_as_it_is():
    scene = replace(draw_scene(0, 0), animal="dog", headwear="none", colour="none", eyewear="glasses")
    head = layout(scene)[0][2:]
    same = apply_prompt(scene, head, "please")
    assert_close(same.layout_vector(), scene.layout_vector())
    assert same.animal == "dog" and same.eyewear == "glasses"
    assert apply_prompt(scene, head, "in a crown").colour == "red"
    bare = apply_prompt(replace(scene, headwear="crown", colour="blue"), head, "no hat")
    assert (bare.headwear, bare.colour) == ("none", "none")


def test_a_reader_answers_every_question():
    torch.manual_seed(0)
    reader = SceneReader(SceneReaderConfig(tokens=4, token_width=8, hidden=16))
    logits, heads = reader(torch.randn(5, 4, 8))
    assert [logit.shape for logit in logits] == [(5, len(values)) for values in ATTRIBUTES.values()]
    assert heads.shape == (5, 3)


def test_shipped_weights_read_scenes_never_seen():
    pixels, scenes = scene_pictures("held_out", 100, 64, seed=31)
    found = read_scenes(load_model("clip"), load_model("reader"), to_float(pixels))
    right = [
        all(getattr(a, name) == getattr(b, name) for name in ATTRIBUTES)
        for (a, _), b in zip(found, scenes, strict=True)
    ]
    assert sum(right) >= 90
    heads = torch.tensor([head for _, head in found])
    assert (heads - heads_of(scenes)).abs().mean() < 0.02
    for scene, _ in found:
        assert (scene.headwear == "none") == (scene.colour == "none")
