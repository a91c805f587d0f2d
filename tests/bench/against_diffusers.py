"""Our denoiser and one of the diffusers library, trained side by side on the same machine in the same
minutes.

python tests/bench/against_diffusers.py [--minutes 2 5 10 20]. The two take turns of half a minute. Interrupt
it when you like: the same command goes on where it stopped. What is kept equal, and what not, is printed at
the end.
"""

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from common import RUNS, Exam, append_row, machine, print_table, read_rows, sgemm
from diffusers import DDIMScheduler, DDPMScheduler, UNet2DConditionModel
from torch import Generator, Tensor, nn
from tqdm import tqdm

from minit2i.captions import caption
from minit2i.clip import Text
from minit2i.files import WEIGHTS
from minit2i.pictures import to_float
from minit2i.training.batches import drop_captions, python_rng, random_indices
from minit2i.training.denoiser import DenoiserData, DenoiserRecipe
from minit2i.training.loop import Training, fit

TURN = 0.5  # minutes
STEPS, GUIDANCE = 25, 2.0

CONDITIONS = """\
Equal: training scenes, captions (one in ten dropped) and batch size; the text features (tokens with their
mask, and the pooled vector, all of our CLIP); the optimisers (Muon and AdamW) with their settings, gradient
clipping, the average of the weights; minutes of training; the learning rate (unless --lr was given) and its
shape over the longest run (warm-up, flat, down to zero over the last half); 25 steps of DDIM with guidance 2;
prompts and judge. The number of parameters is about equal. Each its own: the network (theirs works on the
full 64x64, as is usual; ours on squares of 2x2), what it predicts (theirs eps with DDPMScheduler's defaults,
the linear schedule and no weights; ours as in training/denoiser.py), the random numbers."""


# ---- Theirs ----


def their_network(text_width: int, pooled_width: int) -> UNet2DConditionModel:
    """A U-Net with as many parameters as ours, sized as one would on a CPU: attention at 16x16 and 8x8
    only."""
    return UNet2DConditionModel(
        sample_size=64,
        in_channels=3,
        out_channels=3,
        layers_per_block=1,
        block_out_channels=(16, 32, 64, 96),
        down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        norm_num_groups=8,
        cross_attention_dim=text_width,
        attention_head_dim=4,  # which is the number of heads
        class_embed_type="simple_projection",
        projection_class_embeddings_input_dim=pooled_width,
    )


def predict_eps(model: UNet2DConditionModel, x_t: Tensor, t: Tensor, text: Text) -> Tensor:
    pooled = F.normalize(text.pooled, dim=-1) * text.pooled.shape[-1] ** 0.5  # as ours takes it
    return model(x_t, t, text.tokens, encoder_attention_mask=text.mask, class_labels=pooled).sample


def their_loss(
    ours: DenoiserRecipe, data: DenoiserData, encode: Callable, noising: DDPMScheduler
) -> Callable:
    """The loss as in diffusers' training examples, on the recipe's scenes and captions."""

    def loss(model: nn.Module, generator: Generator) -> Tensor:
        rng = python_rng(generator)
        some = random_indices(len(data.pictures), ours.batch, generator)
        captions = drop_captions([caption(data.shown[i], rng) for i in some], rng)
        x_0 = to_float(data.pictures[some])
        t = torch.randint(noising.config.num_train_timesteps, (ours.batch,), generator=generator)
        eps = torch.randn(x_0.shape, generator=generator)
        return F.mse_loss(predict_eps(model, noising.add_noise(x_0, eps, t), t, encode(captions)), eps)

    return loss


@torch.no_grad()
def their_samples(
    model: nn.Module, encode: Callable, noising: DDPMScheduler, captions: list[str], seed: int
) -> Tensor:
    """Draw one picture a caption with diffusers' DDIM: (B, 3, 64, 64) in [-1, 1]."""
    # "trailing" begins at pure noise, as our samplers do; the library's default begins a little later.
    scheduler = DDIMScheduler.from_config(noising.config, timestep_spacing="trailing")
    scheduler.set_timesteps(STEPS)
    text = encode([""] * len(captions) + captions)
    x_t = torch.randn(len(captions), 3, 64, 64, generator=Generator().manual_seed(seed))
    for t in scheduler.timesteps:
        eps_uncond, eps_cond = predict_eps(model, x_t.repeat(2, 1, 1, 1), t, text).chunk(2)
        x_t = scheduler.step(eps_uncond + GUIDANCE * (eps_cond - eps_uncond), t, x_t).prev_sample
    return x_t.clamp(-1, 1)


# ---- Both ----


class Runner:
    """One of the two: trains when it is its turn, and draws with the average of its weights."""

    def __init__(self, name: str, training: Training, loss: Callable, draw: Callable, minutes: float):
        self.name, self.training, self.draw = name, training, draw
        self.steps = fit(training, loss, minutes=minutes)

    def train(self, until: float) -> None:
        """Go on until so many minutes of its own training are over."""
        while self.training.seconds < 60 * until and next(self.steps, None):
            pass


def runners(exam: Exam, folder: Path, minutes: float, lr: float | None) -> tuple[list[Runner], int]:
    """Ours and theirs, untrained, and the batch size of both."""
    recipe, noising = DenoiserRecipe(), DDPMScheduler()
    data = recipe.load_data(folder)
    torch.manual_seed(0)
    ours = recipe.build(data)
    theirs = their_network(recipe.config.text_width, recipe.config.text_pooled)
    encode = exam.t2i(ours).encode

    def training(model: nn.Module, lr: float) -> Training:
        return Training(model, lr, recipe.weight_decay, recipe.decay)

    def draw_ours(model: nn.Module, captions: list[str], seed: int) -> Tensor:
        settings = {"steps": STEPS, "guidance_scale": GUIDANCE, "sampler": "ddim", "seed": seed}
        return exam.t2i(model).draw(captions, **settings)

    def draw_theirs(model: nn.Module, captions: list[str], seed: int) -> Tensor:
        return their_samples(model, encode, noising, captions, seed)

    def our_loss(model: nn.Module, generator: Generator) -> Tensor:
        return recipe.loss(model, data, generator)

    other_loss = their_loss(recipe, data, encode, noising)
    return [
        Runner("ours", training(ours, recipe.lr), our_loss, draw_ours, minutes),
        Runner("diffusers", training(theirs, lr or recipe.lr), other_loss, draw_theirs, minutes),
    ], recipe.batch


def report(rows: list[dict], marks: list[float], exam: Exam) -> None:
    """The table, and below it what was kept equal."""
    found = {(row["who"], row["minutes"]): row for row in rows}
    sizes = {row["who"]: f"{int(row['parameters']) / 1e6:.2f} M" for row in rows}
    speeds = [float(row["sgemm"]) for row in rows]
    print(
        f"\n{machine()}; during the run {min(speeds):.0f} to {max(speeds):.0f} GFLOP/s. "
        f"Parameters: ours {sizes['ours']}, diffusers {sizes['diffusers']}. {exam.show_real()}\n"
    )
    table = []
    for mark in marks:
        cells = {"minutes": f"{mark:g}"}
        for who, key in (("ours", mark), ("diffusers", mark), ("ours in a fifth of the time", mark / 5)):
            row = found[who.split()[0], f"{key:g}"]
            cells |= {f"{who}: pictures/s": f"{float(row['pictures_per_s']):.0f}"} if key == mark else {}
            cells |= {f"{who}: {name}": cell for name, cell in exam.show(row).items()}
        table.append(cells)
    print_table(table)
    print(f"\n{CONDITIONS}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--minutes",
        type=float,
        nargs="+",
        default=[2, 5, 10, 20],
        help="of training, for each of the two, after which to compare (%(default)s)",
    )
    parser.add_argument("--lr", type=float, help="learning rate of diffusers' network (that of ours)")
    parser.add_argument("--n", type=int, default=256, help="pictures to judge each time (%(default)s)")
    parser.add_argument("--again", action="store_true", help="start anew rather than resume")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=RUNS / "against_diffusers", metavar="FOLDER")
    args = parser.parse_args()
    marks = sorted(args.minutes)
    # Another run in another folder, so that a checkpoint is only ever resumed by the command that wrote it
    out = args.out / (
        "-".join(f"{mark:g}" for mark in marks)
        + f"-minutes-n-{args.n}"
        + (f"-lr-{args.lr:g}" if args.lr else "")
    )
    if args.again:
        shutil.rmtree(out, ignore_errors=True)

    exam = Exam(args.weights, args.n)
    both, batch = runners(exam, args.weights, marks[-1], args.lr)
    for runner in both:
        if (out / f"{runner.name}.pt").is_file():
            runner.training.load(out / f"{runner.name}.pt")
    measure_at = {"ours": {*marks, *(mark / 5 for mark in marks)}, "diffusers": {*marks}}
    turns = {TURN * i for i in range(1, int(marks[-1] / TURN) + 1)}
    results = out / "results.csv"

    def has_row(asked: dict) -> bool:
        return any(asked.items() <= row.items() for row in read_rows(results))

    for until in tqdm(sorted(turns | measure_at["ours"]), desc="turns"):
        for runner in both:
            runner.train(until)
        for runner in both:  # both at the same point on disk, whenever the power goes
            runner.training.save(out / f"{runner.name}.pt")
        for runner in both:
            asked = {"who": runner.name, "minutes": f"{until:g}"}
            if until in measure_at[runner.name] and not has_row(asked):
                training = runner.training
                grades = exam.draw(
                    lambda captions, seed, runner=runner: runner.draw(
                        runner.training.average, captions, seed
                    ),
                    out / f"{runner.name}-{until:g}.png",
                )
                append_row(
                    results,
                    {
                        **asked,
                        "pictures_per_s": training.step * batch / training.seconds,
                        **grades,
                        "parameters": sum(p.numel() for p in training.model.parameters()),
                        "sgemm": round(sgemm(), 1),
                    },
                )
    report(read_rows(results), marks, exam)


if __name__ == "__main__":
    main()
