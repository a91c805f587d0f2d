"""Byte-pair encoding: learned from counts, lossless on its words, safe with anything."""

import json

import pytest

from minit2i.checkpoint import load_tokenizer
from minit2i.tokenizer import Tokenizer, join, spell, words_of
from minit2i.train.tokenizer import train_tokenizer
from minit2i.utils import data_file

TEXTS = ["a cat wearing a blue cap", "a cat in a red cap", "the cat sat", "a blue cat"] * 3


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.train(TEXTS, vocabulary=560, context=40)


def test_the_first_merge_is_the_most_frequent_pair():
    # "cat" is the most frequent word of two letters or more: c a t· ; "at·" and "ca" tie with "cap" adding to
    # "ca".
    tokenizer = Tokenizer.train(["cat cat cap"], vocabulary=516)
    assert tokenizer.merges == [(ord("c"), ord("a"))]


def test_join_replaces_without_overlap():
    assert join((1, 1, 1), (1, 1), 9) == (9, 1)


def test_frequent_words_become_one_token(tokenizer):
    assert len(tokenizer.encode("cat")) == 3  # start, cat, end


def test_texts_come_back(tokenizer):
    for text in [*TEXTS, "an unseen wörd 猫 🎩"]:
        assert tokenizer.decode(tokenizer.encode(text)) == " ".join(words_of(text))


def test_the_shipped_one_is_what_training_makes():
    shipped, made = load_tokenizer(), train_tokenizer()
    assert shipped.merges == made.merges and shipped.context == made.context


def test_a_word_is_its_bytes_with_the_end_marked():
    assert spell("ab") == (97, 98 + 256)


def test_a_batch_is_padded_to_its_longest(tokenizer):
    ids = tokenizer(["a cat", ""])
    assert ids[0, 0] == tokenizer.start
    assert ids[1].tolist()[:2] == [tokenizer.start, tokenizer.end]
    assert (ids[1, 2:] == tokenizer.padding).all()
    assert (ids == tokenizer.end).sum(dim=1).tolist() == [1, 1]


def test_a_long_text_loses_its_tail_and_keeps_its_end(tokenizer):
    ids = tokenizer.encode("cat " * 5000)
    assert len(ids) == tokenizer.context
    assert ids[-1] == tokenizer.end


def test_the_same_texts_give_the_same_merges_whatever_their_order(tokenizer):
    assert Tokenizer.train(TEXTS[::-1], vocabulary=560).merges == tokenizer.merges


def test_it_is_saved_and_loaded(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "tokenizer.json")
    again = Tokenizer.load(tmp_path / "tokenizer.json")
    assert again(["a blue cap"]).tolist() == tokenizer(["a blue cap"]).tolist()


def test_no_common_word_falls_into_letters():
    made = load_tokenizer()  # which is what training makes, see above
    for word in json.loads(data_file("words", "common.json").read_text()):
        pieces = [made.text_of(i).strip("·") for i in made.encode_word(word)]
        assert len(word) < 3 or max(map(len, pieces)) > 1, word
