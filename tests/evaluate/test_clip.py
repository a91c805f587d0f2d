"""CLIP's figures: captions that differ in one thing, words that mean nothing, colours read."""

import numpy as np
import torch

from minit2i import utils
from minit2i.evaluate.clip import (
    measure_naming,
    measure_noise_words,
    measure_swaps,
    read_attributes,
    read_wording,
)
from minit2i.world.render import paints
from minit2i.world.scenes import COLOURS, draw_scene

SCENES = [draw_scene(0, i, "held_out") for i in range(12)]


class Spy:
    """A matcher to whom everything is alike, and who notes what it was asked."""

    def __init__(self):
        self.asked = []
        self.model = torch.nn.Linear(1, 1)  # it only has to be somewhere
        self.model.embed_pictures = lambda pixels: torch.ones(len(pixels), 2)

    def embed(self, pictures):
        return torch.ones(len(pictures), 2)

    def embed_texts(self, texts):
        self.asked.extend(texts)
        return torch.ones(len(texts), 2)


def test_an_animal_is_named_with_the_article_that_training_uses():
    spy = Spy()
    measure_naming(spy, SCENES[:2])
    assert "an owl" in spy.asked
    assert not [text for text in spy.asked if text.startswith("a owl")]


def test_swapped_captions_differ_in_one_attribute_and_what_is_alike_counts_as_wrong():
    spy = Spy()
    result = measure_swaps(spy, SCENES)
    assert len(result) == 6 and {entry["value"] for entry in result.values()} == {0.0}
    own, swapped = spy.asked[48:60], spy.asked[60:72]  # of the third swap, the colours
    for scene, a, b in zip(SCENES, own, swapped, strict=True):
        assert scene.colour in a
        assert {*a.split()} ^ {*b.split()} <= {*COLOURS, "a", "an"}
        assert a != b
    eyewear = spy.asked[72:96]
    assert all("glasses" in text for text in eyewear)
    hats = list(zip(spy.asked[-24:-12], spy.asked[-12:], strict=True))
    assert [("no hat" in a, "no hat" in b) for a, b in hats] == [(True, False), (False, True)] * 6


def test_what_people_type_is_read_from_the_data_alone(tmp_path, monkeypatch):
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "wording.tsv").symlink_to(utils.DATA / "words" / "wording.tsv")
    monkeypatch.setattr(utils, "DATA", tmp_path)
    assert len(read_wording("look")) == len(read_wording("measure")) == 190


def test_words_that_mean_nothing_are_put_into_full_captions():
    spy = Spy()
    result = measure_noise_words(spy, SCENES[:2])
    assert result["plain"]["n"] == result["with one to three words in it that mean nothing"]["n"] >= 8
    for plain, noisy in zip(spy.asked[::2], spy.asked[1::2], strict=True):
        assert 1 <= len(noisy.split()) - len(plain.split()) <= 3


def test_a_matcher_that_knows_colours_reads_colours():
    class Colours:
        """Embeds a hat's colour and nothing else, of texts by the word, of pictures by the nearest paint."""

        paints = torch.tensor([paints()["hats"][colour][1] for colour in COLOURS]).float()

        def embed(self, pictures):
            x = torch.stack([torch.from_numpy(np.array(p.resize((32, 32), 0))).float() for p in pictures])
            near = torch.cdist(x.flatten(1, 2), self.paints) < 30  # (B, pixels, colours)
            return near.float().mean(1)

        def embed_texts(self, texts):
            return torch.tensor([[float(c in text) for c in COLOURS] for text in texts])

    matcher, right = Colours(), 0
    for i, colour in enumerate(COLOURS):
        asked = {"animal": "cow", "headwear": "sun hat", "colour": colour, "background": "grey"}
        [answers] = read_attributes(matcher, [f"a cow in a {colour} sun hat"], asked, i)
        assert answers.keys() == asked.keys()
        right += answers["colour"]
    assert right >= 7
