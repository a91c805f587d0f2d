"""Are pictures from words what the words say, are they crisp, do they look like scenes, are they copies?"""

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from minit2i.images import to_float, to_pil
from minit2i.text2image import TextToImage
from minit2i.train.denoiser import SCENES_SEED, DenoiserRecipe
from minit2i.utils import in_batches
from minit2i.viz import grid
from minit2i.world.batches import scene_pictures
from minit2i.world.captions import full_caption
from minit2i.world.scenes import ATTRIBUTES, STYLES, Scene

from .fit import fidelity, nearest_scenes
from .judge import QUESTIONS, Judge, features, verdicts
from .metrics import frechet_distance
from .shares import OTHER_SEED, REAL_SEED, quantiles, share
from .wording import read_wording


def draw_many(t2i: TextToImage, prompts: list[str], seed: int, what: str, **settings) -> Tensor:
    """Draw one picture a prompt, 50 at a time: (n, C, size, size) in [-1, 1], on the CPU."""
    parts = [prompts[i : i + 50] for i in range(0, len(prompts), 50)]
    drawn = [
        t2i.draw(part, seed=1000 * seed + i, **settings).cpu()
        for i, part in enumerate(tqdm(parts, desc=f"drawing {what}, 50 at a time"))
    ]
    return torch.cat(drawn)


def attributes(judge: Judge, pictures: Tensor, asked: list[Scene]) -> dict:
    """The share of right answers to each question, and of pictures with all of them right."""
    return {question: share(right) for question, right in verdicts(judge, pictures, asked).items()}


def measure_scenes(t2i: TextToImage, judge: Judge, n: int, seed: int) -> tuple[dict, Image.Image]:
    """Judge n pictures of held-out and n of seen combinations. Returns the figures and the copy check."""
    result, drawn, real = {}, {}, {}
    for split, name in (("held_out", "held_out"), ("train", "seen")):
        pixels, asked = scene_pictures(split, n, 64, seed=REAL_SEED)
        prompts = [full_caption(scene) for scene in asked]
        real[name] = to_float(pixels)
        drawn[name] = draw_many(t2i, prompts, seed, f"{name} scenes")
        result[name] = attributes(judge, drawn[name], asked)
        if name == "held_out":
            # What a real picture scores (no generator can honestly score more) and what words are worth.
            result["ceiling"] = attributes(judge, real[name], asked)
            result["shuffled_prompts"] = attributes(judge, drawn[name], asked[1:] + asked[:1])
            few = asked[: max(1, n // 4)]
            without = draw_many(t2i, [""] * len(few), seed, "without words", guidance_scale=0)
            result["no_words"] = attributes(judge, without, few)
            # Right is not yet crisp: how near is the nearest real scene?
            nearest = nearest_scenes(drawn[name], asked)
            result["fit"] = quantiles(torch.tensor([psnr for _, psnr in nearest]))
            styles = [scene.style for scene, _ in nearest]
            result["styles"] = {style: styles.count(style) / len(styles) for style in STYLES}
            result["fit_real"] = quantiles(fidelity(real[name][:100], asked[:100]))
    # Both against other scenes than those that were asked for: with the same captions, chance differs less.
    others = features(judge, to_float(scene_pictures("train", n, 64, seed=OTHER_SEED)[0]))
    generated, real_ones = (features(judge, pictures["seen"]) for pictures in (drawn, real))
    result["frechet"] = {
        "generated": frechet_distance(generated, others),
        "real": frechet_distance(real_ones, others),
        "n": n,
    }
    training, _ = scene_pictures("train", DenoiserRecipe.scenes, 64, seed=SCENES_SEED)  # all that it saw
    return result, copy_check(drawn["held_out"][:16], training)


def measure_prompts(t2i: TextToImage, judge: Judge, seed: int, half: str = "measure") -> dict:
    """Draw what people type, see `read_wording`: how many are intact and show all that was stated."""
    rows = read_wording(half)
    drawn = draw_many(t2i, [row["prompt"] for row in rows], seed, "what people type")
    stated = [{name: row[name] for name in QUESTIONS if row.get(name)} for row in rows]
    anything = {name: values[0] for name, values in ATTRIBUTES.items()}  # where nothing was stated
    right = verdicts(judge, drawn, [Scene(**anything | some) for some in stated])
    all_right = [all(right[name][i] for name in (*some, "intact")) for i, some in enumerate(stated)]
    return share(torch.tensor(all_right))


def copy_check(pictures: Tensor, training: Tensor) -> Image.Image:
    """Each picture above the training picture nearest to it (mean squared difference): is it a copy?

    pictures: (B, 3, 64, 64) in [-1, 1]; training: (N, 3, 64, 64) uint8.
    """
    small = F.avg_pool2d(pictures, 4).flatten(1)
    others = in_batches(lambda part: F.avg_pool2d(to_float(part), 4).flatten(1), training, 4096)
    nearest = to_float(training[torch.cdist(small, others).argmin(dim=1)])
    columns = min(8, len(pictures))
    rows = [
        picture
        for i in range(0, len(pictures), columns)
        for picture in (*pictures[i : i + columns], *nearest[i : i + columns])
    ]
    return grid(to_pil(torch.stack(rows)), columns, side=128)
