"""The tokenizer's vocabulary: from the captions of training scenes and the words for emoji."""

import random

from minit2i.captions import caption
from minit2i.data import load
from minit2i.scenes import draw_scene
from minit2i.tokenizer import Tokenizer


def train_tokenizer() -> Tokenizer:
    """Learn the merges from scene captions of the training split and from emoji names and keywords."""
    rng = random.Random(0)
    texts = [caption(draw_scene(0, index, "train"), rng) for index in range(20_000)]
    for row in load("emoji").select_columns(["name", "keywords"]):
        texts += [row["name"]] * 3 + row["keywords"]
    return Tokenizer.train(texts)
