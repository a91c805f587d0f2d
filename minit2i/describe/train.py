"""How the captioner is trained: on pictures of scenes, their descriptions, and questions with answers."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
from PIL import Image
from torch import Generator, Tensor
from torch.nn.utils.rnn import pad_sequence

from minit2i.checkpoint import load_model, load_tokenizer
from minit2i.clip import CLIP
from minit2i.evaluate.train_judge import soften
from minit2i.images import to_pil
from minit2i.tokenizer import Tokenizer
from minit2i.train.recipe import Recipe
from minit2i.utils import device_of
from minit2i.viz import grid
from minit2i.world.batches import new_scenes, python_rng

from .captioner import LONGEST, Batch, Captioner, CaptionerConfig, caption_loss
from .vqa import QUESTIONS, Question, answers, ask, pictures_of, unseen_things

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

    blind: without the picture, to see how far the questions alone give the answers away.
    """

    batch: int = 64
    minutes: float = 20
    lr: float = 2e-3
    blind: bool = False
    needs: ClassVar[tuple[str, ...]] = ("tokenizer", "clip")

    def load_data(self, folder: str | Path) -> CaptionData:
        return CaptionData(load_model("clip", folder), load_tokenizer(folder), unseen_things(seen=True))

    def build(self, data: CaptionData) -> Captioner:
        tokens, width = data.clip.image.position.shape  # with a class token, where there is one
        longest = data.tokenizer.context + LONGEST
        return Captioner(CaptionerConfig(data.tokenizer.vocabulary, longest, tokens, width))

    @torch.no_grad()
    def seen(self, model: Captioner, data: CaptionData, pictures: Tensor) -> Tensor:
        """What the captioner is shown of pictures (B, 3, S, S) in [-1, 1]: CLIP's tokens (B, P, W)."""
        if self.blind:
            return torch.zeros(len(pictures), *data.clip.image.position.shape, device=device_of(model))
        return data.clip.image.tokens(pictures.to(device_of(model)))

    def loss(self, model: Captioner, data: CaptionData, generator: Generator) -> Tensor:
        questions = new_questions(self.batch, generator, python_rng(generator), data.things)
        pictures = pictures_of(questions, data.clip.config.picture_size).to(device_of(model))
        tokens = self.seen(model, data, soften(pictures, generator))
        return caption_loss(model, tokens, question_batch(data.tokenizer, questions))

    def note(self, data: CaptionData) -> dict:
        return {"blind": self.blind}

    def preview(self, model: Captioner, data: CaptionData) -> Image.Image:
        """Pictures, questions, and what it answers by now."""
        generator = Generator().manual_seed(2)
        questions = new_questions(24, generator, python_rng(generator), data.things)
        pictures = pictures_of(questions, data.clip.config.picture_size)
        texts = answers(model, data.tokenizer, self.seen(model, data, pictures), questions)
        captions = [f"{one.question}? {text}" for one, text in zip(questions, texts, strict=True)]
        return grid(to_pil(pictures), columns=8, captions=captions)


def new_questions(count: int, generator: Generator, rng: random.Random, things: list[str]) -> list[Question]:
    """Questions about scenes of the training split that no one has drawn before. things: see `vqa.beyond`."""
    pairs = zip(new_scenes(count, generator), new_scenes(count, generator), strict=True)
    return [ask(rng.choice(KINDS), scene, other, rng, things) for scene, other in pairs]


def question_batch(tokenizer: Tokenizer, questions: list[Question]) -> Batch:
    """Questions and answers in one row each, padded; of an answer at most LONGEST tokens."""
    rows = [(tokenizer.encode(one.question), tokenizer.encode(one.answer)[1:][:LONGEST]) for one in questions]
    texts = [torch.tensor(question + answer) for question, answer in rows]
    ids = pad_sequence(texts, batch_first=True, padding_value=tokenizer.padding)
    is_answer = [torch.arange(len(question + answer)) >= len(question) for question, answer in rows]
    return Batch(ids, *pad_sequence(is_answer, batch_first=True).nonzero(as_tuple=True))
