"""From a picture to words: a small language model that is conditioned on what CLIP sees.

It reads from left to right: first the tokens of CLIP's image tower, then a question, then its own answer,
of which it predicts one token after the other. A causal mask hides whatever stands to the right, so all
tokens of an answer can be learnt at once.
Papers: Radford et al. 2019 (GPT-2), Mokady et al. 2021 (pictures as the first words).

Shapes: B pictures, P tokens of a picture and W their width, L tokens of a text, V vocabulary, D width.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from minit2i.layers import AttentionHook, Cache, TransformerBlock
from minit2i.tokenizer import Tokenizer

DESCRIBE = "what is in the picture"  # the question that a caption answers
UNKNOWN = "i cannot tell"
LONGEST = 40  # tokens of an answer


@dataclass(frozen=True)
class CaptionerConfig:
    """Sizes of a captioner. `context`: the most tokens of a question with its answer, which are the
    tokenizer's context and LONGEST. Picture tokens are those of CLIP's image tower."""

    vocabulary: int = 4096
    context: int = 104
    picture_tokens: int = 16
    picture_width: int = 160
    width: int = 144
    depth: int = 4
    heads: int = 4


class Captioner(nn.Module):
    """A causal transformer over tokens of a picture and of a text in one row; it predicts the next token."""

    def __init__(self, config: CaptionerConfig):
        super().__init__()
        self.config = config
        D = config.width
        self.look = nn.Linear(config.picture_width, D)
        self.embed = nn.Embedding(config.vocabulary, D)
        nn.init.normal_(self.embed.weight, std=0.02)
        self.position = nn.Parameter(0.02 * torch.randn(config.picture_tokens + config.context, D))
        self.blocks = nn.ModuleList(TransformerBlock(D, config.heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(D)

    def read(
        self,
        picture: Tensor | None,
        ids: Tensor,
        caches: list[list[Cache]] | None = None,
        hook: AttentionHook | None = None,
    ) -> Tensor:
        """What each new text token has come to mean, (B, L, D).

        picture: (B, P, W), CLIP's tokens, or None where the caches hold them; ids: (B, L), the new tokens;
        caches: one for each block, and hook: is shown the weights of each block, as in `Attention`.
        """
        x = self.embed(ids)
        if picture is not None:
            x = torch.cat([self.look(picture), x], dim=1)
        past = caches[0][0][0].shape[2] if caches and caches[0] else 0  # tokens that the caches hold
        x = x + self.position[past : past + x.shape[1]]
        for block, cache in zip(self.blocks, caches or [None] * len(self.blocks), strict=True):
            x = block(x, causal=True, cache=cache, hook=hook)
        return self.norm(x[:, -ids.shape[1] :])

    def next(self, x: Tensor) -> Tensor:
        """From what a token has come to mean, (..., D), to the logits of the token after it, (..., V)."""
        # The table of embeddings serves both ways (Press & Wolf 2017)
        return x @ self.embed.weight.T

    def forward(self, picture: Tensor | None, ids: Tensor, caches: list[list[Cache]] | None = None) -> Tensor:
        """The arguments are those of `read`. Returns the logits (B, L, V) of what follows each new token."""
        return self.next(self.read(picture, ids, caches))


class Batch(NamedTuple):
    """Questions with their answers in one row each, ids (B, L), and the positions of all tokens of answers:
    their rows and columns, (n,) each."""

    ids: Tensor
    rows: Tensor
    columns: Tensor


def caption_loss(model: Captioner, picture: Tensor, batch: Batch) -> Tensor:
    """The mean cross-entropy over all tokens of the answers, a scalar. picture: (B, P, W)."""
    ids = batch.ids.to(picture.device)
    x = model.read(picture, ids[:, :-1])
    # The token in column i is predicted from column i - 1
    logits = model.next(x[batch.rows, batch.columns - 1])
    return F.cross_entropy(logits.float(), ids[batch.rows, batch.columns])


@torch.no_grad()
def write(
    model: Captioner,
    tokenizer: Tokenizer,
    picture: Tensor,
    question: str = DESCRIBE,
    temperature: float = 0.0,
    seed: int = 0,
) -> list[str]:
    """An answer for each picture, (B,) texts. picture: (B, P, W).

    temperature: 0 takes the likeliest token each time (greedy); 1 samples from the model's distribution, and
    more flattens it.
    """
    generator = Generator().manual_seed(seed)
    ids = torch.tensor([tokenizer.encode(question)] * len(picture), device=picture.device)
    caches: list[list[Cache]] = [[] for _ in model.blocks]
    new = picture, ids
    written = torch.zeros(len(picture), 0, dtype=torch.int64, device="cpu")
    while written.shape[1] < LONGEST and not (written == tokenizer.end).any(dim=1).all():
        now = model(*new, caches)[:, -1].float().cpu()
        chosen = now.argmax(-1)
        if temperature:  # p_i ~ e^(logit_i / temperature)
            chosen = torch.multinomial((now / temperature).softmax(-1), 1, generator=generator)[:, 0]
        written = torch.cat([written, chosen[:, None]], dim=1)
        # Only the new token goes through the network: the caches hold all before it
        new = None, chosen[:, None].to(picture.device)
    rows = [[*row, tokenizer.end] for row in written.tolist()]
    return [tokenizer.decode(row[: row.index(tokenizer.end)]) for row in rows]


@torch.no_grad()
def attention_maps(
    model: Captioner, tokenizer: Tokenizer, picture: Tensor, question: str, answer: str
) -> Tensor:
    """Where each token of an answer looked in one picture (1, P, W): (L, side, side), each with sum 1.

    Row i belongs to token i of the answer; it is where the model looked when it wrote that token.
    """
    before = tokenizer.encode(question)
    ids = torch.tensor([before + tokenizer.encode(answer)[1:-1]], device=picture.device)
    weights: list[Tensor] = []

    def keep(of_block: Tensor) -> Tensor:
        weights.append(of_block)
        return of_block

    model.read(picture, ids, hook=keep)
    P, side = picture.shape[1], math.isqrt(picture.shape[1])
    # A token is written by the one before it; a class token, which comes first, is at no position
    look = torch.cat(weights).mean(dim=(0, 1))[P + len(before) - 1 : -1, P - side**2 : P]
    return (look / look.sum(dim=-1, keepdim=True)).view(-1, side, side)
