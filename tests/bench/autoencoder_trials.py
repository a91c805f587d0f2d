"""Which latents are good? python tests/bench/autoencoder_trials.py [--minutes 3] [--only NAME...]

One choice is changed at a time. Each autoencoder is trained for equal minutes and measured on scenes of the
training split that none was trained on. But what is squeezed well need not be easy to draw. So a new
denoiser is trained on its latents, for as many minutes again, and draws.
Finished trials are kept in runs/, and previews of each; the same command goes on where it stopped.
"""

import argparse
import dataclasses

from ablate import RECIPE as DENOISER
from ablate import train_and_measure
from common import RUNS, Exam, append_row, machine, print_table, read_rows

from minit2i.checkpoint import load_model
from minit2i.evaluate.fidelity import measure_autoencoder
from minit2i.evaluate.report import Bench
from minit2i.train.autoencoder import AutoencoderRecipe
from minit2i.train.recipe import RunSettings, run
from minit2i.utils import WEIGHTS

RECIPE = AutoencoderRecipe()
TRIALS = {
    "halved": (0.0, 1.0),
    "latent_channels": (4, 16),
    "noise": (0.05, 0.2),
    "width": (64, 128),
    "encoder_blocks": (2,),
    "decoder_blocks": (1, 3),
    "exit_channels": (8, 32),
    "lr": (1.5e-3, 6e-3),
    "batch": (8, 32),
}


def variants() -> dict[str, AutoencoderRecipe]:
    """Name -> recipe: the default, and each with one setting changed."""
    result = {"default": RECIPE}
    for key, values in TRIALS.items():
        for value in values:
            of_config = hasattr(RECIPE.config, key)
            changed = dataclasses.replace(RECIPE.config if of_config else RECIPE, **{key: value})
            recipe = dataclasses.replace(RECIPE, config=changed) if of_config else changed
            result[f"{key} {value:g}"] = recipe
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--minutes", type=float, default=3, help="of training for each of the two networks (%(default)s)"
    )
    parser.add_argument("--only", nargs="*", choices=list(variants()), help="some of the trials")
    parser.add_argument("--n", type=int, default=256, help="pictures to judge for each (%(default)s)")
    args = parser.parse_args()
    folder = RUNS / f"autoencoder-trials-{args.minutes:g}"
    table = folder / "results.csv"
    done = {row["trial"] for row in read_rows(table)}
    for name, recipe in variants().items():
        if name in done or args.only and name not in args.only:
            continue
        out = folder / name.replace(" ", "-")
        resume = (out / "checkpoint.pt").is_file()
        run("autoencoder", recipe, WEIGHTS, out, RunSettings(minutes=args.minutes, resume=resume))
        model, exam = load_model("autoencoder", out), Exam(out, args.n)
        psnr, lost, edges = measure_autoencoder(Bench(out, 1000), "train").values()
        config = dataclasses.replace(DENOISER.config, channels=model.config.latent_channels)
        denoiser = dataclasses.replace(DENOISER, config=config)
        data = denoiser.load_data(out)
        drawn = train_and_measure(name, denoiser, args.minutes, 0, data, exam, out / "drawn.png")
        append_row(
            table,
            {
                "trial": name,
                "parameters": sum(p.numel() for p in model.parameters()),
                "PSNR, dB": f"{psnr['mean']['value']:.2f}",
                "without the least channel": f"-{lost['value']:.1f} dB",
                "edges halfway": f"{edges['value']:.2f}",
                **exam.show(drawn),
            },
        )
    print(f"{machine()}. Each network trained for {args.minutes:g} minutes.\n")
    print_table(read_rows(table))


if __name__ == "__main__":
    main()
