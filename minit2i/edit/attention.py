"""Which word is attended to where, and how to keep it so while a word changes.

Each position attends to all positions and all words, and takes a weighted mean of what they answer. These
weights can be watched: they show which positions a word speaks to. And they can be exchanged: with those of
another picture, a new one takes over its composition. A hook does either: conditioning["attention_hook"].
Papers: Tang et al. 2023 (DAAM, what the weights show), Hertz et al. 2023 (prompt-to-prompt, exchanging them).

Shapes: B prompts, P positions of an attention layer (side x side), M tokens of the text, h heads.
"""

from difflib import SequenceMatcher
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from minit2i.samplers import Denoise
from minit2i.tokenizer import Tokenizer, words_of


class AttentionStore:
    """A hook that changes nothing and keeps how much each position attends to each word, the mean over heads.
    prompts: how many there are. Under guidance as many empty ones come before them, and are left out."""

    def __init__(self, prompts: int):
        self.prompts = prompts
        self.maps: list[Tensor] = []  # (B, side, side, M) each: every layer of every step, in order

    def __call__(self, weights: Tensor) -> Tensor:
        """weights: (B or 2B, h, P, P + M)."""
        P = weights.shape[2]
        words = weights[-self.prompts :, :, :, P:].mean(dim=1)  # (B, P, M)
        self.maps.append(words.unflatten(1, (round(P**0.5), -1)))
        return weights

    def mean(self) -> Tensor:
        """How much each position attended to each token, over all layers and steps: (B, side, side, M)."""
        return torch.stack(self.maps).mean(dim=0)

    def by_step(self, steps: int) -> Tensor:
        """The same for each of so many steps: (steps, B, side, side, M)."""
        return torch.stack(self.maps).unflatten(0, (steps, -1)).mean(dim=1)


def token_columns(tokenizer: Tokenizer, text: str) -> list[tuple[str, list[int]]]:
    """The words of a text, each with the columns of its tokens in a map: what `attention_map` takes."""
    words = words_of(text)  # they stand between a start and an end token
    ends = accumulate((len(tokenizer.encode_word(word)) for word in words), initial=1)
    spans = zip(words, pairwise(ends), strict=True)
    return [(word, list(range(*span))) for word, span in spans if span[1] < tokenizer.context]


def attention_map(maps: Tensor, columns: list[int]) -> Tensor:
    """How much each position attends to a word, 1 where most: maps (..., side, side, M) -> (..., side, side).
    columns: those of its tokens, see `token_columns`; without any: 0 everywhere. Source: Tang et al. 2023."""
    total = maps[..., columns].sum(dim=-1)
    return total / total.amax(dim=(-2, -1), keepdim=True).clamp(min=1e-12)


def map_of_changes(maps: Tensor, tokenizer: Tokenizer, first: list[str], second: list[str]) -> Tensor:
    """How much each position attends to the words that only one of two prompts has: (B, side, side), 0 to 1.
    maps: (2B, side, side, M), of the B first prompts and then of the B second ones."""
    changes = []
    for b, both in enumerate(zip(first, second, strict=True)):
        each = [attention_map(maps[b], [])]
        for i, text, shared in zip((b, len(first) + b), both, shared_tokens(tokenizer, *both), strict=True):
            alone = [column for column in range(len(tokenizer.encode(text))) if column not in shared]
            each += [attention_map(maps[i], [column]) for column in alone]
        changes.append(torch.stack(each).amax(dim=0))
    return torch.stack(changes)


def shared_tokens(tokenizer: Tokenizer, first: str, second: str) -> tuple[list[int], list[int]]:
    """The tokens that two prompts share, in order: their columns in the first, and in the second."""
    matcher = SequenceMatcher(None, tokenizer.encode(first), tokenizer.encode(second), autojunk=False)
    pairs = [(i + n, j + n) for i, j, size in matcher.get_matching_blocks() for n in range(size)]
    return [i for i, _ in pairs], [j for _, j in pairs]


class PromptToPrompt:
    """A hook that gives the second picture the attention of the first, where their words are the same.

    A batch holds the B first prompts and then the B second ones, and under guidance as many empty ones
    before them. How positions attend to positions is taken from the first picture, and so is how they attend
    to words that both prompts have; new words keep what they get, and each position's weights are brought
    back to a sum of 1. A position that attended to little but words that are gone keeps its own weights.
    Source: Hertz et al. 2023, section 3.
    """

    def __init__(self, tokenizer: Tokenizer, first: list[str], second: list[str], until: int):
        """until: attention is exchanged at times t above this one, while the composition is decided."""
        self.shared = [shared_tokens(tokenizer, *both) for both in zip(first, second, strict=True)]
        self.until, self.on = until, False

    def wrap_denoiser(self, denoise: Denoise) -> Denoise:
        """The same denoiser, which also lets this hook know the time."""

        def timed(x_t: Tensor, t: Tensor) -> Tensor:
            self.on = int(t[0]) > self.until
            return denoise(x_t, t)

        return timed

    def __call__(self, weights: Tensor) -> Tensor:
        """weights: (2B or 4B, h, P, P + M). Returns the same shape."""
        if not self.on:
            return weights
        P, B = weights.shape[2], len(self.shared)
        groups = weights.unflatten(0, (-1, 2, B)).clone()  # (1 or 2, 2, B, h, P, P + M); words are the last
        groups[:-1, 1] = groups[:-1, 0]  # the empty prompts are the same
        first, second = groups[-1]
        second[..., :P] = first[..., :P]
        for b, (old, new) in enumerate(self.shared):
            second[b, :, :, [P + j for j in new]] = first[b, :, :, [P + j for j in old]]
        total = second.sum(dim=-1, keepdim=True)
        second.copy_(torch.where(total > 0.1, second / total.clamp(min=0.1), weights[-B:]))
        return groups.flatten(0, 2)
