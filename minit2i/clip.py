"""Does this text match this picture? Two towers that map pictures and texts into one space; and their use.

Matching pairs are pulled together and all others in the batch pushed apart; afterwards the angle between two
vectors says how well they fit. The text tower's tokens are also what tells the denoiser the words.
Paper: Radford et al. 2021 (CLIP). With `stem="patch"` this is CLIP's own form; `stem="conv"` puts a
small convolutional network before the transformer, which learns far faster on little data (Xiao et al. 2021).

Shapes: B pictures, N texts, L tokens of the longest text, D width of a tower, E width of the shared space.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from PIL.Image import Image
from torch import Tensor, nn

from .images import to_tensor
from .layers import QuickGELU, ResidualBlock, TransformerBlock
from .tokenizer import Tokenizer
from .utils import device_of, in_batches

STEMS = ("conv", "patch")


@dataclass(frozen=True)
class CLIPConfig:
    """Sizes of both towers. `picture_size` must be a multiple of `patch`; the conv stem needs patch 16."""

    picture_size: int = 64
    patch: int = 16
    stem: str = "conv"
    width: int = 160
    depth: int = 3
    heads: int = 5
    text_width: int = 128
    text_depth: int = 3
    text_heads: int = 4
    vocabulary: int = 4096
    context: int = 64
    embedding: int = 128

    def __post_init__(self):
        if self.stem not in STEMS:
            raise ValueError(f"stem must be one of {', '.join(STEMS)}, not {self.stem!r}")


class Text(NamedTuple):
    """What the text tower makes of captions: tokens (B, L, D), mask (B, L) True where real, pooled (B, E)."""

    tokens: Tensor
    mask: Tensor
    pooled: Tensor

    def chunk(self) -> tuple["Text", "Text"]:
        """The first and the second half of the batch: captions and, for guidance, as many empty ones."""
        first, second = zip(*(part.chunk(2) for part in self), strict=True)
        return Text(*first), Text(*second)

    def repeat_interleave(self, times: int) -> "Text":
        """Each text so many times in a row: for the frames of a video."""
        return Text(*(part.repeat_interleave(times, dim=0) for part in self))


class ImageTower(nn.Module):
    """A vision transformer: patches become tokens; a class token, or their mean, collects what they say."""

    def __init__(self, config: CLIPConfig):
        super().__init__()
        width, patch = config.width, config.patch
        if config.stem == "conv":
            # 64 -> 16 -> 8 -> 4: edges, then parts, before any attention; only 16 tokens are left to compare
            self.stem = nn.Sequential(
                nn.PixelUnshuffle(4),
                nn.Conv2d(48, 48, 3, padding=1),
                ResidualBlock(48, 48),
                nn.GroupNorm(8, 48),
                QuickGELU(),
                nn.Conv2d(48, 96, 3, stride=2, padding=1),
                ResidualBlock(96, 96),
                nn.GroupNorm(8, 96),
                QuickGELU(),
                nn.Conv2d(96, width, 3, stride=2, padding=1),
            )
        else:
            self.stem = nn.Conv2d(3, width, patch, stride=patch, bias=False)
        self.class_token = None if config.stem == "conv" else nn.Parameter(0.02 * torch.randn(width))
        tokens = (config.picture_size // patch) ** 2 + (self.class_token is not None)
        self.position = nn.Parameter(0.02 * torch.randn(tokens, width))
        self.norm_in = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(TransformerBlock(width, config.heads) for _ in range(config.depth))
        self.norm_out = nn.LayerNorm(width)
        self.project = nn.Linear(width, config.embedding, bias=False)

    def tokens(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> (B, L, D): what each patch knows; a class token comes first."""
        x = self.stem(pictures).flatten(2).transpose(1, 2)  # (B, patches, D)
        if self.class_token is not None:
            x = torch.cat([self.class_token.expand(len(x), 1, -1), x], dim=1)  # (B, 1 + patches, D)
        x = self.norm_in(x + self.position)
        for block in self.blocks:
            x = block(x)
        return self.norm_out(x)

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> (B, E), not yet normalised."""
        x = self.tokens(pictures)
        # After a convolutional stem each token knows what it sees, so their mean learns faster than a class
        # token
        return self.project(x[:, 0] if self.class_token is not None else x.mean(dim=1))


class TextTower(nn.Module):
    """A causal transformer: each token knows only what came before, so the end token has read everything."""

    def __init__(self, config: CLIPConfig):
        super().__init__()
        self.end, self.padding = config.vocabulary - 2, config.vocabulary - 1
        self.embed = nn.Embedding(config.vocabulary, config.text_width)
        self.position = nn.Parameter(0.01 * torch.randn(config.context, config.text_width))
        nn.init.normal_(self.embed.weight, std=0.02)
        self.blocks = nn.ModuleList(
            TransformerBlock(config.text_width, config.text_heads) for _ in range(config.text_depth)
        )
        self.norm_out = nn.LayerNorm(config.text_width)
        self.project = nn.Linear(config.text_width, config.embedding, bias=False)

    def forward(self, ids: Tensor) -> Text:
        """(B, L) int64 from the tokenizer -> Text; its `pooled` is not yet normalised."""
        x = self.embed(ids) + self.position[: ids.shape[1]]
        for block in self.blocks:
            x = block(x, causal=True)
        x = self.norm_out(x)
        end = (ids == self.end).int().argmax(dim=1)
        at_end = x[torch.arange(len(ids), device=ids.device), end]  # (B, D)
        return Text(x, ids != self.padding, self.project(at_end))


class CLIP(nn.Module):
    """Both towers and the temperature that sharpens their agreement."""

    def __init__(self, config: CLIPConfig):
        super().__init__()
        self.config = config
        self.image = ImageTower(config)
        self.text = TextTower(config)
        # Cosines lie in [-1, 1]; the loss needs wider numbers. Start at 1/0.07, as the paper (section 2.5).
        self.log_scale = nn.Parameter(torch.tensor(1 / 0.07).log())

    def embed_pictures(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1], any size -> (B, E) of length 1."""
        size = self.config.picture_size
        if pictures.shape[-2:] != (size, size):
            pictures = F.interpolate(
                pictures, (size, size), mode="bilinear", antialias=True, align_corners=False
            )
        return F.normalize(self.image(pictures), dim=-1)

    def embed_texts(self, ids: Tensor) -> Tensor:
        """(N, L) int64 -> (N, E) of length 1."""
        return F.normalize(self.text(ids).pooled, dim=-1)

    @property
    def scale(self) -> Tensor:
        """What cosines are multiplied by before a softmax, clamped so that no hard pair dominates."""
        return self.log_scale.exp().clamp(max=100)

    def forward(self, pictures: Tensor, ids: Tensor) -> Tensor:
        """The score table (B, N): the scale times the cosine of each picture with each text."""
        return self.scale * self.embed_pictures(pictures) @ self.embed_texts(ids).T


def contrastive_loss(scores: Tensor) -> Tensor:
    """Each picture should choose its own text and each text its own picture (symmetric cross-entropy).

    scores: (B, B), the right pairs on the diagonal. Returns a scalar. Source: Radford et al. 2021, figure 3.
    """
    right = torch.arange(len(scores), device=scores.device)
    # L = (CE(rows) + CE(columns)) / 2
    return (F.cross_entropy(scores, right) + F.cross_entropy(scores.T, right)) / 2


class Matcher:
    """Score, classify and search with PIL pictures and plain texts."""

    def __init__(self, model: CLIP, tokenizer: Tokenizer):
        self.model, self.tokenizer = model.eval(), tokenizer

    @torch.no_grad()
    def embed(self, pictures: Sequence[Image]) -> Tensor:
        """PIL pictures -> (B, E) of length 1; with a progress bar if there are many."""
        size, device = self.model.config.picture_size, device_of(self.model)
        embed = lambda part: self.model.embed_pictures(to_tensor(part, size=size).to(device))  # noqa: E731
        return in_batches(embed, list(pictures), 64, "embedding pictures")

    @torch.no_grad()
    def embed_texts(self, texts: list[str]) -> Tensor:
        """Texts -> (N, E) of length 1."""
        device = device_of(self.model)
        return in_batches(lambda part: self.model.embed_texts(self.tokenizer(part).to(device)), texts, 512)

    def score(self, image: Image, captions: list[str]) -> list[float]:
        """The cosine of one picture with each caption, in [-1, 1]."""
        return (self.embed_texts(captions) @ self.embed([image])[0]).tolist()

    def classify(self, image: Image, labels: list[str]) -> list[float]:
        """How likely each label is if exactly one of them is right: probabilities that sum to 1."""
        cosines = torch.tensor(self.score(image, labels))
        return (cosines * self.model.scale.item()).softmax(0).tolist()

    def search(self, query: str, embedded: Tensor, k: int = 5) -> list[tuple[int, float]]:
        """The k pictures, as `embed` has made them (B, E), that fit the query best: (index, cosine) each."""
        best = (embedded.cpu() @ self.embed_texts([query])[0].cpu()).topk(min(k, len(embedded)))
        return list(zip(best.indices.tolist(), best.values.tolist(), strict=True))
