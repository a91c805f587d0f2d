"""Which latents are good? Autoencoders trained for equal minutes: python tests/bench/autoencoder_trials.py

One choice is changed at a time. Measured on scenes of the training split that none of them was trained on.
Finished trials are kept in runs/, and a sheet of each; the same command goes on where it stopped.
"""

import argparse
import dataclasses

from common import RUNS, SEED, append_row, machine, print_table, read_rows

from minit2i.files import WEIGHTS
from minit2i.measure.autoencoder import measure_autoencoder
from minit2i.training.autoencoder import AutoencoderRecipe
from minit2i.training.batches import scene_pictures
from minit2i.training.run import run
from minit2i.weights import load_model

RECIPE = AutoencoderRecipe()
TRIALS = {
    "latent_channels": (4, 16),
    "width": (48, 96),
    "decoder_blocks": (2, 5),
    "exit_channels": (8, 32),
    "noise": (0.05, 0.2),
    "lr": (1.5e-3, 6e-3),
    "batch": (16, 64),
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
    parser.add_argument("--minutes", type=float, default=5, help="of training each (%(default)s)")
    parser.add_argument("--only", nargs="*", choices=list(variants()), help="some of the trials")
    args = parser.parse_args()
    table = RUNS / f"autoencoder-trials-{args.minutes:g}.csv"
    done = {row["trial"] for row in read_rows(table)}
    pixels, _ = scene_pictures("train", 1000, 64, seed=SEED)
    for name, recipe in variants().items():
        if name in done or args.only and name not in args.only:
            continue
        out = RUNS / f"autoencoder-trials-{args.minutes:g}" / name.replace(" ", "-")
        resume = (out / "checkpoint.pt").is_file()
        run("autoencoder", recipe, WEIGHTS, out, minutes=args.minutes, resume=resume)
        model = load_model("autoencoder", out)
        found = measure_autoencoder(model, pixels)
        append_row(
            table,
            {
                "trial": name,
                "parameters": sum(p.numel() for p in model.parameters()),
                "PSNR, dB": f"{found['psnr']:.2f}",
                "without the least channel": f"-{found['least_channel']:.1f} dB",
                "edges halfway": f"{found['halfway']:.2f}",
            },
        )
    print(f"{machine()}. Trained for {args.minutes:g} minutes each.\n")
    print_table(read_rows(table))


if __name__ == "__main__":
    main()
