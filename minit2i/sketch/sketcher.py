"""A crude drawing becomes a picture: the drawing says where, the prompt says what.

Flat blobs of colour or thick outlines on a plain ground are enough. Where drawing and prompt disagree, the
prompt decides what a thing is and which colour it has.
Paper: Zhang et al. 2023 (ControlNet); see control.py.

Shapes: B drawings (B, 3, S, S) in [-1, 1], S = 64.
"""

from pathlib import Path

import torch
from torch import Tensor

from minit2i.checkpoint import load_beside_denoiser
from minit2i.text2image import TextToImage
from minit2i.utils import WEIGHTS, InputError, device_of
from minit2i.world.scenes import LAYOUT

from .controlnet import ControlledDenoiser, ControlNet


class Sketcher:
    """Drawings and prompts in, pictures out."""

    def __init__(self, t2i: TextToImage, branch: ControlNet):
        self.t2i, self.branch = t2i, branch

    @classmethod
    def load(cls, folder: str | Path = WEIGHTS) -> "Sketcher":
        """Load the weights from `folder`, and what is not there from the shipped ones. Raises InputError if
        some are missing, damaged, or do not belong together."""
        return cls(TextToImage.load(folder), *load_beside_denoiser(folder, "sketch"))

    def draw(self, drawings: Tensor, prompts: list[str], strength: float = 1.0, **settings) -> Tensor:
        """One small picture a drawing: (B, 3, S, S) in [-1, 1].

        strength: how much the drawing is heeded, from 0 (not at all) to 1. settings: those of
        `TextToImage.steps` but for layout, style and told: place and size are the drawing's, and the style is
        left to chance.
        Raises InputError for another strength, or drawings of another count or size.
        """
        if not 0 <= strength <= 1:
            raise InputError(f"strength must be from 0 to 1, not {strength}")
        if drawings.shape != (len(prompts), 3, self.t2i.size, self.t2i.size):
            side = self.t2i.size
            raise InputError(f"each prompt needs a drawing (3, {side}, {side}), not {tuple(drawings.shape)}")
        t2i, on = self.t2i, device_of(self.t2i.denoiser)
        denoiser = ControlledDenoiser(t2i.denoiser, self.branch, strength)
        nowhere = torch.zeros(len(prompts), LAYOUT)
        # Told no layout, the denoiser mixes styles: clearer pictures come of a scale of 3 than of its usual 2
        settings = {"guidance_scale": 3.0, **settings}
        return t2i.with_denoiser(denoiser).draw(
            prompts, layout=nowhere, conditioning={"drawing": drawings.to(on)}, **settings
        )


def box_of(pictures: Tensor) -> Tensor:
    """The box around all that is not background: (B, 4), left, top, right and bottom as fractions; 0 if there
    is nothing.

    pictures: (B, 3, H, W) in [-1, 1]. The background is the colour that most of the rim has.
    """
    boxes = []
    for picture in pictures:
        rim = torch.cat([picture[:, 0], picture[:, -1], picture[:, :, 0], picture[:, :, -1]], dim=1)
        ground = rim.median(dim=1).values[:, None, None]
        inside = ((picture - ground).abs().amax(dim=0) > 0.3).nonzero()  # (places, 2), y and x
        if not len(inside):
            boxes.append(torch.zeros(4))
            continue
        (top, left), (bottom, right) = inside.amin(0).tolist(), (inside.amax(0) + 1).tolist()
        H, W = picture.shape[1:]
        boxes.append(torch.tensor([left / W, top / H, right / W, bottom / H]))
    return torch.stack(boxes)


def overlap(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of boxes (B, 4): (B,), from 0 to 1."""
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    both = (high - low).clamp(min=0).prod(dim=1)
    areas = [(box[:, 2:] - box[:, :2]).prod(dim=1) for box in (a, b)]
    return both / (areas[0] + areas[1] - both).clamp(min=1e-9)
