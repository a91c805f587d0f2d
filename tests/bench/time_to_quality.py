"""How many minutes of training until the pictures are good? Four denoisers, trained side by side.

python tests/bench/time_to_quality.py [--minutes 2 5 10 20 40]. Ours in latents and in pixels, and the
diffusers library's in both. First each chooses its learning rate of three, by its own loss; then they take
turns of half a minute. Interrupt it when you like: the same command goes on where it stopped. What is kept
equal, and what not, is printed at the end.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from common import RUNS, Exam, append_row, machine, print_table, read_rows, sgemm
from diffusers import DDIMScheduler, DDPMScheduler, UNet2DConditionModel
from torch import Generator, Tensor, nn
from tqdm import tqdm

from minit2i.checkpoint import find, read_card
from minit2i.clip import Text
from minit2i.train.denoiser import DenoiserData, DenoiserRecipe, PixelRecipe
from minit2i.trainer import Training, fit
from minit2i.utils import WEIGHTS

TURN = 0.5  # minutes
STEPS, GUIDANCE = 25, 2.0
RATES = (1e-3, 2.5e-3, 5e-3)

CONDITIONS = """\
Equal: scenes, captions (one in ten dropped) and batch size; the text features (tokens with their mask, and
the pooled vector, all of our CLIP); the optimisers (Muon and AdamW) with their settings, gradient clipping,
the average of the weights; minutes of training; the shape of the learning rate over the longest run (warm-up,
flat, down to zero over the last half); 25 steps of DDIM with guidance 2; prompts and judge. Each its own: the
network, with about as many parameters in pixels as ours, and in latents as ours; the learning rate, the best
of three by its loss; what it predicts (theirs eps with DDPMScheduler's defaults, the linear schedule and no
weights; ours as in train/denoiser.py); the random numbers. Ours in latents is given the
layout, which is part of the recipe; the others draw where they like, so that fidelity is not theirs to reach.
The minutes of the autoencoder count for those that need it."""


# ---- Theirs ----


@dataclass(frozen=True)
class TheirRecipe(DenoiserRecipe):
    """The loss as in diffusers' training examples, on our batches."""

    widths: tuple[int, ...] = (56, 104)
    attend: tuple[bool, ...] = (False, True)

    def build(self, data: DenoiserData) -> UNet2DConditionModel:
        """A U-Net with as many parameters as ours, sized as one would on a CPU."""
        down = [f"{'CrossAttn' * attend}DownBlock2D" for attend in self.attend]
        return UNet2DConditionModel(
            sample_size=self.config.picture_size,
            in_channels=self.config.channels,
            out_channels=self.config.channels,
            layers_per_block=1,
            block_out_channels=self.widths,
            down_block_types=down,
            up_block_types=[name.replace("Down", "Up") for name in reversed(down)],
            norm_num_groups=8,
            cross_attention_dim=self.config.text_width,
            attention_head_dim=4,  # which is the number of heads
            class_embed_type="simple_projection",
            projection_class_embeddings_input_dim=self.config.text_pooled,
        )

    def loss(self, model: UNet2DConditionModel, data: DenoiserData, generator: Generator) -> Tensor:
        x_0, text, _ = self.new_batch(data, generator)
        noising = DDPMScheduler()
        t = torch.randint(noising.config.num_train_timesteps, (len(x_0),), generator=generator)
        eps = torch.randn(x_0.shape, generator=generator)
        return F.mse_loss(predict_eps(model, noising.add_noise(x_0, eps, t), t, text), eps)


@dataclass(frozen=True)
class TheirPixelRecipe(TheirRecipe, PixelRecipe):
    """The same at the full 64x64, as is usual: attention at 16x16 and 8x8 only."""

    widths: tuple[int, ...] = (16, 32, 64, 96)
    attend: tuple[bool, ...] = (False, False, True, True)


def predict_eps(model: UNet2DConditionModel, x_t: Tensor, t: Tensor, text: Text) -> Tensor:
    pooled = F.normalize(text.pooled, dim=-1) * text.pooled.shape[-1] ** 0.5  # as ours takes it
    return model(x_t, t, text.tokens, encoder_attention_mask=text.mask, class_labels=pooled).sample


@torch.no_grad()
def their_samples(
    model: nn.Module, recipe: TheirRecipe, encode: Callable, captions: list[str], seed: int
) -> Tensor:
    """Draw with diffusers' DDIM, one x_0 a caption, (B, C, H, W)."""
    # "trailing" begins at pure noise, as our samplers do; the library's default begins a little later.
    scheduler = DDIMScheduler.from_config(DDPMScheduler().config, timestep_spacing="trailing")
    scheduler.config.clip_sample = recipe.config.channels == 3
    scheduler.set_timesteps(STEPS)
    text = encode([""] * len(captions) + captions)
    size, generator = recipe.config.picture_size, Generator().manual_seed(seed)
    x_t = torch.randn(len(captions), recipe.config.channels, size, size, generator=generator)
    for t in scheduler.timesteps:
        eps_uncond, eps_cond = predict_eps(model, x_t.repeat(2, 1, 1, 1), t, text).chunk(2)
        x_t = scheduler.step(eps_uncond + GUIDANCE * (eps_cond - eps_uncond), t, x_t).prev_sample
    return x_t


# ---- All four ----


RECIPES = {
    "ours, latents": DenoiserRecipe(),
    "ours, pixels": PixelRecipe(),
    "diffusers, latents": TheirRecipe(),
    "diffusers, pixels": TheirPixelRecipe(config=PixelRecipe().config),
}


class Runner:
    """One of the four: trains when it is its turn, and draws with the average of its weights."""

    def __init__(self, name: str, data: DenoiserData, minutes: float, lr: float):
        self.name, self.recipe, self.data = name, RECIPES[name], data
        torch.manual_seed(0)
        model = self.recipe.build(data)
        self.training = Training(model, lr, self.recipe.weight_decay, self.recipe.decay)
        self.steps = fit(self.training, lambda model, g: self.recipe.loss(model, data, g), minutes=minutes)

    def train(self, until: float) -> list[float]:
        """Go on until so many minutes of its own training are over; the losses."""
        losses = []
        while self.training.seconds < 60 * until and (step := next(self.steps, None)):
            losses.append(step[1])
        return losses

    def draw(self, exam: Exam, captions: list[str], layout: Tensor, seed: int) -> Tensor:
        """Small pictures (B, 3, 64, 64)."""
        model = self.training.average
        if not isinstance(self.recipe, TheirRecipe):
            settings = {"steps": STEPS, "guidance_scale": GUIDANCE, "sampler": "ddim"}
            return exam.draw_ours(model, captions, layout, seed, **settings)
        encode = lambda texts: self.data.clip.text(self.data.tokenizer(texts))  # noqa: E731
        x_0 = their_samples(model, self.recipe, encode, captions, seed)
        if self.data.autoencoder is None:
            return x_0.clamp(-1, 1)
        with torch.no_grad():
            return self.data.autoencoder.decode(x_0).clamp(-1, 1)


def best_rate(name: str, data: DenoiserData, minutes: float, table: Path) -> float:
    """The learning rate of RATES whose loss is least over the last fifth of so many minutes."""
    for lr in RATES:
        if not any(row["who"] == name and float(row["lr"]) == lr for row in read_rows(table)):
            losses = Runner(name, data, minutes, lr).train(minutes)
            last = losses[-len(losses) // 5 :]
            append_row(table, {"who": name, "lr": lr, "loss": sum(last) / len(last)})
    rows = [row for row in read_rows(table) if row["who"] == name]
    return float(min(rows, key=lambda row: float(row["loss"]))["lr"])


def minutes_to(share: float, rows: list[dict]) -> str:
    """When so many pictures were right, on a straight line between the two marks around it."""
    before = (0.0, 0.0)
    for row in rows:
        now = (float(row["minutes"]), float(row["joint"]))
        if now[1] >= share:
            return f"{before[0] + (share - before[1]) / (now[1] - before[1]) * (now[0] - before[0]):.1f}"
        before = now
    return f"> {before[0]:g}"


def report(rows: list[dict], rates: dict[str, float], extra: dict[str, float], exam: Exam) -> None:
    """A table of each mark, one of minutes to quality, and below what was kept equal."""
    speeds = [float(row["sgemm"]) for row in rows]
    print(
        f"\n{machine()}; during the run {min(speeds):.0f} to {max(speeds):.0f} GFLOP/s. {exam.show_real()}\n"
    )
    print_table(
        [
            {"minutes of training": row["minutes"], "denoiser": row["who"], **exam.show(row)}
            for row in sorted(rows, key=lambda row: float(row["minutes"]))
        ]
    )
    print()
    table = []
    for name in RECIPES:
        own = sorted((row for row in rows if row["who"] == name), key=lambda row: float(row["minutes"]))
        size = int(own[-1]["parameters"]) / 1e6
        cells = {"denoiser": name, "parameters": f"{size:.2f} M", "learning rate": f"{rates[name]:g}"}
        cells["pictures/s"] = f"{float(own[-1]['pictures_per_s']):.0f}"
        cells |= {f"minutes to {share:.0%} right": minutes_to(share, own) for share in (0.5, 0.9)}
        table.append(cells | {"and for the autoencoder": f"{extra[name]:g}"})
    print_table(table)
    print(f"\n{CONDITIONS}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    marks_help = "of training, for each, after which to measure (%(default)s)"
    parser.add_argument("--minutes", type=float, nargs="+", default=[2, 5, 10, 20, 40], help=marks_help)
    parser.add_argument(
        "--choose", type=float, default=2, help="minutes for each learning rate (%(default)s)"
    )
    parser.add_argument("--n", type=int, default=200, help="pictures to measure each time (%(default)s)")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, metavar="FOLDER")
    args = parser.parse_args()
    marks = sorted(args.minutes)
    # Another run in another folder, so that a checkpoint is only ever resumed by the command that wrote it
    out = RUNS / "time_to_quality" / ("-".join(f"{mark:g}" for mark in marks) + f"-minutes-n-{args.n}")
    results, exam = out / "results.csv", Exam(args.weights, args.n, "held_out")
    datas = {name: recipe.load_data(args.weights) for name, recipe in RECIPES.items()}
    rates = {name: best_rate(name, data, args.choose, out / "rates.csv") for name, data in datas.items()}
    runners = [Runner(name, data, marks[-1], rates[name]) for name, data in datas.items()]
    checkpoints = [out / f"{runner.name.replace(', ', '-')}.pt" for runner in runners]
    for runner, path in zip(runners, checkpoints, strict=True):
        if path.is_file():
            runner.training.load(path)
    turns = {TURN * i for i in range(1, int(marks[-1] / TURN) + 1)} | {*marks}
    for until in tqdm(sorted(turns), desc="turns"):
        for runner in runners:
            runner.train(until)
        for runner, path in zip(runners, checkpoints, strict=True):  # all at the same point on disk
            runner.training.save(path)
        for runner in runners if until in marks else ():
            asked = {"who": runner.name, "minutes": f"{until:g}"}
            if any(asked.items() <= row.items() for row in read_rows(results)):
                continue
            preview = out / f"{runner.name.replace(', ', '-')}-{until:g}.png"
            grades = exam.draw(lambda *asked, runner=runner: runner.draw(exam, *asked), preview)
            training = runner.training
            row = {
                **asked,
                "pictures_per_s": training.step * runner.recipe.batch / training.seconds,
                **grades,
                "parameters": sum(p.numel() for p in training.model.parameters()),
                "sgemm": round(sgemm(), 1),
            }
            append_row(results, row)
    minutes = read_card(find("autoencoder", args.weights))["minutes"]
    extra = {name: minutes if "latents" in name else 0 for name in RECIPES}
    report(read_rows(results), rates, extra, exam)


if __name__ == "__main__":
    main()
