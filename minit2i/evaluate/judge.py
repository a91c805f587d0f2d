"""An independent eye: a classifier that says what a scene shows, and whether it is a picture at all.

It never sees a generated picture before it is asked about one, and nothing is trained, steered or chosen by
it. It is trained on all combinations, so that a rare one is not held against a picture. One more answer,
"broken", catches what is no picture: without it, a classifier names a cat in any orange cloud.
Architecture: a small residual network (He et al. 2016). Shapes: B pictures, C channels, D features.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minit2i.layers import ResidualBlock
from minit2i.utils import device_of, in_batches
from minit2i.world.scenes import ATTRIBUTES, Scene

# What is asked of each picture, and the answers there are. "intact" comes last: is this a picture at all?
QUESTIONS = {name: values for name, values in ATTRIBUTES.items() if name != "style"}
QUESTIONS["intact"] = ("broken", "intact")


@dataclass(frozen=True)
class JudgeConfig:
    """Sizes of a judge; `answers`: how many answers each question has, `channels`: 3 colour, 1 grey."""

    channels: int = 3
    widths: tuple[int, ...] = (32, 64, 96, 128)
    answers: tuple[int, ...] = tuple(len(answers) for answers in QUESTIONS.values())


class Judge(nn.Module):
    """A residual network that halves the picture at each width, with one linear head a question."""

    def __init__(self, config: JudgeConfig):
        super().__init__()
        self.config, widths = config, config.widths
        self.enter = nn.Conv2d(config.channels, widths[0], 4, stride=2, padding=1)
        self.blocks = nn.ModuleList(map(ResidualBlock, (widths[0], *widths), widths))
        self.norm = nn.GroupNorm(8, widths[-1])
        self.heads = nn.ModuleList(nn.Linear(widths[-1], n) for n in config.answers)

    def features(self, pictures: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] -> (B, D): what the heads decide from, and Fréchet distances compare."""
        x = self.enter(pictures)
        for i, block in enumerate(self.blocks):
            x = block(F.avg_pool2d(x, 2) if i > 0 else x)
        return F.silu(self.norm(x)).mean(dim=(2, 3))

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """(B, C, H, W) in [-1, 1] -> for each question the logits (B, answers)."""
        features = self.features(pictures)
        return [head(features) for head in self.heads]


@torch.no_grad()
def features(model: Judge, pictures: Tensor) -> Tensor:
    """The judge's features of many pictures: (B, C, H, W) in [-1, 1] -> (B, D)."""
    return in_batches(lambda part: model.features(part.to(device_of(model))), pictures)


@torch.no_grad()
def answers(model: Judge, pictures: Tensor) -> Tensor:
    """The likeliest answer to each question, (B, C, H, W) in [-1, 1] -> (B, questions) int64 on the CPU."""
    on = device_of(model)
    return in_batches(lambda x: torch.stack([y.argmax(1) for y in model(x.to(on))], dim=1).cpu(), pictures)


def truth(scenes: list[Scene]) -> Tensor:
    """The right answers for intact scenes: (B, questions) int64."""
    rows = ([values.index(getattr(s, name, "intact")) for name, values in QUESTIONS.items()] for s in scenes)
    return torch.tensor([*rows])


def verdicts(model: Judge, pictures: Tensor, scenes: list[Scene]) -> dict[str, Tensor]:
    """Compare pictures (B, 3, 64, 64) in [-1, 1] with the scenes that were asked for.

    Returns for each question (B,) bool, and "joint": all of them right at once, on an intact picture.
    """
    right = answers(model, pictures) == truth(scenes)  # (B, questions)
    return {**dict(zip(QUESTIONS, right.T, strict=True)), "joint": right.all(dim=1)}
