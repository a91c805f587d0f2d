"""A drawing decides where things go: a branch beside the denoiser, which stays as it is.

The branch is a copy of the denoiser's way down that also sees the drawing. What it finds is added to what
the denoiser sees again on its way up, through convolutions that are zero at first: so training begins with
the denoiser as it was, and can only add to it.
Paper: Zhang et al. 2023 (ControlNet).

Shapes: B batch, S side of a drawing (64).
"""

from torch import Tensor, nn

from minit2i.clip import Text
from minit2i.unet import BlockInputs, UNet, UNetConfig


def zero_conv(channels: int) -> nn.Conv2d:
    """A 1x1 convolution that gives zero, until it has learnt something."""
    convolution = nn.Conv2d(channels, channels, 1)
    nn.init.zeros_(convolution.weight)
    nn.init.zeros_(convolution.bias)
    return convolution


class ControlNet(nn.Module):
    """The way down of a denoiser of this config, with a drawing beside the noisy latents.

    A drawing enters through a small network of its own, which finds edges and areas in it.
    """

    def __init__(self, config: UNetConfig):
        super().__init__()
        self.config = config
        self.net = UNet(config)
        del self.net.up, self.net.to_pixels, self.net.conv_out  # it never goes up
        widths = config.widths
        side = config.picture_size // config.patch  # of what the first block works on: latents 16, pixels 32
        self.see = nn.Sequential(  # 64 -> 32 -> side
            nn.Conv2d(3, 16, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(32, widths[0], 3, stride=32 // side, padding=1),
            nn.SiLU(),
            nn.Conv2d(widths[0], widths[0], 3, padding=1),
        )
        skips = [widths[0]]
        for level, width in enumerate(widths):
            skips += [width] * (config.blocks + (level > 0))
        self.zero = nn.ModuleList(zero_conv(channels) for channels in (*skips, widths[-1]))

    @classmethod
    def of(cls, denoiser: UNet) -> "ControlNet":
        """A branch that begins as a copy of this denoiser's way down."""
        branch, whole = cls(denoiser.config), denoiser.state_dict()
        branch.net.load_state_dict({name: whole[name] for name in branch.net.state_dict()})
        return branch

    def forward(
        self, x_t: Tensor, t: Tensor, text: Text | None, layout: Tensor | None, drawing: Tensor
    ) -> list[Tensor]:
        """drawing: (B, 3, S, S) in [-1, 1]. Returns what to add to each skip and, last, to the middle."""
        x = self.net.enter(x_t, layout) + self.see(drawing)
        x, skips = self.net.encode(x, BlockInputs(self.net.embed(t, text, layout), text))
        return [zero(part) for zero, part in zip(self.zero, [*skips, x], strict=True)]


class ControlledDenoiser(nn.Module):
    """A denoiser with a branch: the same as the denoiser, but it heeds a drawing."""

    def __init__(self, denoiser: UNet, branch: ControlNet, strength: float = 1.0):
        """strength: what the branch adds is multiplied by this; 0 is the denoiser alone."""
        super().__init__()
        self.denoiser, self.branch, self.strength = denoiser, branch, strength
        self.config, self.prediction = denoiser.config, denoiser.prediction

    def forward(
        self,
        x_t: Tensor,
        t: Tensor,
        text: Text | None = None,
        layout: Tensor | None = None,
        *,
        drawing: Tensor,
    ) -> Tensor:
        """As the denoiser's, with a drawing (B, 3, S, S) in [-1, 1]."""
        residuals = [self.strength * part for part in self.branch(x_t, t, text, layout, drawing)]
        return self.denoiser(x_t, t, text, layout, residuals=residuals)
