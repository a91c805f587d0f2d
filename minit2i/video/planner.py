"""From words to a motion: where a scene goes in each moment of a video. Diffusion, of 64 numbers.

A motion is noised and denoised just as a picture is; only the network differs: a transformer whose tokens
are the frames.
Papers: Ho et al. 2020 (DDPM), Peebles & Xie 2023 (a transformer that denoises).

Shapes: B motions (B, F, POSE), see motion.py; as the samplers see them: (B, POSE, 1, F). L text tokens,
D their width.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from minit2i.layers import TransformerBlock, timestep_embedding
from minit2i.schedule import Schedule
from minit2i.world.scenes import FRAMES, POSE

UNIT = (0.0, 0.0, 1.0, 1.0), (0.1, 0.1, 0.15, 1.5)  # about the mean and the spread of what a motion holds


@dataclass(frozen=True)
class PlannerConfig:
    """Sizes of a planner."""

    width: int = 96
    depth: int = 3
    heads: int = 4
    vocabulary: int = 4096
    context: int = 64
    log_snr_shift: float = 0.0

    @cached_property
    def schedule(self) -> Schedule:
        """The noise schedule that it is trained with."""
        return Schedule.cosine().shifted(self.log_snr_shift)


class Planner(nn.Module):
    """A denoiser of motions that reads words.

    It has a table of its own for what words mean: CLIP learnt from still pictures, whose captions never speak
    of movement.
    """

    def __init__(self, config: PlannerConfig):
        super().__init__()
        self.config, self.prediction, D = config, "v", config.width
        self.embed = nn.Embedding(config.vocabulary, D)
        self.word_position = nn.Parameter(0.02 * torch.randn(config.context, D))
        nn.init.normal_(self.embed.weight, std=0.1)
        self.padding = config.vocabulary - 1
        self.enter = nn.Linear(POSE, D)
        self.time = nn.Sequential(nn.Linear(D, D), nn.SiLU(), nn.Linear(D, D))
        self.position = nn.Parameter(0.1 * torch.randn(FRAMES, D))
        self.blocks = nn.ModuleList(TransformerBlock(D, config.heads, D) for _ in range(config.depth))
        self.norm = nn.LayerNorm(D)
        self.leave = nn.Linear(D, POSE)

    def read(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Prompts as ids (B, L), to tokens (B, L, D) and (B, L), True where a token is real."""
        return self.embed(ids) + self.word_position[: ids.shape[1]], ids != self.padding

    def forward(self, x_t: Tensor, t: Tensor, text: tuple[Tensor, Tensor]) -> Tensor:
        """x_t: (B, POSE, 1, F); t: (B,); text: of the same batch, see `read`. Returns the prediction."""
        x = self.enter(x_t[:, :, 0].transpose(1, 2)) + self.position
        x = x + self.time(timestep_embedding(t, self.config.width))[:, None]
        for block in self.blocks:
            x = block(x, *text)
        return self.leave(self.norm(x)).transpose(1, 2)[:, :, None]


def to_unit(motions: Tensor) -> Tensor:
    """Motions (B, F, POSE) as the planner works on them, of about unit scale: (B, POSE, 1, F)."""
    middle, spread = motions.new_tensor(UNIT)
    return ((motions - middle) / spread).transpose(1, 2)[:, :, None]


def from_unit(x: Tensor) -> Tensor:
    """The inverse: (B, POSE, 1, F) -> (B, F, POSE), on the CPU."""
    middle, spread = x.cpu().new_tensor(UNIT)
    return x[:, :, 0].transpose(1, 2).cpu() * spread + middle
