"""An independent eye: a classifier that says what a scene shows, and whether it is a picture at all.

The judge never sees a generated picture before it is asked about one, and nothing is trained, steered or chosen
by it. It is trained on all combinations, seen and held out, so that a rare one is not held against the
picture. One more answer, "broken", catches mush: without it, a classifier names a cat in any orange cloud.
Architecture: a small residual network (He et al. 2016).

Shapes: B pictures, C channels, F features.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import ResidualBlock
from .scenes import ANIMALS, BACKGROUNDS, COLOURS, EYEWEAR, HEADWEAR, Scene

# What is asked of each picture, and the answers there are. "intact" comes last: is this a picture at all?
QUESTIONS = {
    "animal": ANIMALS,
    "headwear": ("none", *HEADWEAR),
    "colour": ("none", *COLOURS),
    "eyewear": EYEWEAR,
    "background": tuple(BACKGROUNDS),
    "intact": ("broken", "intact"),
}


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
        self.config = config
        widths = config.widths
        self.enter = nn.Conv2d(config.channels, widths[0], 4, stride=2, padding=1)
        self.blocks = nn.ModuleList(
            ResidualBlock(before, width) for before, width in zip((widths[0], *widths), widths, strict=False)
        )
        self.norm = nn.GroupNorm(8, widths[-1])
        self.heads = nn.ModuleList(nn.Linear(widths[-1], n) for n in config.answers)

    def features(self, pictures: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] -> (B, F): what the heads decide from; Fréchet distances are measured here."""
        x = self.enter(pictures)
        for i, block in enumerate(self.blocks):
            x = block(F.avg_pool2d(x, 2) if i > 0 else x)
        return F.silu(self.norm(x)).mean(dim=(2, 3))

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """(B, C, H, W) in [-1, 1] -> for each question the logits (B, answers)."""
        features = self.features(pictures)
        return [head(features) for head in self.heads]


def truth(scenes: list[Scene]) -> Tensor:
    """The right answers for intact scenes: (B, questions) int64."""
    return torch.tensor(
        [
            [
                answers.index(getattr(scene, question)) if question != "intact" else 1
                for question, answers in QUESTIONS.items()
            ]
            for scene in scenes
        ]
    )


def judge_loss(model: Judge, pictures: Tensor, right: Tensor) -> Tensor:
    """Cross-entropy summed over the questions; of a broken picture (last answer 0) only "intact" is asked."""
    *logits, intact = model(pictures)
    whole = right[:, -1] == 1
    loss = F.cross_entropy(intact, right[:, -1])
    for i, logit in enumerate(logits):
        loss = loss + F.cross_entropy(logit[whole], right[whole, i])
    return loss


def break_pictures(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Spoil pictures so that they are no scenes any more: tiles shuffled, half-denoised, or two blended.

    pictures: (B, 3, H, W) in [-1, 1], B a multiple of 3. Returns as many: a third of each kind.
    """
    shuffled, noisy, blended = pictures.chunk(3)
    return torch.cat(
        [shuffle_tiles(shuffled, generator), half_denoise(noisy, generator), blend(blended, generator)]
    )


def shuffle_tiles(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Cut each picture into 4x4 tiles and lay them out in another order: right colours, wrong shape."""
    B, C, H, W = pictures.shape
    tiles = (
        pictures.view(B, C, 4, H // 4, 4, W // 4).permute(0, 2, 4, 1, 3, 5).reshape(B, 16, C, H // 4, W // 4)
    )
    order = torch.rand(B, 16, generator=generator).argsort(dim=1)
    tiles = tiles[torch.arange(B)[:, None], order].view(B, 4, 4, C, H // 4, W // 4)
    return tiles.permute(0, 3, 1, 4, 2, 5).reshape(B, C, H, W)


def half_denoise(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """What a poor denoiser makes of a scene: noise averaged over squares, which leaves blobs or coarse grain."""
    B, C, H, W = pictures.shape
    result = []
    # The larger the squares over which noise was averaged, the more noise there may have been.
    for part, square in zip(pictures.chunk(3), (2, 4, 8), strict=False):
        strength = square * (0.15 + 0.25 * torch.rand(len(part), 1, 1, 1, generator=generator))
        noisy = part + strength * torch.randn(part.shape, generator=generator)
        coarse = F.interpolate(F.avg_pool2d(noisy, square), (H, W), mode="bicubic")
        share = 0.3 * torch.rand(
            len(part), 1, 1, 1, generator=generator
        )  # of the true picture, shining through
        # The flat background is denoised first: half of the time it is left clean.
        background = (part - part[:, :, :1, :1]).abs().amax(dim=1, keepdim=True) < 0.1
        clean = background & (torch.rand(len(part), 1, 1, 1, generator=generator) < 0.5)
        result.append(torch.where(clean, part, share * part + (1 - share) * coarse))
    return torch.cat(result).clamp(-1, 1)


def blend(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Two pictures at once: half of them see-through, the others cut along a wavy line."""
    other = pictures.roll(1, dims=0)
    B, _, H, W = pictures.shape
    share = (0.35 + 0.3 * torch.rand(B, 1, 1, 1, generator=generator)).expand(B, 1, H, W)
    hills = F.interpolate(torch.randn(B, 1, 4, 4, generator=generator), (H, W), mode="bicubic")
    cut = (hills > 0).float()
    mask = torch.where(torch.rand(B, 1, 1, 1, generator=generator) < 0.5, share, cut)
    return mask * pictures + (1 - mask) * other


@torch.no_grad()
def verdicts(model: Judge, pictures: Tensor, scenes: list[Scene]) -> dict[str, Tensor]:
    """Compare pictures (B, 3, 64, 64) with the scenes that were asked for.

    Returns for each question (B,) bool, and "joint": all of them right at once, on an intact picture.
    """
    right = truth(scenes)
    answers = [
        torch.cat([logit.argmax(1) for logit in logits])
        for logits in zip(*(model(part) for part in pictures.split(256)), strict=True)
    ]
    result = {question: answers[i] == right[:, i] for i, question in enumerate(QUESTIONS)}
    result["joint"] = torch.stack(list(result.values())).all(dim=0)
    return result


@torch.no_grad()
def features(model: Judge, pictures: Tensor) -> Tensor:
    """The judge's features of many pictures, 256 at a time: (B, C, H, W) -> (B, F)."""
    return torch.cat([model.features(part) for part in pictures.split(256)])
