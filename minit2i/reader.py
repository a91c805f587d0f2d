"""A small network that says what a picture shows, and where the head is, from what CLIP's image tower sees.

Who changes a picture has to know what is in it. CLIP has learnt to see; what the tokens of its image tower
know is read off by two layers.

Shapes: B pictures, L D tokens of CLIP's image tower and their width.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from .scenes import ATTRIBUTES

HEAD = 3  # numbers that say where a head is: left, top and side of its square, as fractions of the picture


@dataclass(frozen=True)
class ReaderConfig:
    """Sizes of a reader; `answers`: how many values each attribute of a scene has."""

    tokens: int = 16
    token_width: int = 160
    hidden: int = 256
    answers: tuple[int, ...] = tuple(len(values) for values in ATTRIBUTES.values())


class Reader(nn.Module):
    """CLIP's image tokens of a picture, side by side, through two layers: what it shows, and where."""

    def __init__(self, config: ReaderConfig):
        super().__init__()
        self.config = config
        width = config.tokens * config.token_width
        self.layers = nn.Sequential(
            nn.Linear(width, config.hidden), nn.SiLU(), nn.Linear(config.hidden, sum(config.answers) + HEAD)
        )

    def forward(self, tokens: Tensor) -> tuple[list[Tensor], Tensor]:
        """(B, L, D) -> the logits of each attribute, (B, values) each, and the head's square, (B, HEAD)."""
        *logits, head = self.layers(tokens.flatten(1)).split([*self.config.answers, HEAD], dim=1)
        return logits, head
