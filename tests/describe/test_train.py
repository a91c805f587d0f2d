"""The captioner's recipe: its sizes are those of the networks that it is trained with."""

import random

import pytest
import torch
from torch import Generator

from minit2i.clip import CLIP, CLIPConfig
from minit2i.describe.captioner import DESCRIBE, LONGEST, attention_maps, write
from minit2i.describe.train import CaptionData, CaptionRecipe, question_batch
from minit2i.describe.vqa import ask
from minit2i.tokenizer import Tokenizer
from minit2i.world.scenes import Scene

TOWERS = {"width": 32, "depth": 1, "heads": 2, "text_width": 32, "text_depth": 1, "text_heads": 2}
CAT = Scene("polar bear", "graduation cap", "yellow", "sunglasses", "lavender", "noto")


@pytest.mark.parametrize(
    ("stem", "picture_size", "patch", "context"),
    [("patch", 64, 16, 100), ("patch", 32, 8, 24), ("conv", 64, 16, 64)],
)
def test_sizes_follow_clip_and_the_tokenizer(stem, picture_size, patch, context):
    torch.manual_seed(0)
    tokenizer = Tokenizer([], context=context)  # it knows no words, so texts are as long as they get
    sizes = {"stem": stem, "picture_size": picture_size, "patch": patch}
    clip = CLIP(CLIPConfig(**TOWERS, **sizes, vocabulary=tokenizer.vocabulary, context=context))
    recipe, data = CaptionRecipe(batch=2), CaptionData(clip, tokenizer, ["train"])
    model = recipe.build(data)
    tokens = (picture_size // patch) ** 2 + (stem == "patch")
    assert (model.config.picture_tokens, model.config.picture_width) == (tokens, TOWERS["width"])
    assert model.config.context == context + LONGEST
    assert model.config.vocabulary == tokenizer.vocabulary
    for other in (recipe, CaptionRecipe(batch=2, blind=True)):
        assert other.loss(model, data, Generator().manual_seed(0)).isfinite()
    picture = clip.image.tokens(torch.zeros(1, 3, picture_size, picture_size))
    assert len(write(model, tokenizer, picture, "what " * 50)) == 1
    look = attention_maps(model, tokenizer, picture, DESCRIBE[:8], "a cat")
    side = picture_size // patch
    assert look.shape[1:] == (side, side)
    torch.testing.assert_close(look.sum(dim=(1, 2)), torch.ones(len(look)))


def test_no_row_is_longer_than_what_a_captioner_reads():
    tokenizer = Tokenizer([], context=200)
    one = ask("describe", CAT, CAT, random.Random(1), [])
    batch = question_batch(tokenizer, [one])
    assert len(tokenizer.encode(one.answer)) > LONGEST == len(batch.columns)
