"""Can CLIP tell a caption from nearly the same one, name an animal, find art by its name?"""

import dataclasses

import torch
from torch import Generator, Tensor

from minit2i.clip import Matcher
from minit2i.images import to_float
from minit2i.schedule import Schedule
from minit2i.utils import device_of, in_batches
from minit2i.world.batches import emoji_pictures, normal_noise, render_all, scene_pictures
from minit2i.world.captions import full_caption, short_caption, with_article
from minit2i.world.datasets import load
from minit2i.world.scenes import ANIMALS, ATTRIBUTES, Scene

from .metrics import retrieval_at_k
from .probes import measure_probes
from .shares import REAL_SEED, share
from .wording import measure_meaningless, measure_wording


def measure_clip(matcher: Matcher, n: int) -> dict:
    """Swapped captions, naming and probes on n held-out scenes; wording; retrieval over all emoji."""
    pixels, shown = scene_pictures("held_out", n, 64, seed=REAL_SEED)
    return {
        **measure_swaps(matcher, pixels, shown),
        **measure_naming(matcher, pixels, shown),
        **measure_wording(matcher),
        **measure_meaningless(matcher, max(1, n // 10)),
        **measure_emoji(matcher, "train"),
        **measure_emoji(matcher, "test"),
        **measure_probes(matcher.model.image, pixels, shown),
    }


@torch.no_grad()
def embed(matcher: Matcher, pixels: Tensor) -> Tensor:
    """uint8 pictures (N, 3, H, W) -> (N, E) of length 1."""
    on = device_of(matcher.model)
    return in_batches(lambda part: matcher.model.embed_pictures(to_float(part.to(on))), pixels)


# ---- Scenes ----


def measure_swaps(matcher: Matcher, pixels: Tensor, shown: list[Scene]) -> dict:
    """Does each picture fit its own caption better than one in which a single attribute is another?

    pixels: uint8 (N, 3, H, W); shown: the N scenes, all with hats. For `hat` every second scene is drawn
    without its hat.
    """
    pictures = embed(matcher, pixels)

    def swap(name: str, pictures: Tensor, own: list[str], swapped: list[str]) -> dict:
        own_fit, swapped_fit = ((pictures * matcher.embed_texts(texts)).sum(1) for texts in (own, swapped))
        return {f"swap_{name}": share(own_fit > swapped_fit)}

    result = {}
    for name in ("animal", "headwear", "colour", "eyewear", "background"):
        values = [value for value in ATTRIBUTES[name] if value != "none" or name == "eyewear"]
        caption = all_said if name == "eyewear" else full_caption
        others = [changed(scene, name, values, i) for i, scene in enumerate(shown)]
        result |= swap(name, pictures, [caption(s) for s in shown], [caption(s) for s in others])
    bare = [dataclasses.replace(scene, headwear="none", colour="none") for scene in shown]
    own = [a if i % 2 else b for i, (a, b) in enumerate(zip(shown, bare, strict=True))]
    others = [b if i % 2 else a for i, (a, b) in enumerate(zip(shown, bare, strict=True))]
    pictures = embed(matcher, render_all(own))
    return result | swap("hat", pictures, [full_caption(s) for s in own], [full_caption(s) for s in others])


def changed(scene: Scene, attribute: str, choices: tuple[str, ...], i: int) -> Scene:
    """The same scene with another value of an attribute, each of the others in turn."""
    others = [choice for choice in choices if choice != getattr(scene, attribute)]
    return dataclasses.replace(scene, **{attribute: others[i % len(others)]})


def all_said(scene: Scene) -> str:
    """The full caption, which also says so if there are no glasses."""
    if scene.eyewear != "none":
        return full_caption(scene)
    return f"{short_caption(scene)} and no glasses on {with_article(scene.background)} background"


def measure_naming(matcher: Matcher, pixels: Tensor, shown: list[Scene]) -> dict:
    """Which of the 20 animals is it? Asked of the pictures and of their noised versions."""
    names = matcher.embed_texts([with_article(animal) for animal in ANIMALS])
    right = torch.tensor([ANIMALS.index(scene.animal) for scene in shown])
    schedule, generator = Schedule.cosine(), Generator().manual_seed(REAL_SEED)
    result = {}
    for label, noise in (("", 0), ("_noised_quarter", 0.25), ("_noised_half", 0.5)):
        x = to_float(pixels)
        if noise:
            eps = normal_noise(*x.shape, generator=generator, device=x.device)
            x = schedule.add_noise(x, eps, torch.full((len(x),), int(noise * schedule.T)))
        with torch.no_grad():
            pictures = in_batches(matcher.model.embed_pictures, x.to(device_of(matcher.model)))
        result[f"animal_naming{label}"] = share((pictures @ names.T).argmax(1).cpu() == right)
    return result


# ---- Emoji ----


def measure_emoji(matcher: Matcher, split: str) -> dict:
    """Retrieval in each style of a split of the emoji; no training sees the one of "test"."""
    styles = dict.fromkeys(load("emoji", split)["style"])
    kind = "emoji" if split == "train" else "emoji_never_seen"
    return {f"{kind}_{style}": retrieval(matcher, style, split) for style in styles}


def retrieval(matcher: Matcher, style: str, split: str = "train") -> dict:
    """Text to picture over all emoji of one style, on white: is the right one first, or in the first ten?"""
    pixels, entries = emoji_pictures(64, (style,), split)
    pictures = embed(matcher, pixels[:, :3] + (255 - pixels[:, 3:]))  # the colours are premultiplied
    queries = matcher.embed_texts([entry["name"] for entry in entries])
    similarity, answer = (queries @ pictures.T).cpu(), torch.arange(len(entries))
    r_at_1, r_at_10 = (retrieval_at_k(similarity, answer, k) for k in (1, 10))
    return {"r_at_1": r_at_1, "r_at_10": r_at_10, "n": len(entries)}
