"""Which word looks where, and how to keep it so while a word changes.

In a denoiser each place asks all places and all words, and takes a weighted mean of their answers. These
weights can be watched: they show which places a word speaks to. And they can be exchanged: with the weights
of another prompt's picture, a new picture takes over its composition.
Papers: Tang et al. 2023 (DAAM, what the weights show), Hertz et al. 2023 (prompt-to-prompt, exchanging them).

Shapes: B prompts, P places of an attention layer (side x side), M tokens of the text, h heads.
"""

from difflib import SequenceMatcher

import torch
from torch import Tensor

from minit2i.layers import Attention
from minit2i.samplers import Denoise
from minit2i.tokenizer import Tokenizer, words_of
from minit2i.unet import UNet


def text_layers(denoiser: UNet) -> list[Attention]:
    """The attention layers that hear words, in the order of their use."""
    return [part for part in denoiser.modules() if isinstance(part, Attention) and part.context_key_value]


# ---- Watching ----


class AttentionStore:
    """A control that changes nothing and keeps what each place gives to each word, the mean over the heads.

    prompts: how many there are. Under guidance the empty ones come before them and are left out: nothing
    can be learnt from where they look.
    """

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
        """What each place gave to each token, over all layers and steps: (B, side, side, M)."""
        return torch.stack(self.maps).mean(dim=0)

    def by_step(self, layers: int) -> Tensor:
        """The same for each step: (steps, B, side, side, M); layers: see `text_layers`."""
        return torch.stack(self.maps).unflatten(0, (-1, layers)).mean(dim=1)


def token_columns(tokenizer: Tokenizer, text: str) -> list[tuple[str, list[int]]]:
    """The words of a text, each with the places of its tokens among those that the denoiser hears."""
    columns, at = [], 1  # the start token comes first
    for word in words_of(text):
        count = len(tokenizer.encode_word(word))
        if at + count > tokenizer.context - 1:  # no room for it before the end token
            break
        columns.append((word, list(range(at, at + count))))
        at += count
    return columns


def attention_map(maps: Tensor, columns: list[int]) -> Tensor:
    """How much a word speaks to each place, from 0 to 1 where most: maps (..., side, side, M) -> without M.

    columns: the places of its tokens, see `columns_of`; none of them: 0 everywhere.
    """
    total = maps[..., columns].sum(dim=-1)
    return total / total.amax(dim=(-2, -1), keepdim=True).clamp(min=1e-12)


# ---- Exchanging ----


def pairs(tokenizer: Tokenizer, first: str, second: str) -> tuple[list[int], list[int]]:
    """The tokens that two prompts share, in order: their places in the first, and in the second."""
    matcher = SequenceMatcher(None, tokenizer.encode(first), tokenizer.encode(second), autojunk=False)
    old, new = [], []
    for i, j, size in matcher.get_matching_blocks():
        old += range(i, i + size)
        new += range(j, j + size)
    return old, new


class PromptToPrompt:
    """A control that gives the second picture the attention of the first, where their words are the same.

    A batch holds the B first prompts and then the B second ones, and under guidance as many empty ones
    before them. What places ask of places is the first picture's, and so is what they ask of words that both
    prompts have; new words keep what they get, and each place's weights are brought back to a sum of 1. A
    place that asked little but words that are gone keeps its own weights.
    Source: Hertz et al. 2023, section 3.
    """

    def __init__(self, tokenizer: Tokenizer, first: list[str], second: list[str], until: int):
        """until: attention is exchanged at times t above this one, while the composition is decided."""
        self.shared = [pairs(tokenizer, *both) for both in zip(first, second, strict=True)]
        self.until, self.on = until, False

    def wrap_denoiser(self, denoise: Denoise) -> Denoise:
        """The same denoiser, which also tells this control the time."""

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
        own = second.clone()
        second[..., :P] = first[..., :P]
        for b, (old, new) in enumerate(self.shared):
            second[b, :, :, [P + j for j in new]] = first[b, :, :, [P + j for j in old]]
        total = second.sum(dim=-1, keepdim=True)
        second.copy_(torch.where(total > 0.1, second / total.clamp(min=0.1), own))
        return groups.flatten(0, 2)
