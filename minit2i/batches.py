"""What a training step eats: whole sets as tensors in memory, and ways to draw batches from them.

Shapes: N pictures of a set, B of a batch, C channels, H W height and width. uint8 in memory, a quarter of the
bytes of float32; `unit` makes the [-1, 1] of the models.
"""

import hashlib
import random
from collections import defaultdict

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor
from tqdm import tqdm

from . import data, scenes


def scene_pictures(split: str, n: int, size: int, seed: int) -> tuple[Tensor, list[scenes.Scene]]:
    """n scenes as one uint8 tensor (n, 3, size, size) and what is in them."""
    rows = data.load("scenes", split=split, n=n, size=size, seed=seed)
    pictures = np.empty((n, size, size, 3), np.uint8)
    for i, row in enumerate(tqdm(rows, desc=f"reading {split} scenes", leave=False)):
        pictures[i] = np.asarray(row["image"])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2), [
        scenes.draw_scene(seed, i, split) for i in range(n)
    ]


def unit(pictures: Tensor) -> Tensor:
    """uint8 0..255 -> float32 in [-1, 1]."""
    return pictures.float() / 127.5 - 1


def emoji_art(size: int, styles: tuple[str, ...] = scenes.STYLES) -> tuple[Tensor, list[dict]]:
    """All emoji of these styles as premultiplied RGBA (N, 4, size, size) uint8, and their names and keywords."""
    rows = data.load("emoji")
    rows = rows.select([i for i, style in enumerate(rows["style"]) if style in styles])
    art, words = [], []
    for row in tqdm(rows, desc="reading emoji", leave=False):
        # Premultiplied ("RGBa"), so that shrinking does not mix in the colour of invisible pixels.
        art.append(
            np.asarray(
                row["image"].convert("RGBA").convert("RGBa").resize((size, size), Image.Resampling.BOX)
            )
        )
        words.append({"name": row["name"], "keywords": row["keywords"], "style": row["style"]})
    return torch.from_numpy(np.stack(art)).permute(0, 3, 1, 2), words


def on_backgrounds(art: Tensor, generator: Generator, jitter: float = 0.15) -> Tensor:
    """Lay premultiplied RGBA art (B, 4, H, W) uint8, a little moved and resized, on random plain colours.

    Half of the backgrounds are white. Returns (B, 3, H, W) in [-1, 1].
    """
    B = len(art)
    scale = 1 + jitter * (2 * torch.rand(B, generator=generator) - 0.5)
    shift = jitter * (2 * torch.rand(B, 2, generator=generator) - 1)
    place = torch.zeros(B, 2, 3)
    place[:, 0, 0] = place[:, 1, 1] = scale
    place[:, :, 2] = shift
    moved = F.grid_sample(
        art.float() / 255, F.affine_grid(place, list(art.shape), align_corners=False), align_corners=False
    )
    colour = torch.rand(B, 3, 1, 1, generator=generator)
    colour[torch.rand(B, generator=generator) < 0.5] = 1.0
    return 2 * (moved[:, :3] + (1 - moved[:, 3:]) * colour) - 1


def fashion_pictures(split: str) -> tuple[Tensor, list[str], Tensor]:
    """Fashion-MNIST with a border to 32x32, as uint8 (N, 1, 32, 32); captions; labels (N,)."""
    rows = data.load("fashion_mnist", split=split)
    pictures = np.stack([np.asarray(row["image"]) for row in tqdm(rows, desc="reading clothes", leave=False)])
    return (
        F.pad(torch.from_numpy(pictures)[:, None], (2, 2, 2, 2)),
        list(rows["caption"]),
        torch.tensor(rows["label"]),
    )


def unseen_emoji(words: list[dict]) -> Tensor:
    """True for the tenth of the emoji concepts that the upscaler never sees, chosen by a hash of the name."""
    return torch.tensor(
        [hashlib.sha256(entry["name"].encode()).digest()[0] < 26 for entry in words]
    )  # 26 of 256


def mirror_half(pictures: Tensor, generator: Generator) -> Tensor:
    """Mirror every second picture or so, left to right: a shoe may point either way."""
    mirrored = torch.rand(len(pictures), 1, 1, 1, generator=generator) < 0.5
    return torch.where(mirrored, pictures.flip(3), pictures)


def soften(pictures: Tensor, generator: Generator) -> Tensor:
    """Mild blur, noise and compression of half of the pictures: the judge should mind content, not grain."""
    small = F.interpolate(pictures, scale_factor=0.5, mode="area")
    blurred = F.interpolate(small, pictures.shape[-2:], mode="bilinear", align_corners=False)
    B = len(pictures)
    share = torch.rand(B, 1, 1, 1, generator=generator) * (torch.rand(B, 1, 1, 1, generator=generator) < 0.5)
    noise = (
        0.1
        * torch.rand(B, 1, 1, 1, generator=generator)
        * (torch.rand(B, 1, 1, 1, generator=generator) < 0.5)
    )
    mixed = (
        (1 - share) * pictures + share * blurred + noise * torch.randn(pictures.shape, generator=generator)
    )
    return mixed.clamp(-1, 1)


def pick(n: int, count: int, generator: Generator) -> Tensor:
    """`count` random indices below n."""
    return torch.randint(n, (count,), generator=generator)


def words_rng(generator: Generator) -> random.Random:
    """A Python generator for captions, seeded by the one that the checkpoint keeps."""
    return random.Random(int(torch.randint(2**62, (1,), generator=generator)))


def emoji_caption(words: dict, rng: random.Random) -> str:
    """One way to say what an emoji shows: its name, or one or two of its keywords."""
    if not words["keywords"] or rng.random() < 0.5:
        return rng.choice(("{}", "{}", "{} emoji", "a picture of {}", "an image of {}")).format(words["name"])
    chosen = rng.sample(words["keywords"], min(len(words["keywords"]), rng.choice((1, 1, 2))))
    return rng.choice(("{}", "something {}", "a picture of {}")).format(" ".join(chosen))


def alike(keys: list[list]) -> list[list[int]]:
    """Groups of at least 16 entries that share a key; keys[i] lists those of entry i. Returns their indices.

    Among random scenes the animal and a colour tell most apart, so a CLIP never needs to look at the kind of hat, and
    does not. Among scenes of one animal and one colour it has to.
    """
    groups = defaultdict(list)
    for i, of_entry in enumerate(keys):
        for key in of_entry:
            groups[key].append(i)
    return [group for group in groups.values() if len(group) >= 16]


def scene_keys(scene: scenes.Scene) -> list[tuple]:
    """The pairs of attributes by which scenes are alike."""
    pairs = (("animal", "colour"), ("animal", "headwear"), ("headwear", "colour"), ("animal", "background"))
    return [(pair, *(getattr(scene, name) for name in pair)) for pair in pairs]


def half_alike(n: int, groups: list[list[int]], count: int, rng: random.Random) -> list[int]:
    """`count` (a multiple of 32) indices below n: half of them at random, half in groups of 16 alike."""
    together = [i for _ in range(count // 32) for i in rng.choices(rng.choice(groups), k=16)]
    return [rng.randrange(n) for _ in range(count // 2)] + together
