"""A small network that says what a picture shows, and where the head is, from what CLIP's image tower sees.

Who changes a picture has to know what is in it. CLIP has learnt to see; two layers say what its tokens know.

Shapes: B pictures, L D tokens of CLIP's image tower and their width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from minit2i.clip import CLIP
from minit2i.utils import device_of
from minit2i.world.render import framed
from minit2i.world.scenes import ATTRIBUTES, Scene

HEAD = 3  # numbers that say where a head is: left, top and side of its square, as fractions of the picture


@dataclass(frozen=True)
class SceneReaderConfig:
    """Sizes of a reader; `answers`: how many values each attribute of a scene has."""

    tokens: int = 16
    token_width: int = 160
    hidden: int = 256
    answers: tuple[int, ...] = tuple(len(values) for values in ATTRIBUTES.values())


class SceneReader(nn.Module):
    """CLIP's image tokens of a picture, side by side, through two layers: what it shows, and where."""

    def __init__(self, config: SceneReaderConfig):
        super().__init__()
        self.config = config
        first = nn.Linear(config.tokens * config.token_width, config.hidden)
        self.layers = nn.Sequential(first, nn.SiLU(), nn.Linear(config.hidden, sum(config.answers) + HEAD))

    def forward(self, tokens: Tensor) -> tuple[list[Tensor], Tensor]:
        """(B, L, D) -> the logits of each attribute, (B, values) each, and the head's square, (B, HEAD)."""
        *logits, head = self.layers(tokens.flatten(1)).split([*self.config.answers, HEAD], dim=1)
        return logits, head


@torch.no_grad()
def read_scenes(clip: CLIP, reader: SceneReader, pictures: Tensor) -> list[tuple[Scene, list[float]]]:
    """What each picture (B, 3, 64, 64) in [-1, 1] shows, as a scene, and the square of its head.
    The scene's x, y and size are those at which its head is there."""
    logits, heads = reader(clip.image.tokens(pictures.to(device_of(clip))))
    answers = dict(zip(ATTRIBUTES, logits, strict=True))
    # A hat has a colour, and no hat has none: whether there is one, the hat decides.
    answers["colour"][:, 0] = torch.where(answers["headwear"].argmax(1) == 0, torch.inf, -torch.inf)
    named = ([ATTRIBUTES[name][i] for i in logit.argmax(1).tolist()] for name, logit in answers.items())
    scenes = [Scene(**dict(zip(ATTRIBUTES, values, strict=True))) for values in zip(*named, strict=True)]
    return [(framed(scene, head), head) for scene, head in zip(scenes, heads.tolist(), strict=True)]
