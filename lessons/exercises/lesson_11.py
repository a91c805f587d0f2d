"""Lesson 11, describe: pairs of words, the causal mask, temperature, the commonest answer."""

import torch
from torch import Tensor

from exercises import Wrong, compare

# ---- 11.1 ----


def probability(text: list[str], first: str, then: str) -> float:
    followers = [b for a, b in zip(text, text[1:], strict=False) if a == first]
    return followers.count(then) / len(followers) if followers else 0.0


TEXT = ["a", "cat", "and", "a", "dog", "and", "a", "cat", "and", "a", "fox"]
probability_test = compare(
    probability,
    [
        (TEXT, "a", "cat"),
        (TEXT, "and", "a"),
        (TEXT, "a", "fox"),
        (TEXT, "fox", "a"),
        (["a", "b", "a"], "a", "b"),
    ],
    {
        "it is always 0": lambda text, first, then: 0.0,
        "it is divided by the number of all pairs": lambda text, first, then: (
            probability(text, first, then) * text[:-1].count(first) / max(1, len(text) - 1)
        ),
        "the last word of the text counts as followed, too": lambda text, first, then: (
            probability(text, first, then) * text[:-1].count(first) / max(1, text.count(first))
        ),
        "what stands before the word is counted, not what stands after it": lambda text, first, then: (
            probability(text[::-1], first, then)
        ),
        "it is not divided by anything": lambda text, first, then: (
            probability(text, first, then) * text[:-1].count(first)
        ),
    },
)

# ---- 11.2 ----


def must_not_look(before: int, new: int) -> Tensor:
    return torch.arange(before + new)[None, :] > torch.arange(before, before + new)[:, None]


same_mask = compare(
    must_not_look,
    [(0, 3), (2, 3), (4, 1)],
    {
        "nothing is hidden": lambda before, new: torch.zeros(new, before + new, dtype=torch.bool),
        "a token must not look at itself either": lambda before, new: (
            torch.arange(before + new)[None, :] >= torch.arange(before, before + new)[:, None]
        ),
        "what may be seen is marked, not what is hidden": lambda before, new: ~must_not_look(before, new),
        "the new tokens are counted from 0, as if nothing had been read before": lambda before, new: (
            torch.arange(before + new)[None, :] > torch.arange(new)[:, None]
        ),
    },
)


def mask_test(answer):
    """`compare`, of an answer of True and False."""
    try:
        kind = getattr(answer(1, 2), "dtype", torch.bool)
    except Exception:  # `compare` says what goes wrong in it
        kind = torch.bool
    if kind != torch.bool:
        raise Wrong(f"expected True and False, got numbers ({kind}). A comparison gives True and False.")
    return same_mask(answer)


# ---- 11.3 ----


def with_temperature(logits: Tensor, temperature: float) -> Tensor:
    return (logits / temperature).softmax(dim=-1)


LOGITS = torch.tensor([2.0, 1.0, -1.0, 0.5])
temperature_test = compare(
    with_temperature,
    [(LOGITS, 2.0), (LOGITS, 0.5), (LOGITS * 3, 1.0)],
    {
        "all tokens are alike": lambda logits, temperature: torch.full_like(logits, 1 / len(logits)),
        "the temperature multiplies; it should divide": lambda logits, temperature: (
            logits * temperature
        ).softmax(dim=-1),
        "the temperature is left out": lambda logits, temperature: logits.softmax(dim=-1),
        "the temperature comes after the softmax": lambda logits, temperature: (
            logits.softmax(dim=-1) / temperature
        ),
        "the numbers are not made to sum to 1": lambda logits, temperature: (logits / temperature).exp(),
    },
)

# ---- 11.4 ----


def commonest(answers: list[str]) -> float:
    return max(answers.count(answer) for answer in answers) / len(answers)


commonest_test = compare(
    commonest,
    [(["yes", "no", "yes", "yes"],), (["red", "blue", "green", "blue", "pink"],), (["one"],)],
    {
        "it is always right": lambda answers: 1.0,
        "it is how often the first answer is right": lambda answers: answers.count(answers[0]) / len(answers),
        "it is one over the number of different answers": lambda answers: 1 / len(set(answers)),
        "it is a number of answers, not a share": lambda answers: max(
            answers.count(answer) for answer in answers
        ),
    },
)

EXERCISES = {"11.1": probability_test, "11.2": mask_test, "11.3": temperature_test, "11.4": commonest_test}
