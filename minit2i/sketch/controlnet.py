"""A drawing decides where things go: ControlNet, beside a denoiser that stays as it is.

A ControlNet is a copy of the denoiser's way down that also sees the drawing. What it finds is added to the
skips, through convolutions that are zero at first: so training begins with the denoiser as it was.
Paper: Zhang et al. 2023 (ControlNet).

Shapes: B batch, S side of a drawing (64).
"""

from torch import Tensor, nn

from minit2i.clip import Text
from minit2i.layers import zeroed
from minit2i.unet import BlockInputs, UNet, UNetConfig


class ControlNet(nn.Module):
    """The way down of a denoiser of this config, which also sees a drawing, through a small network of its
    own (`see`) that finds edges and areas in it."""

    def __init__(self, config: UNetConfig):
        super().__init__()
        self.config = config
        self.net = UNet(config)
        del self.net.up, self.net.to_pixels, self.net.conv_out  # it never goes up
        widths, side = config.widths, config.picture_size // config.patch  # 16 of latents, 32 of pixels
        self.see = nn.Sequential(  # 64 -> 32 -> side
            nn.Conv2d(3, 16, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(32, widths[0], 3, stride=32 // side, padding=1),
            nn.SiLU(),
            nn.Conv2d(widths[0], widths[0], 3, padding=1),
        )
        skips = [widths[0]]  # channels of each, as in the U-Net
        for level, width in enumerate(widths):
            skips += [width] * (config.blocks + (level > 0))
        self.zero = nn.ModuleList(zeroed(nn.Conv2d(n, n, 1)) for n in (*skips, widths[-1]))

    @classmethod
    def of(cls, denoiser: UNet) -> "ControlNet":
        """A ControlNet that begins as a copy of this denoiser's way down."""
        controlnet, whole = cls(denoiser.config), denoiser.state_dict()
        controlnet.net.load_state_dict({name: whole[name] for name in controlnet.net.state_dict()})
        return controlnet

    def forward(self, x_t: Tensor, t: Tensor, text: Text, layout: Tensor, drawing: Tensor) -> list[Tensor]:
        """drawing: (B, 3, S, S) in [-1, 1]. Returns what to add to each skip and, last, to the middle."""
        x = self.net.enter(x_t, layout) + self.see(drawing)
        x, skips = self.net.encode(x, BlockInputs(self.net.embed(t, text, layout), text))
        return [zero(part) for zero, part in zip(self.zero, [*skips, x], strict=True)]


class ControlledDenoiser(nn.Module):
    """A denoiser with a ControlNet beside it: the same as the denoiser, but it follows a drawing. What the
    ControlNet adds is multiplied by `strength`; 0 is the denoiser alone."""

    def __init__(self, denoiser: UNet, controlnet: ControlNet, strength: float = 1.0):
        super().__init__()
        self.denoiser, self.controlnet, self.strength = denoiser, controlnet, strength
        self.config, self.prediction = denoiser.config, denoiser.prediction

    def forward(self, x_t: Tensor, t: Tensor, text: Text, layout: Tensor, drawing: Tensor) -> Tensor:
        """As the denoiser's, with a drawing (B, 3, S, S) in [-1, 1]."""
        residuals = [self.strength * part for part in self.controlnet(x_t, t, text, layout, drawing)]
        return self.denoiser(x_t, t, text, layout, residuals=residuals)
