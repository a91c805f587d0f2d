"""What each network is trained on, for how long and how: the recipes behind `minit2i train NAME`.

A recipe is the part that differs: the network, its data, the loss of one batch, and a sheet of pictures to look
at meanwhile. The loop (train.py) is the same for all.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor, nn

from . import data, scenes, viz, weights
from .batches import (
    alike,
    emoji_art,
    emoji_caption,
    fashion_pictures,
    half_alike,
    mirror_half,
    on_backgrounds,
    pick,
    scene_keys,
    scene_pictures,
    soften,
    unit,
    unseen_emoji,
    words_rng,
)
from .clip import CLIP, CLIPConfig, Text, contrastive_loss
from .judge import QUESTIONS, Judge, JudgeConfig, break_pictures, judge_loss, truth
from .samplers import guided, sample
from .schedule import Schedule
from .tokenizer import Tokenizer, words_of
from .unet import UNet, UNetConfig, denoising_loss
from .upscaler import Upscaler, UpscalerConfig, bicubic, degrade, random_crops


@dataclass
class Recipe:
    """One network's training. `sheet(model)` draws what the model can do; `note` goes into the model card."""

    model: nn.Module
    loss: Callable[[nn.Module, Generator], Tensor]
    sheet: Callable[[nn.Module], Image.Image]
    batch: int
    minutes: float
    lr: float
    weight_decay: float = 0.01
    decay: float = 0.999
    note: dict | None = None


def tokenizer() -> Tokenizer:
    """Learn the tokenizer from scene captions of the training split and from emoji names and keywords."""
    rng = random.Random(0)
    texts = [scenes.caption(scenes.draw_scene(0, i, "train"), rng) for i in range(20_000)]
    for row in data.load("emoji").select_columns(["name", "keywords"]):
        texts += [row["name"]] * 3 + row["keywords"]
    return Tokenizer.train(texts)


def clip(seed: int, folder: Path, styles: tuple[str, ...] = scenes.STYLES) -> Recipe:
    """CLIP on emoji and training scenes of the given styles, half of each batch from groups that are alike."""
    words = Tokenizer.load(weights.find("tokenizer.json", folder))
    pictures, drawn = scene_pictures("train", 40_000, 64, seed=1)
    kept = [i for i, scene in enumerate(drawn) if scene.style in styles]
    pictures, drawn = pictures[kept], [drawn[i] for i in kept]
    art, names = emoji_art(64, styles)
    schedule = Schedule.cosine()
    like_scenes, like_emoji = (
        alike([scene_keys(s) for s in drawn]),
        alike([entry["keywords"] for entry in names]),
    )
    of_scenes, of_emoji = 64, 128

    def loss(model: CLIP, generator: Generator) -> Tensor:
        rng = words_rng(generator)
        some = half_alike(len(drawn), like_scenes, of_scenes, rng)
        others = half_alike(len(names), like_emoji, of_emoji, rng)
        x = torch.cat([unit(pictures[some]), on_backgrounds(art[others], generator)])
        texts = [scenes.caption(drawn[i], rng) for i in some] + [emoji_caption(names[i], rng) for i in others]
        # Every fourth picture is noised, up to half of the way, so that half-denoised ones can be read too.
        t = schedule.random_t(len(x), generator) // 2
        noised = torch.rand(len(x), 1, 1, 1, generator=generator) < 1 / 4
        x = torch.where(noised, schedule.add_noise(x, torch.randn(x.shape, generator=generator), t), x)
        return contrastive_loss(model(x, words(texts)))

    prompts = [scenes.full_caption(scene) for scene in drawn[:8]]

    @torch.no_grad()
    def sheet(model: CLIP) -> Image.Image:
        return viz.score_table(
            data.to_pil(unit(pictures[:8])), prompts, model(unit(pictures[:8]), words(prompts))
        )

    torch.manual_seed(seed)
    model = CLIP(CLIPConfig(vocabulary=words.vocabulary, context=words.context))
    return Recipe(model, loss, sheet, of_scenes + of_emoji, minutes=40, lr=4e-3, weight_decay=0.1)


def text_of(folder: Path) -> Callable[[list[str]], Text]:
    """The frozen text tower: captions -> what the denoiser hears of them."""
    words = Tokenizer.load(weights.find("tokenizer.json", folder))
    tower = weights.load(weights.find("clip.safetensors", folder), CLIP, CLIPConfig).text

    @torch.no_grad()
    def hear(captions: list[str]) -> Text:
        return tower(words(captions))

    return hear


def dropped(captions: list[str], rng: random.Random) -> list[str]:
    """Every tenth caption is left empty, so that the denoiser also learns to dream without words."""
    return ["" if rng.random() < 0.1 else caption for caption in captions]


def samples(
    model: UNet,
    hear: Callable,
    captions: list[str],
    guidance_scale: float = 2.0,
    steps: int = 25,
    seed: int = 0,
) -> Tensor:
    """Draw one picture a caption: (B, C, size, size) in [-1, 1]."""
    config = model.config
    schedule = Schedule.cosine().shifted(config.log_snr_shift)
    denoise = guided(model, schedule, *hear(captions + [""] * len(captions)).halves(), guidance_scale)
    shape = (len(captions), config.channels, config.picture_size, config.picture_size)
    return sample(denoise, shape, schedule, steps=steps, seed=seed)


def denoiser(
    seed: int,
    folder: Path,
    config: UNetConfig = UNetConfig(),
    batch: int = 32,
    lr: float = 3e-3,
    weighting: str = "clipped_v",
) -> Recipe:
    """The text-to-image denoiser on training scenes at 64x64."""
    hear = text_of(folder)
    schedule = Schedule.cosine().shifted(config.log_snr_shift)
    pictures, drawn = scene_pictures("train", 40_000, config.picture_size, seed=1)

    def loss(model: UNet, generator: Generator) -> Tensor:
        rng = words_rng(generator)
        some = pick(len(pictures), batch, generator)
        captions = dropped([scenes.caption(drawn[i], rng) for i in some], rng)
        return denoising_loss(model, schedule, unit(pictures[some]), hear(captions), generator, weighting)

    # To look at while training: combinations of the training split and one line of the headline prompt.
    prompts = ["a cat wearing a blue baseball cap"] * 6 + [
        scenes.full_caption(scenes.draw_scene(2, i, "train")) for i in range(18)
    ]

    def sheet(model: UNet) -> Image.Image:
        return viz.grid(data.to_pil(samples(model, hear, prompts)), columns=6)

    torch.manual_seed(seed)
    rng = random.Random(0)
    note = {"words": sorted({word for scene in drawn for word in words_of(scenes.caption(scene, rng))})}
    return Recipe(UNet(config), loss, sheet, batch, minutes=105, lr=lr, note=note)


def denoiser_fashion(seed: int, folder: Path) -> Recipe:
    """A small denoiser on Fashion-MNIST, told the class by its caption."""
    config = UNetConfig(
        channels=1, picture_size=32, patch=2, widths=(48, 96), blocks=1, prediction="v", log_snr_shift=0.0
    )
    hear, batch, schedule = text_of(folder), 32, Schedule.cosine()
    pictures, captions, _ = fashion_pictures("train")

    def loss(model: UNet, generator: Generator) -> Tensor:
        rng = words_rng(generator)
        some = pick(len(pictures), batch, generator)
        x_0 = mirror_half(unit(pictures[some]), generator)
        return denoising_loss(
            model, schedule, x_0, hear(dropped([captions[i] for i in some], rng)), generator, "v"
        )

    prompts = sorted(set(captions)) * 4

    def sheet(model: UNet) -> Image.Image:
        return viz.grid(data.to_pil(samples(model, hear, prompts)), columns=len(prompts) // 4)

    torch.manual_seed(seed)
    note = {"words": sorted({word for caption in set(captions) for word in words_of(caption)})}
    return Recipe(UNet(config), loss, sheet, batch, minutes=20, lr=3e-3, note=note)


def upscaler(seed: int, folder: Path) -> Recipe:
    """The upscaler on crops of scenes, emoji and photographs (all but Chelsea the cat)."""
    large, _ = scene_pictures("train", 2_000, 256, seed=3)
    art, words = emoji_art(128)
    art = art[~unseen_emoji(words)]
    photos = [data.to_tensor(row["image"]) for row in data.load("photos") if row["name"] != "chelsea"]
    size, of_scenes, of_emoji, of_photos = 96, 6, 4, 6

    def from_photo(generator: Generator) -> Tensor:
        # A piece of 20 to 160 pixels, brought to one size. Small pieces turn soft, as what is out of focus is: without
        # them the network takes every soft edge for one of a drawing, and makes it hard.
        photo, side = (
            photos[pick(len(photos), 1, generator)],
            int(20 * 8 ** torch.rand((), generator=generator)),
        )
        return bicubic(random_crops(photo, side, generator), size, size).clamp(-1, 1)

    def loss(model: Upscaler, generator: Generator) -> Tensor:
        some, others = pick(len(large), of_scenes, generator), pick(len(art), of_emoji, generator)
        drawn = torch.cat(
            [
                random_crops(unit(large[some]), size, generator),
                random_crops(on_backgrounds(art[others], generator), size, generator),
            ]
        )
        photographed = mirror_half(torch.cat([from_photo(generator) for _ in range(of_photos)]), generator)
        # Photographs stay undamaged: fur looks like noise, and should not be smoothed away as such.
        low = torch.cat([degrade(drawn, generator), degrade(photographed, generator, p_clean=1)])
        return F.l1_loss(model(low), torch.cat([drawn, photographed]))

    examples = unit(large[:4])

    @torch.no_grad()
    def sheet(model: Upscaler) -> Image.Image:
        low = degrade(examples, Generator().manual_seed(0), p_clean=0.5)
        return viz.grid(data.to_pil(torch.cat([bicubic(low, 256, 256), model(low), examples])), columns=4)

    torch.manual_seed(seed)
    return Recipe(
        Upscaler(UpscalerConfig()), loss, sheet, of_scenes + of_emoji + of_photos, minutes=25, lr=2e-3
    )


def judge(seed: int, folder: Path) -> Recipe:
    """The judge on scenes of all combinations, spoiled a little, and a third of them broken."""
    pictures, drawn = scene_pictures("all", 40_000, 64, seed=4)
    right, batch = truth(drawn), 96

    def loss(model: Judge, generator: Generator) -> Tensor:
        some = pick(len(pictures), batch, generator)
        x, answers = unit(pictures[some]), right[some].clone()
        x[: batch // 4] = break_pictures(x[: batch // 4], generator)
        answers[: batch // 4, -1] = 0
        return judge_loss(model, soften(x, generator), answers)

    @torch.no_grad()
    def sheet(model: Judge) -> Image.Image:
        x = unit(pictures[:24])
        x[:6] = break_pictures(x[:6], Generator().manual_seed(0))
        answers = [logit.argmax(1).tolist() for logit in model(x)]
        names = list(QUESTIONS.values())
        captions = [" ".join(names[q][answers[q][i]] for q in range(len(names))) for i in range(len(x))]
        return viz.grid(data.to_pil(x), columns=6, captions=captions)

    torch.manual_seed(seed)
    return Recipe(Judge(JudgeConfig()), loss, sheet, batch, minutes=13, lr=3e-3)


def judge_fashion(seed: int, folder: Path) -> Recipe:
    """A classifier of clothes, independent of the denoiser: it asks one question, the class."""
    pictures, captions, labels = fashion_pictures("train")
    names, batch = dict(zip(labels.tolist(), captions, strict=True)), 128

    def loss(model: Judge, generator: Generator) -> Tensor:
        some = pick(len(pictures), batch, generator)
        return F.cross_entropy(model(mirror_half(unit(pictures[some]), generator))[0], labels[some])

    @torch.no_grad()
    def sheet(model: Judge) -> Image.Image:
        x = unit(pictures[:30])
        return viz.grid(
            data.to_pil(x), columns=10, captions=[names[i] for i in model(x)[0].argmax(1).tolist()]
        )

    torch.manual_seed(seed)
    config = JudgeConfig(channels=1, widths=(32, 64, 96), answers=(len(names),))
    return Recipe(Judge(config), loss, sheet, batch, minutes=5, lr=3e-3, weight_decay=0.1)


RECIPES = {
    "clip": clip,
    "denoiser": denoiser,
    "denoiser-fashion": denoiser_fashion,
    "upscaler": upscaler,
    "judge": judge,
    "judge-fashion": judge_fashion,
}
