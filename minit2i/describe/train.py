"""How the captioner is trained: on pictures of scenes, their descriptions, and questions with answers."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor

from minit2i.checkpoint import load_model, load_tokenizer
from minit2i.clip import CLIP
from minit2i.evaluate.train_judge import soften
from minit2i.images import to_float, to_pil
from minit2i.tokenizer import Tokenizer
from minit2i.train.recipe import Recipe
from minit2i.utils import device_of
from minit2i.viz import grid
from minit2i.world.batches import new_scenes, python_rng

from .captioner import Batch, Captioner, CaptionerConfig, caption_loss, write
from .views import render_view
from .vqa import QUESTIONS, Question, ask, unseen_things

# Yes or no by comparison is what such a network learns last: these come twice
KINDS = (*QUESTIONS, "is it", "wears", "glasses", "there", "is coloured", *["beyond"] * 3, *["describe"] * 5)


class CaptionData(NamedTuple):
    """CLIP, which sees, the tokenizer, and words for things that are in no picture."""

    clip: CLIP
    tokenizer: Tokenizer
    things: list[str]


@dataclass(frozen=True)
class CaptionRecipe(Recipe):
    """Each picture with a question about it.

    blind: without the picture, to see what can be guessed from the questions alone.
    """

    batch: int = 64
    minutes: float = 20
    lr: float = 2e-3
    blind: bool = False
    needs: ClassVar[tuple[str, ...]] = ("tokenizer", "clip")

    def load_data(self, folder: str | Path) -> CaptionData:
        return CaptionData(load_model("clip", folder), load_tokenizer(folder), unseen_things(seen=True))

    def build(self, data: CaptionData) -> Captioner:
        seen = data.clip.config
        tokens = (seen.picture_size // seen.patch) ** 2
        sizes = {"picture_tokens": tokens, "picture_width": seen.width}
        return Captioner(CaptionerConfig(vocabulary=data.tokenizer.vocabulary, **sizes))

    def seen(self, model: Captioner, data: CaptionData, pixels: Tensor) -> Tensor:
        """What the captioner is shown of pictures (B, 3, 64, 64) in [-1, 1]: CLIP's tokens (B, P, W)."""
        config, on = model.config, device_of(model)
        if self.blind:
            return torch.zeros(len(pixels), config.picture_tokens, config.picture_width, device=on)
        with torch.no_grad():
            return data.clip.image.tokens(pixels.to(on))

    def loss(self, model: Captioner, data: CaptionData, generator: Generator) -> Tensor:
        asked = new_questions(self.batch, generator, python_rng(generator), data.things)
        pixels = soften(pictures_of(asked).to(device_of(model)), generator)
        return caption_loss(model, self.seen(model, data, pixels), question_batch(data.tokenizer, asked))

    def note(self, data: CaptionData) -> dict:
        return {"blind": self.blind}

    @torch.no_grad()
    def preview(self, model: Captioner, data: CaptionData) -> Image.Image:
        """Pictures, questions, and what it answers by now."""
        generator = Generator().manual_seed(2)
        asked = new_questions(24, generator, python_rng(generator), data.things)
        pixels = pictures_of(asked)
        tokens = self.seen(model, data, pixels)
        answers = [
            write(model, data.tokenizer, tokens[i : i + 1], one.question)[0] for i, one in enumerate(asked)
        ]
        captions = [f"{one.question}? {answer}" for one, answer in zip(asked, answers, strict=True)]
        return grid(to_pil(pixels), columns=8, captions=captions)


def new_questions(count: int, generator: Generator, rng: random.Random, things: list[str]) -> list[Question]:
    """Questions about scenes of the training split that no one has drawn before."""
    scenes, others = new_scenes(count, generator), new_scenes(count, generator)
    return [
        ask(rng.choice(KINDS), scene, other, rng, things) for scene, other in zip(scenes, others, strict=True)
    ]


def pictures_of(asked: list[Question]) -> Tensor:
    """The pictures that are asked about: (B, 3, 64, 64) in [-1, 1]."""
    pixels = torch.from_numpy(np.stack([np.asarray(render_view(one.view)) for one in asked]))
    return to_float(pixels.permute(0, 3, 1, 2).contiguous())


def question_batch(tokenizer: Tokenizer, asked: list[Question]) -> Batch:
    """Questions and answers in one row each, padded."""
    rows = [(tokenizer.encode(one.question), tokenizer.encode(one.answer)[1:]) for one in asked]
    longest = max(len(question) + len(answer) for question, answer in rows)
    ids = torch.full((len(rows), longest), tokenizer.padding)
    places = []
    for i, (question, answer) in enumerate(rows):
        end = len(question) + len(answer)
        ids[i, :end] = torch.tensor(question + answer)
        places += [(i, column) for column in range(len(question), end)]
    return Batch(ids, *torch.tensor(places).unbind(1))
