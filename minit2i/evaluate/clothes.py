"""Are clothes from words of the class that was asked for, and do they look like clothes?"""

import torch
from torch import Tensor

from minit2i.images import to_float
from minit2i.text2image import TextToImage
from minit2i.train.clothes import clothes_pictures
from minit2i.utils import device_of, in_batches

from .judge import Judge, features
from .metrics import frechet_distance
from .scenes import draw_many
from .shares import share

SCALES = (1.0, 2.0)  # of guidance: the words as they are, and exaggerated


@torch.no_grad()
def measure_clothes(t2i: TextToImage, judge: Judge, n: int, seed: int) -> dict:
    """At each of SCALES, draw n pieces (at most 10,000), let a classifier name them, and compare at most
    5,000 as a set."""
    pixels, captions, labels = clothes_pictures("test")
    names = dict(zip(labels.tolist(), captions, strict=True))
    real, asked = to_float(pixels), labels[:n]
    prompts = [names[i] for i in asked.tolist()]

    def answers(pictures: Tensor) -> Tensor:
        return in_batches(lambda part: judge(part.to(device_of(judge)))[0].argmax(1), pictures).cpu()

    # Real against real needs two sets of as many that have no picture in common: from the two halves of the
    # test set.
    half = len(real) // 2
    count = min(n, half)
    others = features(judge, real[half : half + count])
    between = frechet_distance(features(judge, real[:count]), others)
    result = {"ceiling": share(answers(real) == labels), "guidance": {}}
    for scale in SCALES:
        drawn = draw_many(t2i, prompts, seed, f"clothes, guidance {scale:g}", guidance_scale=scale)
        generated = frechet_distance(features(judge, drawn[:count]), others)
        frechet = {"generated": generated, "real": between, "n": count}
        result["guidance"][f"{scale:g}"] = {"accuracy": share(answers(drawn) == asked), "frechet": frechet}
    return result
