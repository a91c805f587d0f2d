"""The trained CLIP put to use: how well does a text fit, which label is it, where is the picture for these
words?

Source: Radford et al. 2021, section 3.1.2 (classifying without training for it).

Shapes: B pictures, N texts, E embedding.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL.Image import Image
from safetensors.torch import load_file, save
from torch import Tensor

from .clip import CLIP
from .device import device_of
from .files import write_file
from .layers import in_batches
from .pictures import to_tensor
from .tokenizer import Tokenizer


class Matcher:
    """Score, classify and search with PIL pictures and plain texts."""

    def __init__(self, model: CLIP, tokenizer: Tokenizer):
        self.model, self.tokenizer = model.eval(), tokenizer

    @torch.no_grad()
    def embed(self, pictures: Sequence[Image]) -> Tensor:
        """PIL pictures -> (B, E) of length 1; with a progress bar if there are many."""
        size, device = self.model.config.picture_size, device_of(self.model)
        return in_batches(
            lambda part: self.model.embed_pictures(to_tensor(part, size=size).to(device)),
            list(pictures),
            64,
            "embedding pictures, 64 at a time",
        )

    @torch.no_grad()
    def embed_texts(self, texts: list[str]) -> Tensor:
        """Texts -> (N, E) of length 1."""
        device = device_of(self.model)
        return in_batches(lambda part: self.model.embed_texts(self.tokenizer(part).to(device)), texts, 512)

    def score(self, image: Image, captions: list[str]) -> list[float]:
        """The cosine of one picture with each caption, in [-1, 1]."""
        return (self.embed_texts(captions) @ self.embed([image])[0]).tolist()

    def classify(self, image: Image, labels: list[str]) -> list[float]:
        """How likely each label is if exactly one of them is right: probabilities that sum to 1."""
        cosines = torch.tensor(self.score(image, labels))
        return (cosines * self.model.scale.item()).softmax(0).tolist()

    def search(
        self, query: str, images: Sequence[Image], k: int = 5, cache: Path | None = None
    ) -> list[tuple[int, float]]:
        """The k pictures that fit the query best, as (index, cosine), best first.

        cache: a file for the embeddings of these pictures; a second search finds them there. It must be named
        anew for other pictures or other weights.
        """
        query_embedding = self.embed_texts([query])[0].cpu()
        best = (self._embed_once(images, cache) @ query_embedding).topk(min(k, len(images)))
        return list(zip(best.indices.tolist(), best.values.tolist(), strict=True))

    def _embed_once(self, images: Sequence[Image], cache: Path | None) -> Tensor:
        if cache is not None and cache.is_file():
            with contextlib.suppress(Exception):  # damaged: make it anew
                return load_file(cache)["embedded"]
        embedded = self.embed(images).cpu()
        if cache is not None:
            with contextlib.suppress(OSError):  # no place for it: the next search takes as long, no more
                cache.parent.mkdir(parents=True, exist_ok=True)
                write_file(cache, save({"embedded": embedded}))
        return embedded
