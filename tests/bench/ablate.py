"""What helps the denoiser most in a few minutes? One choice changed at a time, equal minutes for each.

python tests/bench/ablate.py [--minutes 3] [--only NAME...]. Results are kept in runs/ablate/results.csv as
they come; a rerun skips what is there.
"""

import argparse
import dataclasses
from pathlib import Path

import torch
from common import RUNS, SEED, Exam, append_row, machine, print_table, read_rows, sgemm
from tqdm import tqdm

from minit2i.samplers import denoiser_of
from minit2i.train.denoiser import DenoiserData, DenoiserRecipe
from minit2i.trainer import Training, fit
from minit2i.unet import UNet
from minit2i.utils import WEIGHTS
from minit2i.world.scenes import LAYOUT

CHOICES = {
    "prediction": ("eps", "x_0", "v"),
    "weighting": ("clipped_v", "v", "none"),
    "batch": (16, 32, 64),
    "lr": (2.5e-3, 5e-3, 1e-2),
    "widths": ((48, 96), (64, 128), (96, 192), (64, 128, 192)),
    "log_snr_shift": (-1.0, 0.0, 1.0),
    "blocks": (1, 2),
    "layout": (LAYOUT, 0),
    "left_out": (0.0, 0.1, 0.5),
    "in_full": (0.0, 0.5, 0.8, 1.0),
    "logit_normal": (None, (0.0, 1.0), (0.5, 1.2), (1.0, 1.0)),
    "decay": (0.998, 0.999, 0.9995),
}
# Chosen in UNetConfig; the others are the recipe's own
OF_CONFIG = ("prediction", "widths", "log_snr_shift", "blocks", "layout")
RECIPE = DenoiserRecipe()
DEFAULT = {key: getattr(RECIPE.config if key in OF_CONFIG else RECIPE, key) for key in CHOICES}


def as_text(value: object) -> str:
    return "-".join(map(str, value)) if isinstance(value, tuple) else str(value)


def variants() -> dict[str, dict]:
    """Name -> settings: the recipe's own, and each with one of them changed."""
    result = {"default": DEFAULT}
    for key, values in CHOICES.items():
        for value in values:
            if value != DEFAULT[key]:
                result[f"{key}={as_text(value)}"] = DEFAULT | {key: value}
    # A small error in eps is a huge one in x_0 where there is hardly any picture, and weights that count
    # errors in x_0 or v go to infinity there. So eps also gets the weight that DDPM gives it: none.
    result["prediction=eps,weighting=none"] = DEFAULT | {"prediction": "eps", "weighting": "none"}
    return result


@torch.no_grad()
def x_0_error(model: UNet, exam: Exam, n: int = 512) -> float:
    """How far x_0_hat is off (mean squared) on latents of n scenes, at t = 100, 200 ... 900, with the same
    noise for all."""
    schedule, t2i = model.config.schedule, exam.t2i(model)
    generator = torch.Generator().manual_seed(SEED)
    total = 0.0
    for i in range(0, n, 64):
        x_0, conditioning = t2i.encode_pictures(exam.pictures[i : i + 64]), {}
        if model.config.layout:
            conditioning["layout"] = exam.layouts[i : i + 64]
        denoise = denoiser_of(
            model, schedule, t2i.encode(exam.captions[i : i + 64]), clamp=False, **conditioning
        )
        for time in range(100, 1000, 100):
            t = torch.full((len(x_0),), time)
            x_t = schedule.add_noise(x_0, torch.randn(x_0.shape, generator=generator), t)
            total += (denoise(x_t, t) - x_0).square().mean().item() * len(x_0) / n / 9
    return total


def recipe_of(settings: dict) -> DenoiserRecipe:
    config = dataclasses.replace(RECIPE.config, **{key: settings[key] for key in OF_CONFIG})
    return dataclasses.replace(
        RECIPE, config=config, **{key: value for key, value in settings.items() if key not in OF_CONFIG}
    )


def train_and_measure(
    name: str,
    recipe: DenoiserRecipe,
    minutes: float,
    seed: int,
    data: DenoiserData,
    exam: Exam,
    preview: Path,
) -> dict:
    """Train one denoiser; returns what it reached."""
    torch.manual_seed(seed)
    training = Training(recipe.build(data), recipe.lr, recipe.weight_decay, recipe.decay, seed)
    speed = sgemm()
    steps = fit(training, lambda model, generator: recipe.loss(model, data, generator), minutes=minutes)
    for _ in tqdm(steps, desc=name, unit=" steps"):
        pass
    model = training.average
    grades = exam.draw(lambda *asked: exam.draw_ours(model, *asked), preview)
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "pictures": training.step * recipe.batch,
        "error": x_0_error(model, exam),
        **grades,
        "sgemm": round(speed, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3, help="of training for each (%(default)s)")
    parser.add_argument(
        "--only",
        nargs="+",
        default=[""],
        metavar="NAME",
        help=f"only those that begin so: {', '.join(variants())}",
    )
    parser.add_argument("--again", action="store_true", help="also those that results.csv already has")
    parser.add_argument("--n", type=int, default=256, help="pictures to judge for each (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the training (%(default)s)")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=RUNS / "ablate", metavar="FOLDER")
    args = parser.parse_args()

    exam, results, finished = Exam(args.weights, args.n), args.out / "results.csv", {}
    data = RECIPE.load_data(args.weights)  # the same for all variants
    for name, settings in variants().items():
        asked = {key: as_text(value) for key, value in settings.items()}
        asked |= {"minutes": f"{args.minutes:g}", "n": str(args.n), "seed": str(args.seed)}
        if name.startswith(tuple(args.only)):
            rows = [row for row in read_rows(results) if asked.items() <= row.items()]
            if args.again or not rows:
                preview = args.out / f"{name}-{args.minutes:g}-minutes-seed-{args.seed}.png"
                recipe = recipe_of(settings)
                measured = train_and_measure(name, recipe, args.minutes, args.seed, data, exam, preview)
                append_row(results, {"name": name, **asked, **measured})
                rows = read_rows(results)
            finished[name] = rows[-1]  # the latest

    print(
        f"\n{machine()}. {args.minutes:g} minutes each, seed {args.seed}. The default is "
        + ", ".join(f"{key} {as_text(value)}" for key, value in DEFAULT.items())
        + f". {exam.show_real()}\n"
    )
    print_table(
        [
            {
                "changed": name,
                "parameters": f"{int(row['parameters']) / 1e6:.2f} M",
                "pictures": row["pictures"],
                "error of x_0_hat": f"{float(row['error']):.5f}",
                **exam.show(row),
                "sgemm, GFLOP/s": f"{float(row['sgemm']):.0f}",
            }
            for name, row in finished.items()
        ]
    )


if __name__ == "__main__":
    main()
