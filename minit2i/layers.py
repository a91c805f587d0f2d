"""Building blocks that the networks share: attention, transformer and residual blocks, embeddings.

Papers: Vaswani et al. 2017 (attention), He et al. 2016 (residual learning), Wu & He 2018 (group norm),
Perez et al. 2018 (FiLM, the scale and shift by which time and text modulate a block).

Shapes: B batch, L tokens (a sequence), M context tokens, D width of a token, C channels, H W height, width.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

AttentionHook = Callable[[Tensor], Tensor]  # weights (B, heads, L, L+M) -> those to use, each row with sum 1
Cache = tuple[Tensor, Tensor]  # keys and values of the tokens so far, (B, heads, tokens, D/heads) each


def timestep_embedding(t: Tensor, width: int) -> Tensor:
    """Turn timesteps into smooth vectors, so that near times look alike.

    t: (B,) of any number type. Returns (B, width) float32 in [-1, 1]. `width` must be even.
    Source: Vaswani et al. 2017, section 3.5, with t in place of a word's position.
    """
    # frequency_i = 10000^(-i / (width/2)),  embedding = [cos(t frequency), sin(t frequency)]
    frequency = torch.exp(
        -math.log(10_000) * torch.arange(width // 2, device=t.device).float() / (width // 2)
    )
    angle = t.float()[:, None] * frequency[None, :]  # (B, width/2)
    return torch.cat([angle.cos(), angle.sin()], dim=1)


WAVES = 4  # how many, of doubling frequency, say where a position lies within a frame


def frame_waves(frame: Tensor, H: int, W: int, angle: Tensor | None = None) -> Tensor:
    """Where each position lies within a frame: sines and cosines of its coordinates, (B, 4 WAVES, H, W).

    A convolution does the same everywhere and does not know where it is; what is drawn in a frame moves and
    grows with it. frame: (B, 3), x and y of its middle and its size, as fractions of the picture; all 0 if it
    is left to chance, and then the waves are 0 too. angle: (B,), how far it is turned, clockwise, in radians.
    Sources: Liu et al. 2018 (CoordConv), Tancik et al. 2020 (why waves, not bare coordinates).
    """
    x, y, size = frame[:, :, None].unbind(1)  # (B, 1) each
    across, down = ((torch.arange(n, device=frame.device).float() + 0.5) / n - 0.5 for n in (W, H))
    # u = (position - x) / size, from -1/2 to 1/2 within the frame
    known = size > 0
    u, v = ((position - middle) / size.where(known, 1) for position, middle in ((across, x), (down, y)))
    u, v = u[:, None, :].expand(-1, H, W), v[:, :, None].expand(-1, H, W)
    if angle is not None:
        cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
        u, v = cos * u + sin * v, cos * v - sin * u
    waves = []
    for k in range(WAVES):
        # sin(2^k pi u), cos(2^k pi u): half a wave across the frame, one, two, ...
        for angles in (2**k * math.pi * u, 2**k * math.pi * v):
            waves += [angles.sin(), angles.cos()]
    return torch.stack(waves, dim=1) * known[:, :, None, None]


def zeroed(module: nn.Module) -> nn.Module:
    """A convolution or linear layer that gives 0 until it has learnt something."""
    nn.init.zeros_(module.weight)
    nn.init.zeros_(module.bias)
    return module


class QuickGELU(nn.Module):
    """The smooth ReLU that CLIP uses: x sigmoid(1.702 x) (Hendrycks & Gimpel 2016)."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class Attention(nn.Module):
    """Every token asks all tokens, and all context tokens if given, and takes a weighted mean of the answers.

    With a context, tokens of both kinds stand in one softmax: self- and cross-attention at once
    (Saharia et al. 2022, appendix D). Source: Vaswani et al. 2017, equation 1.
    """

    def __init__(self, width: int, heads: int, context_width: int | None = None):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.context_key_value = nn.Linear(context_width, 2 * width) if context_width else None
        self.out = nn.Linear(width, width)

    def forward(
        self,
        x: Tensor,
        context: Tensor | None = None,
        mask: Tensor | None = None,
        causal: bool = False,
        hook: AttentionHook | None = None,
        cache: list[Cache] | None = None,
    ) -> Tensor:
        """x: (B, L, D); context: (B, M, context_width); mask: (B, M), True where the context is real.

        causal: token i sees only tokens 0..i; not with a context. hook: is shown the weights and returns
        those to use. cache: what causal tokens saw before, replaced by the same with x. Returns (B, L, D).
        """
        B, L, D = x.shape
        key_value = self.key_value(x)  # (B, L, 2D)
        visible = None
        if context is not None:
            key_value = torch.cat([key_value, self.context_key_value(context)], dim=1)  # (B, L+M, 2D)
            if mask is not None:
                itself = torch.ones(B, L, dtype=torch.bool, device=x.device)
                visible = torch.cat([itself, mask], dim=1)[:, None, None, :]  # (B, 1, 1, L+M)
        query, key, value = (
            part.view(B, -1, self.heads, D // self.heads).transpose(1, 2)  # (B, heads, tokens, D/heads)
            for part in (self.query(x), *key_value.chunk(2, dim=-1))
        )
        if cache is not None:
            if cache:
                key, value = (torch.cat(pair, dim=2) for pair in zip(cache.pop(), (key, value), strict=True))
            cache.append((key, value))
        if causal and (hook is not None or key.shape[2] > L):  # token i of x is number past + i of all
            past = key.shape[2] - L
            visible = torch.ones(L, past + L, dtype=torch.bool, device=x.device).tril(past)
        # softmax(Q K^T / sqrt(D/heads)) V, in 32 bits: with 16 a CPU takes three times as long
        with torch.autocast("cpu", enabled=False):
            query, key, value = query.float(), key.float(), value.float()
            if hook is None:
                causal = causal and visible is None
                y = F.scaled_dot_product_attention(query, key, value, attn_mask=visible, is_causal=causal)
            else:  # the same written out, for the function above never shows its weights
                scores = query @ key.transpose(-1, -2) / (D // self.heads) ** 0.5  # (B, heads, L, tokens)
                if visible is not None:
                    scores = scores.masked_fill(~visible, -torch.inf)
                y = hook(scores.softmax(dim=-1)) @ value
        return self.out(y.transpose(1, 2).reshape(B, L, D))


class TransformerBlock(nn.Module):
    """Tokens talk (attention), then each thinks for itself (a two-layer network); both results are added.

    Layer norm comes first in each half ("pre-norm", Radford et al. 2019), as in CLIP.
    """

    def __init__(self, width: int, heads: int, context_width: int | None = None):
        super().__init__()
        self.norm_1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads, context_width)
        self.norm_2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), QuickGELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, *context: Tensor, **options) -> Tensor:
        """(B, L, D) -> (B, L, D); context and its mask, and options, are those of `Attention`."""
        x = x + self.attention(self.norm_1(x), *context, **options)
        return x + self.mlp(self.norm_2(x))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions added to their input; an embedding of time and text scales and shifts them.

    Starts as its skip alone (last convolution zero), so that a deep stack trains from the first step.
    Source: Ho et al. 2020 (the block), Perez et al. 2018 (scale and shift).
    """

    def __init__(self, channels_in: int, channels: int, embedding: int | None = None, groups: int = 8):
        super().__init__()
        self.norm_1 = nn.GroupNorm(groups, channels_in)
        self.conv_1 = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.norm_2 = nn.GroupNorm(groups, channels)
        self.conv_2 = zeroed(nn.Conv2d(channels, channels, 3, padding=1))
        self.modulation = nn.Linear(embedding, 2 * channels) if embedding else None
        self.skip = nn.Conv2d(channels_in, channels, 1) if channels_in != channels else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        """x: (B, channels_in, H, W); embedding: (B, E). Returns (B, channels, H, W)."""
        h = self.norm_2(self.conv_1(F.silu(self.norm_1(x))))
        if self.modulation is not None:
            scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, dim=1)  # (B, C, 1, 1) each
            # FiLM: h (1 + scale) + shift
            h = torch.addcmul(h + shift, h, scale)
        return self.skip(x) + self.conv_2(F.silu(h))
