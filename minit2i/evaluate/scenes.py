"""Are pictures from words what the words say, are they crisp, are they like real ones, are they copies?"""

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from minit2i.checkpoint import load_model
from minit2i.images import to_float, to_pil
from minit2i.text2image import TextToImage
from minit2i.train.denoiser import SCENES_SEED, DenoiserRecipe
from minit2i.viz import grid
from minit2i.world.batches import clothes_pictures, render_all, scene_pictures
from minit2i.world.captions import full_caption
from minit2i.world.scenes import ATTRIBUTES, Scene, draw_scene

from .clip import read_wording
from .fidelity import fidelity
from .judge import QUESTIONS, Judge, answers, features, verdicts
from .metrics import frechet_distance
from .report import Bench
from .shares import OTHER_SEED, REAL_SEED, in_fifties, number, quantiles, share

JOINT = "all five attributes right, and an intact picture"


def measure(bench: Bench) -> dict:
    """Draw n scenes of held-out and n of seen combinations, let the judge name them, compare them with real
    ones, and leave the picture "copy-check"."""
    t2i, judge, n, seed = bench.t2i, bench.judge, bench.n, bench.seed
    asked, real, drawn, few = {}, {}, {}, max(1, n // 4)
    for split in ("held_out", "train"):
        pixels, asked[split] = scene_pictures(split, n, 64, seed=REAL_SEED)
        captions, real[split] = [full_caption(scene) for scene in asked[split]], to_float(pixels)
        drawn[split] = draw_many(t2i, captions, seed, f"drawing {split} scenes")
    without = draw_many(t2i, [""] * few, seed, "drawing without words", guidance_scale=0)
    unseen, pictures = asked["held_out"], drawn["held_out"]
    # Both against other scenes than those that were asked for: with the same captions, chance differs less.
    others = features(judge, to_float(scene_pictures("train", n, 64, seed=OTHER_SEED)[0]))
    bench.pictures["copy-check"] = copy_check(pictures[:16], min(40 * n, DenoiserRecipe.scenes))
    return {
        "drawn, combinations never seen": attributes(judge, pictures, unseen),
        "drawn, combinations seen in training": attributes(judge, drawn["train"], asked["train"]),
        "real pictures (the ceiling)": attributes(judge, real["held_out"], unseen),
        f"judged by another's prompt: {JOINT}": attributes(judge, pictures, unseen[1:] + unseen[:1])[JOINT],
        f"drawn without words: {JOINT}": attributes(judge, without, unseen[:few])[JOINT],
        "what people type: all that is said, and an intact picture": measure_prompts(bench),
        **measure_fidelity(bench, unseen[:few]),
        "Fréchet distance": distances(judge, drawn["train"], real["train"], others),
    }


def draw_many(t2i: TextToImage, prompts: list[str], seed: int, what: str, **settings) -> Tensor:
    """Draw one picture a prompt: (n, C, S, S) in [-1, 1], on the CPU."""
    return in_fifties(
        lambda some, i: t2i.draw(prompts[some], seed=1000 * seed + i, **settings), len(prompts), what
    )


def attributes(judge: Judge, pictures: Tensor, asked: list[Scene]) -> dict:
    """The share of pictures with all right, and that of right answers to each question."""
    right = verdicts(judge, pictures, asked)
    return {JOINT: share(right["joint"]), **{question: share(right[question]) for question in QUESTIONS}}


def distances(judge: Judge, drawn: Tensor, real: Tensor, others: Tensor) -> dict:
    """How far drawn pictures and as many real ones are from others, (n, D) features, and the ratio."""
    far, near = (frechet_distance(features(judge, pictures), others) for pictures in (drawn, real))
    figures = {"drawn": far, "real": near, "their ratio": far / max(near, 1e-12)}
    return {name: number(value, len(drawn)) for name, value in figures.items()}


def measure_prompts(bench: Bench) -> dict:
    """Draw what people type, see `read_wording`: how many are intact and show all that was stated."""
    rows = read_wording("measure")
    drawn = draw_many(bench.t2i, [row["prompt"] for row in rows], bench.seed, "drawing what people type")
    stated = [{name: row[name] for name in QUESTIONS if row.get(name)} for row in rows]
    anything = {name: values[0] for name, values in ATTRIBUTES.items()}  # where nothing was stated
    right = verdicts(bench.judge, drawn, [Scene(**anything | some) for some in stated])
    return share([all(right[name][i] for name in (*some, "intact")) for i, some in enumerate(stated)])


def measure_fidelity(bench: Bench, scenes: list[Scene]) -> dict:
    """Draw scenes from their full captions and their own layouts: how near are they to the true pictures?"""
    t2i, captions = bench.t2i, [full_caption(scene) for scene in scenes]
    layout = torch.tensor([scene.layout_vector() for scene in scenes], dtype=torch.float32)
    sizes = (64, 256) if t2i.upscaler else (64,)

    def draw(some: slice, i: int) -> Tensor:  # and compare at once, for all of the large ones fill gigabytes
        small = t2i.draw(captions[some], layout=layout[some], seed=1000 * bench.seed + i)
        return torch.stack([fidelity(t2i.enlarge(small, size), scenes[some]) for size in sizes], dim=1)

    found = in_fifties(draw, len(scenes), "drawing with their layouts")  # (n, sizes)
    return {f"fidelity at {size}x{size}": quantiles(found[:, k]) for k, size in enumerate(sizes)}


def copy_check(pictures: Tensor, count: int) -> Image.Image:
    """Pictures (B, 3, 64, 64) in [-1, 1], and below each the nearest one of the first `count` that training
    shows, by mean squared difference of what is left at 16x16: is it a copy?"""

    def shown(indices: list[int] | range) -> Tensor:
        return to_float(render_all([draw_scene(SCENES_SEED, index, "train") for index in indices]))

    def apart(some: slice, i: int) -> Tensor:  # fifty at a time, for all of them are a gigabyte
        return torch.cdist(*(F.avg_pool2d(x, 4).flatten(1) for x in (shown(range(count)[some]), pictures)))

    nearest = shown(in_fifties(apart, count, "looking for copies").argmin(dim=0).tolist())
    columns = min(8, len(pictures))
    rows = zip(pictures.split(columns), nearest.split(columns), strict=True)
    return grid(to_pil(torch.cat([row for pair in rows for row in pair])), columns, side=128)


def measure_clothes(bench: Bench) -> dict:
    """Draw n clothes, at most 10,000, let a classifier name them, and compare at most 5,000 as a set."""
    t2i, judge = TextToImage.load(bench.folder, "denoiser-fashion"), load_model("judge-fashion", bench.folder)
    pixels, captions, labels = clothes_pictures("test")
    real, half, n = to_float(pixels), len(pixels) // 2, bench.n
    # Real against real needs two sets of as many that have no picture in common: from the two halves.
    count = min(n, half)
    others = features(judge, real[half : half + count])
    result = {"real pictures (the ceiling): the class": share(answers(judge, real)[:, 0] == labels)}
    for scale in (1.0, 2.0):  # the words as they are, and exaggerated
        what = f"guidance {scale:g}"
        drawn = draw_many(t2i, captions[:n], bench.seed, f"drawing clothes, {what}", guidance_scale=scale)
        result[f"{what}: the class that was asked for"] = share(answers(judge, drawn)[:, 0] == labels[:n])
        result[f"{what}: Fréchet distance"] = distances(judge, drawn[:count], real[:count], others)
    return result
