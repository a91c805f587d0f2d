"""What do the patch tokens of CLIP's image tower know? Asked with one linear layer each, the tower frozen.

Source: Alain & Bengio 2016 (linear probes).
"""

import torch
from torch import Tensor

from minit2i.clip import ImageTower
from minit2i.images import to_float
from minit2i.utils import device_of, in_batches
from minit2i.world.batches import scene_pictures
from minit2i.world.render import layout
from minit2i.world.scenes import ATTRIBUTES, Scene

from .shares import OTHER_SEED, share

TRAINING_SCENES = 6_000  # that the probes learn from
NEAR = 0.05  # of the frame


def measure_probes(tower: ImageTower, pixels: Tensor, shown: list[Scene]) -> dict:
    """Fit probes on scenes of the training split, and ask them about these (N, 3, H, W) uint8 pictures.

    `probe_place` counts the heads whose middle is found to within NEAR, `probe_place_baseline` those that
    would be found by always answering the mean place.
    """
    lessons, seen = scene_pictures("train", TRAINING_SCENES, 64, seed=OTHER_SEED)
    known, asked = tokens(tower, lessons), tokens(tower, pixels)
    result = {}
    for name, values in ATTRIBUTES.items():
        answers = linear_probe(known, torch.eye(len(values))[labels(seen, name)], asked)
        result[f"probe_{name}"] = share(answers.argmax(1) == labels(shown, name))
    place = linear_probe(known, middles(seen), asked)
    for name, guess in {"probe_place": place, "probe_place_baseline": middles(seen).mean(0)}.items():
        result[name] = share((guess - middles(shown)).norm(dim=1) <= NEAR)
    return result


@torch.no_grad()
def tokens(tower: ImageTower, pixels: Tensor) -> Tensor:
    """All tokens of each picture, side by side: (N, L * D)."""
    return in_batches(lambda part: tower.tokens(to_float(part.to(device_of(tower)))).flatten(1), pixels).cpu()


def labels(scenes: list[Scene], name: str) -> Tensor:
    """The number of each scene's value of an attribute: (N,) int64."""
    return torch.tensor([ATTRIBUTES[name].index(getattr(scene, name)) for scene in scenes])


def linear_probe(known: Tensor, targets: Tensor, asked: Tensor) -> Tensor:
    """Fit targets (M, K) = known (M, F) W + b by ridge regression, and apply it to asked (N, F): (N, K)."""
    mean, spread = known.mean(0), known.std(0) + 1e-6
    A, B = ((part - mean) / spread for part in (known, asked))
    # W = (A^T A + lambda I)^-1 A^T Y; lambda is a hundredth of what each feature has on the diagonal of A^T A
    gram = A.T @ A + len(A) / 100 * torch.eye(A.shape[1])
    W = torch.linalg.solve(gram, A.T @ (targets - targets.mean(0)))
    return B @ W + targets.mean(0)


def middles(scenes: list[Scene]) -> Tensor:
    """The middle of each head: (N, 2), x and y as fractions of the frame."""
    heads = (layout(scene)[0] for scene in scenes)
    places = [(left + side / 2, top + side / 2) for _, _, left, top, side in heads]
    return torch.tensor(places, dtype=torch.float32)
