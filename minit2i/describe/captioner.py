"""From a picture to words: a small language model that looks at what CLIP sees, and tells or answers.

It reads from left to right: first the tokens of CLIP's image tower, then a question, then its own answer,
of which it guesses one token after the other. Whatever stands to the right is hidden from it, so all tokens
of an answer can be learnt at once.
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

DESCRIBE = "what is in the picture"
UNKNOWN = "i cannot tell"


@dataclass(frozen=True)
class CaptionerConfig:
    """Sizes of a captioner. `context`: the most tokens of a question with its answer, 64 + LONGEST."""

    vocabulary: int = 4096
    context: int = 104
    picture_tokens: int = 16
    picture_width: int = 160
    width: int = 144
    depth: int = 4
    heads: int = 4


class Captioner(nn.Module):
    """Picture tokens and text tokens in one row; for each text token, what the next one may be."""

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
        """picture: (B, P, W), CLIP's tokens, or None where the caches hold them; ids: (B, L), what is new.

        caches: one a block, see `Attention`; hook: sees the weights of each block. Returns what each new text
        token has come to mean, (B, L, D).
        """
        x = self.embed(ids)
        if picture is not None:
            x = torch.cat([self.look(picture), x], dim=1)
        begin = caches[0][0][0].shape[2] if caches and caches[0] else 0
        x = x + self.position[begin : begin + x.shape[1]]
        for block, cache in zip(self.blocks, caches or [None] * len(self.blocks), strict=True):
            x = block(x, causal=True, cache=cache, hook=hook)
        return self.norm(x[:, -ids.shape[1] :])

    def next(self, x: Tensor) -> Tensor:
        """What may come after tokens that mean this, (..., D): logits (..., V)."""
        # The same table says what a token means and which token is meant (Press & Wolf 2017)
        return x @ self.embed.weight.T

    def forward(self, picture: Tensor | None, ids: Tensor, caches: list[list[Cache]] | None = None) -> Tensor:
        """As `read`. Returns the logits (B, L, V) of what comes after each new token."""
        return self.next(self.read(picture, ids, caches))


class Batch(NamedTuple):
    """Questions with their answers in one row each, ids (B, L), and the places of all tokens of answers:
    their rows and columns, (n,) each."""

    ids: Tensor
    rows: Tensor
    columns: Tensor


def caption_loss(model: Captioner, picture: Tensor, batch: Batch) -> Tensor:
    """How surprised the model is by each token of the answers: the mean cross-entropy, a scalar."""
    ids = batch.ids.to(picture.device)
    x = model.read(picture, ids[:, :-1])
    # Column i is guessed by what stands at column i - 1
    logits = model.next(x[batch.rows, batch.columns - 1])
    return F.cross_entropy(logits.float(), ids[batch.rows, batch.columns])


# ---- Writing ----

LONGEST = 40  # tokens of an answer


@torch.no_grad()
def write(
    model: Captioner,
    tokenizer: Tokenizer,
    picture: Tensor,
    question: str = DESCRIBE,
    temperature: float = 0.0,
    seed: int = 0,
) -> list[str]:
    """An answer for each picture (B, P, W).

    temperature: 0 takes the likeliest token each time (greedy); 1 draws from what the model thinks likely,
    more is bolder.
    """
    generator = Generator().manual_seed(seed)
    ids = torch.tensor([tokenizer.encode(question)] * len(picture), device=picture.device)
    caches: list[list[Cache]] = [[] for _ in model.blocks]
    logits = model(picture, ids, caches)
    written: list[list[int]] = [[] for _ in picture]
    done = torch.zeros(len(picture), dtype=torch.bool)
    for _ in range(LONGEST):
        now = logits[:, -1].float().cpu()
        # p_i ~ e^(logit_i / temperature)
        chosen = (
            torch.multinomial((now / temperature).softmax(-1), 1, generator=generator)[:, 0]
            if temperature
            else now.argmax(-1)
        )
        done |= chosen == tokenizer.end
        if done.all():
            break
        for row, token, over in zip(written, chosen.tolist(), done.tolist(), strict=True):
            if not over:
                row.append(token)
        # Only the new token goes through the network: the caches hold all before it
        logits = model(None, chosen[:, None].to(picture.device), caches)
    return [tokenizer.decode(row) for row in written]


@torch.no_grad()
def beam_search(
    model: Captioner, tokenizer: Tokenizer, picture: Tensor, question: str = DESCRIBE, width: int = 4
) -> list[tuple[str, float]]:
    """Likely answers to one picture (1, P, W), the likeliest first, with the logarithm of how likely each is.

    In each step every unfinished text goes on in all ways, and only the `width` likeliest are kept: what
    begins well may end badly, and the other way round. Without a cache, which is plainer here.
    """
    start = tokenizer.encode(question)
    beams: list[tuple[list[int], float]] = [([], 0.0)]
    finished: list[tuple[list[int], float]] = []
    for _ in range(LONGEST):
        ids = torch.tensor([start + row for row, _ in beams], device=picture.device)
        logits = model(picture.expand(len(beams), -1, -1), ids)
        # log p(text, token) = log p(text) + log p(token | text)
        scores = logits[:, -1].float().log_softmax(-1).cpu() + torch.tensor([s for _, s in beams])[:, None]
        best = scores.flatten().topk(width)
        going_on = []
        for score, place in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            row, token = beams[place // scores.shape[1]][0], place % scores.shape[1]
            (finished if token == tokenizer.end else going_on).append(
                (row if token == tokenizer.end else [*row, token], score)
            )
        finished = sorted(finished, key=lambda pair: -pair[1])[:width]
        beams = going_on
        # What is unfinished only becomes less likely
        if not beams or (len(finished) == width and finished[-1][1] >= beams[0][1]):
            break
    return [(tokenizer.decode(row), score) for row, score in finished or beams]


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
    P = picture.shape[1]
    # A token is written by the one before it
    look = torch.cat(weights).mean(dim=(0, 1))[P + len(before) - 1 : -1, :P]
    side = math.isqrt(P)
    return (look / look.sum(dim=-1, keepdim=True)).view(-1, side, side)
