"""The tokenizer's vocabulary: from what people type, the words for emoji, and common English."""

import json
import random

from minit2i.tokenizer import Tokenizer
from minit2i.utils import data_file
from minit2i.world.captions import request
from minit2i.world.datasets import load
from minit2i.world.noise_words import wording
from minit2i.world.scenes import draw_scene


def train_tokenizer() -> Tokenizer:
    """Learn the merges from prompts for scenes of the training split, from emoji names and keywords, and from
    common words, so many times that they hold their own against 20,000 prompts."""
    rng = random.Random(0)
    texts = [request(draw_scene(0, index, "train"), rng).text for index in range(20_000)]
    texts += 20 * (wording()["openings"] + wording()["endings"])
    for row in load("emoji").select_columns(["name", "keywords"]):
        texts += [row["name"]] * 3 + row["keywords"]
    texts += 30 * json.loads(data_file("words", "common.json").read_text())
    return Tokenizer.train(texts, vocabulary=4096, context=64)
