"""How fast and how large is it? Run on an idle machine: python tests/bench/speed.py"""

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile

import torch
from common import machine, print_table, sgemm, timings
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from minit2i.checkpoint import find, load_model, load_tokenizer, read_card
from minit2i.clip import Matcher, Text
from minit2i.text2image import TextToImage
from minit2i.train.clip import ClipRecipe
from minit2i.train.denoiser import DenoiserRecipe
from minit2i.train.recipe import Recipe
from minit2i.trainer import Training, fit
from minit2i.unet import UNet
from minit2i.upscaler import upscale
from minit2i.utils import WEIGHTS
from minit2i.world import scenes
from minit2i.world.render import render

PROMPT = "a cat wearing a blue baseball cap"

# A process is also charged with the memory of the one that started it. So this small one starts what is
# measured.
STARTER = """
import resource, subprocess, sys, time
began = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
IMPORTER = """
import time, torch
began = time.perf_counter()
import minit2i, minit2i.text2image
print(time.perf_counter() - began)
"""


def python(*arguments: str) -> list[float]:
    """Run Python in a new process; returns the numbers that it prints."""
    done = subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return [float(number) for number in done.stdout.split()]


def cold_generate(folder: str, times: int = 3) -> tuple[float, float]:
    """`minit2i generate` typed into a shell: seconds (the best) and peak memory in MB (the worst)."""
    with tempfile.TemporaryDirectory() as out:
        command = (
            sys.executable,
            "-m",
            "minit2i",
            "--weights",
            folder,
            "generate",
            PROMPT,
            "-o",
            f"{out}/cat.png",
        )
        runs = [python("-c", STARTER, *command) for _ in range(times)]
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux kibibytes
    return min(seconds for seconds, _ in runs), max(peak for _, peak in runs) * unit / 1e6


def forward_flops(model: UNet, batch: int) -> int:
    """How many operations it takes to look at a batch once."""
    config, words = model.config, 16
    text = Text(
        torch.zeros(batch, words, config.text_width),
        torch.ones(batch, words, dtype=torch.bool),
        torch.ones(batch, config.text_pooled),
    )
    x_t = torch.zeros(batch, config.channels, config.picture_size, config.picture_size)
    # The counter knows matrix products, but not the fused attention; so attention is written out for it.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        model(x_t, torch.zeros(batch, dtype=torch.int64), text)
    return counter.get_total_flops()


def step_seconds(recipe: Recipe, folder: str, seconds: float) -> tuple[float, Training]:
    """Train for a moment: how long a step takes (the median), and the training."""
    data = recipe.load_data(folder)
    training = Training(recipe.build(data), recipe.lr, recipe.weight_decay, recipe.decay)
    clock = []
    for step, _ in fit(training, lambda model, generator: recipe.loss(model, data, generator), minutes=60):
        clock.append(training.seconds)
        if step >= 4 and training.seconds - clock[0] > seconds:
            break
    return statistics.median(b - a for a, b in itertools.pairwise(clock)), training


def denoiser_speed(folder: str, seconds: float) -> tuple[float, float, float]:
    """Train the denoiser for a moment: pictures/s, its GFLOP/s, and sgemm's before and after."""
    recipe, before = DenoiserRecipe(scenes=500), sgemm()  # which come back as often as in a whole training
    a_step, training = step_seconds(recipe, folder, seconds)
    peak = (before + sgemm()) / 2
    # Backwards costs two times forwards: once for the gradient of the weights, once for that of the input.
    flops = 3 * forward_flops(training.model, recipe.batch)
    return recipe.batch / a_step, flops / a_step / 1e9, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default=str(WEIGHTS), metavar="FOLDER")
    parser.add_argument("--seconds", type=float, default=20, help="how long to train (%(default)s)")
    args = parser.parse_args()
    rows = []

    def row(what: str, measured: str, goal: str = "") -> None:
        rows.append({"what": what, "measured": measured, "goal": goal})
        print(f"{what}: {measured}", file=sys.stderr)

    machine_line = machine()
    seconds, megabytes = cold_generate(args.weights)
    row("`minit2i generate` from a shell, best of 3", f"{seconds:.2f} s", "<= 3 s")
    row("its peak memory", f"{megabytes:.0f} MB", "<= 450 MB")
    seconds = min(python("-c", IMPORTER)[0] for _ in range(5))
    row("import beyond importing torch, best of 5", f"{seconds:.2f} s", "<= 0.3 s")

    t2i = TextToImage.load(args.weights)
    seconds = min(timings(lambda: t2i(PROMPT, steps=20, size=256), seconds=5))
    row("one more picture, 20 steps with guidance, 256x256", f"{seconds:.2f} s", "<= 0.2 s")
    seconds = min(timings(lambda: t2i(PROMPT, n=16, steps=20, size=256)))
    row("16 pictures in one batch, the same", f"{seconds:.2f} s", "<= 2.5 s")
    small = torch.zeros(1, 3, 64, 64)
    seconds = min(timings(lambda: upscale(t2i.upscaler, small)))
    row("upscaler, 64x64 to 256x256", f"{1000 * seconds:.0f} ms")

    some = [scenes.draw_scene(7, i) for i in range(500)]
    seconds = min(timings(lambda: [render(scene, 64) for scene in some]))
    row("scenes rendered at 64x64, one core", f"{len(some) / seconds:.0f} /s", ">= 500 /s")

    matcher = Matcher(load_model("clip", args.weights), load_tokenizer(args.weights))
    shown, texts = torch.zeros(16, 3, 64, 64), 64 * [PROMPT]
    with torch.no_grad():
        seconds = min(timings(lambda: matcher.model(shown, matcher.tokenizer(texts))))
    row("CLIP: 16 pictures scored against 64 texts", f"{1000 * seconds:.0f} ms", "<= 60 ms")
    a_step, _ = step_seconds(ClipRecipe(), args.weights, args.seconds)
    steps = read_card(find("clip", args.weights))["steps"]
    row("training CLIP", f"{ClipRecipe().batch / a_step:.0f} pictures/s")
    row(f"the {steps:,} steps of its weights", f"{steps * a_step / 60:.0f} minutes", "<= 60 minutes")

    pictures, gflops, peak = denoiser_speed(args.weights, args.seconds)
    row("training the denoiser", f"{pictures:.0f} pictures/s, {gflops:.0f} GFLOP/s")
    row(f"its share of sgemm ({peak:.0f} GFLOP/s just then)", f"{100 * gflops / peak:.0f} %", ">= 75 %")

    print(machine_line, end="\n\n")
    print_table(rows)


if __name__ == "__main__":
    main()
