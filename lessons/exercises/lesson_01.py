"""Lesson 01, CLIP: joining a pair of ids, attention, the contrastive loss, and searching in other words."""

from functools import cache

import torch
from PIL import Image
from torch import Tensor

from exercises import Wrong, compare
from minit2i import viz
from minit2i.checkpoint import load_model, load_tokenizer
from minit2i.clip import Matcher, contrastive_loss
from minit2i.tokenizer import join, words_of
from minit2i.world import datasets as data

# ---- 01.1 ----


def join_pair(ids: list[int], pair: tuple[int, int], new: int) -> list[int]:
    return list(join(tuple(ids), pair, new))


def overlapping(ids: list[int], pair: tuple[int, int], new: int) -> list[int]:
    """Joins wherever the pair stands, even if one of the two was used already."""
    starts = [i for i in range(len(ids) - 1) if tuple(ids[i : i + 2]) == pair]
    return [new if i in starts else ids[i] for i in range(len(ids)) if i in starts or i - 1 not in starts]


def first_only(ids: list[int], pair: tuple[int, int], new: int) -> list[int]:
    for i in range(len(ids) - 1):
        if tuple(ids[i : i + 2]) == pair:
            return [*ids[:i], new, *ids[i + 2 :]]
    return list(ids)


join_test = compare(
    join_pair,
    [
        ([1, 2, 3, 1, 2], (1, 2), 9),
        ([7, 7, 7], (7, 7), 8),
        ([7, 7, 7, 7], (7, 7), 8),
        ([1], (1, 2), 9),
        ([], (1, 2), 9),
        ([2, 1], (1, 2), 9),
    ],
    {
        "nothing is joined": lambda ids, pair, new: list(ids),
        "the last id is lost": lambda ids, pair, new: join_pair(ids, pair, new)[:-1],
        "only the first pair is joined": first_only,
        "an id is used in two pairs: after a join, go two places on": overlapping,
        "new is put in, but the second of the two stays": lambda ids, pair, new: [
            new if tuple(ids[i : i + 2]) == pair else ids[i] for i in range(len(ids))
        ],
    },
)

# ---- 01.2 ----


def attention(Q: Tensor, K: Tensor, V: Tensor) -> Tensor:
    return torch.softmax(Q @ K.T / Q.shape[1] ** 0.5, dim=1) @ V


GENERATOR = torch.Generator().manual_seed(0)
attention_test = compare(
    attention,
    [
        (
            torch.tensor([[2.0, 0.0], [0.0, 1.0], [1.0, 1.0]]),
            torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
            torch.tensor([[1.0], [3.0]]),
        ),
        (
            torch.randn(3, 4, generator=GENERATOR),
            torch.randn(5, 4, generator=GENERATOR),
            torch.randn(5, 2, generator=GENERATOR),
        ),
    ],
    {
        "all is zero": lambda Q, K, V: torch.zeros(len(Q), V.shape[1]),
        "the agreement is not divided by the square root of d": lambda Q, K, V: (
            torch.softmax(Q @ K.T, dim=1) @ V
        ),
        "the agreement is divided by the root of the number of queries, not of d": lambda Q, K, V: (
            torch.softmax(Q @ K.T / len(Q) ** 0.5, dim=1) @ V
        ),
        "the agreement is divided by d, not by its root": lambda Q, K, V: (
            torch.softmax(Q @ K.T / Q.shape[1], dim=1) @ V
        ),
        "the softmax goes along the queries (dimension 0) instead of the keys": lambda Q, K, V: (
            torch.softmax(Q @ K.T / Q.shape[1] ** 0.5, dim=0) @ V
        ),
        "there is no softmax": lambda Q, K, V: Q @ K.T / Q.shape[1] ** 0.5 @ V,
    },
)

# ---- 01.3 ----


def of_rows(scores: Tensor) -> Tensor:
    return -scores.log_softmax(1).diagonal().mean()


contrastive_test = compare(
    contrastive_loss,
    [
        (torch.tensor([[2.0, 0.0, 1.0], [1.0, 1.0, 0.0], [0.0, 2.0, 3.0]]),),
        (torch.randn(5, 5, generator=GENERATOR),),
    ],
    {
        "all is zero": lambda scores: torch.tensor(0.0),
        "only the pictures choose (rows); the captions must choose too": of_rows,
        "only the captions choose (columns); the pictures must choose too": lambda scores: of_rows(scores.T),
        "the two are added, without halving": lambda scores: of_rows(scores) + of_rows(scores.T),
        "the sum is taken instead of the mean": lambda scores: contrastive_loss(scores) * len(scores),
        "the minus is missing": lambda scores: -contrastive_loss(scores),
        "the logarithm is missing": lambda scores: (
            -(scores.softmax(1).diagonal().mean() + scores.softmax(0).diagonal().mean()) / 2
        ),
    },
)

# ---- 01.4 ----

FORBIDDEN = {"launch", "launched", "rocket", "rockets", "space", "travel"}


@cache
def library() -> tuple[Matcher, list[Image.Image], list[str], Tensor]:
    """The pretrained CLIP, the emoji of one style, their names and their embeddings."""
    matcher = Matcher(load_model("clip"), load_tokenizer())
    rows = data.load("emoji")
    rows = rows.select([i for i, style in enumerate(rows["style"]) if style == "noto"])
    drawings = rows["image"][:]
    return matcher, drawings, rows["name"][:], matcher.embed(drawings)


def query_test(answer, wanted: int = 20) -> Image.Image:
    text = answer()
    if not isinstance(text, str) or not text.strip():
        raise Wrong("my_query() should return a text.")
    if used := FORBIDDEN & set(words_of(text)):
        raise Wrong(f"These words are not allowed: {', '.join(sorted(used))}.")
    matcher, drawings, names, embedded = library()
    order = (embedded @ matcher.embed_texts([text])[0]).argsort(descending=True).tolist()
    place = order.index(names.index("rocket")) + 1
    picture = viz.grid(
        [drawings[i] for i in order[:8]], columns=8, captions=[names[i] for i in order[:8]], side=80
    )
    if place > wanted:
        raise Wrong(
            f'For "{text}" the rocket is at place {place}; among the first {wanted} is asked for.', picture
        )
    print(f'For "{text}" the rocket is at place {place}.')
    return picture


EXERCISES = {"01.1": join_test, "01.2": attention_test, "01.3": contrastive_test, "01.4": query_test}
