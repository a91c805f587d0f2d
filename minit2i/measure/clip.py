"""Can CLIP tell a caption from nearly the same one, find an emoji by its name, and name an animal?"""

import dataclasses

import torch

from minit2i import scenes
from minit2i.captions import full_caption, with_article
from minit2i.metrics import retrieval_at_k
from minit2i.pictures import to_float, to_pil
from minit2i.scenes import Scene
from minit2i.search import Matcher
from minit2i.training.batches import emoji_pictures, scene_pictures

from .shares import REAL_SEED, share


def measure_clip(matcher: Matcher, n: int) -> dict:
    """Swapped captions and naming on n held-out scenes, retrieval over all emoji of each style."""
    pixels, asked = scene_pictures("held_out", n, 64, seed=REAL_SEED)
    pictures = matcher.embed(to_pil(to_float(pixels)))
    own = (pictures * matcher.embed_texts([full_caption(scene) for scene in asked])).sum(1)
    result = {}
    swaps = {"animal": scenes.ANIMALS, "headwear": scenes.HEADWEAR, "colour": scenes.COLOURS}
    for attribute, choices in swaps.items():
        swapped = [full_caption(changed(scene, attribute, choices, i)) for i, scene in enumerate(asked)]
        result[f"swap_{attribute}"] = share(own > (pictures * matcher.embed_texts(swapped)).sum(1))
    names = matcher.embed_texts([with_article(animal) for animal in scenes.ANIMALS])
    right = torch.tensor([scenes.ANIMALS.index(scene.animal) for scene in asked])
    result["animal_naming"] = share((pictures @ names.T).argmax(1).cpu() == right)
    for style in scenes.STYLES:
        result[f"emoji_{style}"] = retrieval(matcher, style)
    return result


def changed(scene: Scene, attribute: str, choices: tuple[str, ...], i: int) -> Scene:
    """The same scene with another animal, headwear or colour, each of the others in turn."""
    others = [choice for choice in choices if choice != getattr(scene, attribute)]
    return dataclasses.replace(scene, **{attribute: others[i % len(others)]})


def retrieval(matcher: Matcher, style: str) -> dict:
    """Text to picture over all emoji of one style, on white: is the right one first, or in the first ten?

    CLIP was trained on these drawings and names, so this asks what it remembers;
    tests/bench/clip_new_style.py asks about a style that it never saw.
    """
    pixels, entries = emoji_pictures(64, (style,))
    on_white = pixels[:, :3] + (255 - pixels[:, 3:])  # the colours are premultiplied
    pictures = matcher.embed(to_pil(to_float(on_white)))
    queries = matcher.embed_texts([entry["name"] for entry in entries])
    similarity, answer = (queries @ pictures.T).cpu(), torch.arange(len(entries))
    r_at_1, r_at_10 = (retrieval_at_k(similarity, answer, k) for k in (1, 10))
    return {"r_at_1": r_at_1, "r_at_10": r_at_10, "n": len(entries)}
