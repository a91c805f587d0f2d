"""What differs between the networks: settings, data, the loss of a batch, a sheet to look at."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image
from torch import Generator, Tensor, nn


@dataclass(frozen=True)
class Recipe:
    """Settings of a training. The data is loaded once and handed to each function, so variants can share it.

    batch: pictures a step; minutes: on two CPU cores; lr, weight_decay: of the optimisers; decay: of the
    moving average of the weights. `needs` names the weights that the network is trained with, and must be
    used with.
    """

    batch: int
    minutes: float
    lr: float
    weight_decay: float = 0.01
    decay: float = 0.999
    needs: ClassVar[tuple[str, ...]] = ()

    def load_data(self, folder: str | Path) -> Any:
        """Load pictures, words and the networks it needs (from `folder`), where batches are made."""
        raise NotImplementedError

    def build(self, data: Any) -> nn.Module:
        """The untrained network."""
        raise NotImplementedError

    def loss(self, model: nn.Module, data: Any, generator: Generator) -> Tensor:
        """Draw a batch with the generator and return its scalar loss."""
        raise NotImplementedError

    def preview(self, model: nn.Module, data: Any) -> Image.Image:
        """What the network can do by now, as a picture to look at while it trains."""
        raise NotImplementedError

    def note(self, data: Any) -> dict:
        """What else belongs into the model card."""
        return {}
