"""Lesson 06, does it work: intervals, the Fréchet distance, nearest neighbours, and a fooled judge."""

from functools import cache

import torch
from PIL import Image
from torch import Tensor

from exercises import Wrong, attempt, compare, shown
from minit2i import viz
from minit2i.checkpoint import load_model
from minit2i.evaluate.judge import Judge
from minit2i.evaluate.metrics import wilson_interval
from minit2i.images import to_pil, to_tensor
from minit2i.utils import device_of
from minit2i.world import scenes
from minit2i.world.render import render

# ---- 06.1 ----

better_test = compare(
    lambda k_a, n_a, k_b, n_b: wilson_interval(k_a, n_a)[0] > wilson_interval(k_b, n_b)[1],
    [
        (9, 10, 8, 10),
        (900, 1000, 800, 1000),
        (80, 100, 90, 100),
        (800, 1000, 900, 1000),
        (100, 100, 90, 100),
        (93, 100, 85, 100),
    ],
    {
        "only the shares are compared, however few tries there were": lambda k_a, n_a, k_b, n_b: (
            k_a / n_a > k_b / n_b
        ),
        "the lower end of A is compared with B's share, not with B's upper end": lambda k_a, n_a, k_b, n_b: (
            wilson_interval(k_a, n_a)[0] > k_b / n_b
        ),
        "A and B are swapped": lambda k_a, n_a, k_b, n_b: (
            wilson_interval(k_b, n_b)[0] > wilson_interval(k_a, n_a)[1]
        ),
        "it also says yes when B is the better one": lambda k_a, n_a, k_b, n_b: (
            wilson_interval(k_a, n_a)[0] > wilson_interval(k_b, n_b)[1]
            or wilson_interval(k_b, n_b)[0] > wilson_interval(k_a, n_a)[1]
        ),
    },
)

# ---- 06.2 ----

A, B = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 4.0, 6.0, 5.0])

frechet_test = compare(
    lambda a, b: (a.mean() - b.mean()) ** 2 + (a.std() - b.std()) ** 2,
    [(A, B), (A, A), (A, A + 1), (B, 3 * B)],
    {
        "only the means are compared, without squaring": lambda a, b: a.mean() - b.mean(),
        "only the means are compared": lambda a, b: (a.mean() - b.mean()) ** 2,
        "the variances are compared instead of the standard deviations": lambda a, b: (
            (a.mean() - b.mean()) ** 2 + (a.var() - b.var()) ** 2
        ),
        "the root is taken: the formula gives the distance squared, and so is it used": lambda a, b: (
            (a.mean() - b.mean()) ** 2 + (a.std() - b.std()) ** 2
        ).sqrt(),
    },
)

# ---- 06.3 ----


@cache
def gallery() -> Tensor:
    return to_tensor([render(scenes.draw_scene(401, i)) for i in range(24)])


def nearest_test(answer) -> Image.Image:
    many, grain = gallery(), torch.Generator().manual_seed(0)
    ones = [many[i] + 0.1 * torch.randn(many[i].shape, generator=grain) for i in (5, 17, 2)]
    found = [attempt(answer, (one, many)) for one in ones]
    for got in found:
        index = got.item() if isinstance(got, Tensor) and got.numel() == 1 else got
        if not isinstance(index, int) or not 0 <= index < len(many):
            raise Wrong(
                f"Return one whole number from 0 to {len(many) - 1}, the index. Yours is {shown(got)}."
            )
    pictures = torch.stack([*ones, *(many[int(i)] for i in found)])
    picture = viz.grid(to_pil(pictures), columns=3, side=128, captions=["given"] * 3 + ["found by yours"] * 3)
    if [int(i) for i in found] != [5, 17, 2]:
        far = [(many - one).square().sum(dim=(1, 2, 3)).argmax().item() for one in ones]
        hint = " These are the farthest, not the nearest." if [int(i) for i in found] == far else ""
        signed = [(many - one).sum(dim=(1, 2, 3)).argmin().item() for one in ones]
        hint = (
            " The differences are not squared, so they cancel out."
            if [int(i) for i in found] == signed
            else hint
        )
        raise Wrong(
            f"Expected 5, 17 and 2; yours found {', '.join(str(int(i)) for i in found)}.{hint}", picture
        )
    return picture


# ---- 06.4 ----


@cache
def bench() -> tuple[Judge, Tensor, Tensor]:
    """The judge, ten pictures and the animals on them, all on one device."""
    judge = load_model("judge").requires_grad_(False)
    shown, on = [scenes.draw_scene(402, i, "all") for i in range(10)], device_of(judge)
    animals = torch.tensor([scenes.ANIMALS.index(scene.animal) for scene in shown])
    return judge, to_tensor([render(scene) for scene in shown]).to(on), animals.to(on)


def fool_test(answer, wanted: int = 7, most: float = 0.06) -> Image.Image:
    judge, pictures, animals = bench()
    changed = attempt(answer, (judge, pictures, animals))
    if not isinstance(changed, Tensor) or changed.shape != pictures.shape:
        raise Wrong(f"Return pictures of the shape {tuple(pictures.shape)}. Yours is {shown(changed)}.")
    changed = changed.detach()
    if changed.abs().max() > 1 + 1e-5:
        raise Wrong("Some numbers lie beyond -1 and 1. End with .clamp(-1, 1).")
    if (changed - pictures).abs().max() > most + 1e-4:
        raise Wrong(
            f"Some numbers changed by {(changed - pictures).abs().max():.3f}; at most {most} is allowed."
        )
    with torch.no_grad():
        answers = judge(changed)[0].argmax(1)
    fooled = int((answers != animals).sum())
    picture = viz.grid(
        to_pil(changed),
        columns=5,
        side=128,
        captions=[f"{scenes.ANIMALS[a]}, says the judge" for a in answers.tolist()],
    )
    if fooled < wanted:
        raise Wrong(f"{fooled} of 10 are misjudged; {wanted} are asked for.", picture)
    print(f"{fooled} of 10 are misjudged.")
    return picture


EXERCISES = {"06.1": better_test, "06.2": frechet_test, "06.3": nearest_test, "06.4": fool_test}
