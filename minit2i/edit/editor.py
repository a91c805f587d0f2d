"""Start from a picture: vary it, draw a part of it anew, go on beyond its edge, change it by words alone.

A sampler need not begin with pure noise, and need not have its way everywhere. With a picture and some noise
it draws a variation; where a picture is known, the guess of the denoiser can be replaced by what is known.
Papers: Meng et al. 2022 (SDEdit), Lugmayr et al. 2022 (RePaint), Rombach et al. 2022 (a denoiser that sees
the known part), Hertz et al. 2023 (prompt-to-prompt), Song et al. 2021 (inversion).

Shapes: B small pictures (B, 3, S, S) in [-1, 1], S = 64; masks (B, 1, S, S), 1 where to draw anew; Z and H
channels and side of latents.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from minit2i.checkpoint import load_beside_denoiser
from minit2i.guidance import guided
from minit2i.samplers import Denoise, denoiser_of, invert
from minit2i.text2image import TextToImage
from minit2i.unet import UNet
from minit2i.utils import WEIGHTS, InputError
from minit2i.world.captions import full_caption
from minit2i.world.parse import apply_prompt
from minit2i.world.scenes import Scene

from .attention import AttentionStore, PromptToPrompt, attention_map, pairs
from .compositing import composite, dilate, erode, match_colours
from .scene_reader import SceneReader, read_scenes

WAYS = ("trained", "replace", "repaint")


class Found(NamedTuple):
    """What a picture shows, and what a prompt makes of it, with the head in the same place."""

    now: Scene
    wanted: Scene


class Edited(NamedTuple):
    """Small pictures (B, 3, S, S), where they were changed (B, 1, S, S), and the heat of the words that
    changed, (B, side, side), from 0 to 1."""

    pictures: Tensor
    masks: Tensor
    attention_map: Tensor


class Editor:
    """Everything that starts from a picture, small; `retouch.py` does the same for pictures of any size."""

    def __init__(self, t2i: TextToImage, reader: SceneReader, inpainter: UNet):
        """inpainter: a denoiser that also sees the known part, see `seen_by`."""
        self.t2i, self.reader = t2i, reader
        self.inpainting = t2i.with_denoiser(inpainter)

    @classmethod
    def load(cls, folder: str | Path = WEIGHTS) -> "Editor":
        """Load the weights from `folder`, and what is not there from the shipped ones. Raises InputError if
        some are missing, damaged, or do not belong together."""
        return cls(TextToImage.load(folder), *load_beside_denoiser(folder, "reader", "inpaint"))

    def find(self, pictures: Tensor, prompts: list[str]) -> list[Found]:
        """What each picture shows, and what its prompt makes of it: heads stay where they are."""
        shown = read_scenes(self.t2i.clip, self.reader, pictures)
        return [
            Found(now, apply_prompt(now, head, prompt))
            for (now, head), prompt in zip(shown, prompts, strict=True)
        ]

    # ---- A variation ----

    def vary(self, pictures: Tensor, prompts: list[str], strength: float, **settings) -> Tensor:
        """Noise the pictures to a time t and draw them from there: (B, 3, S, S).

        strength: t / T. With 0 they come back as they are; with 1 nothing is left of them, the layout
        included; between, the head stays about where it is. settings: those of `TextToImage.steps`, but
        for the style, which a prompt can name.
        Raises InputError if strength is not from 0 to 1. Source: Meng et al. 2022 (SDEdit).
        """
        if not 0 <= strength <= 1:
            raise InputError(f"strength must be from 0 to 1, not {strength}")
        t = round(strength * self.t2i.schedule.T) - 1
        if t < 0:
            return pictures
        if strength < 1:
            layout = layouts(found.wanted for found in self.find(pictures, prompts))
            settings = {"layout": layout, "start": (self.t2i.encode_pictures(pictures), t), **settings}
        return self.t2i.draw(prompts, **settings)

    # ---- A part drawn anew ----

    def inpaint(
        self, pictures: Tensor, masks: Tensor, prompts: list[str], way: str = "trained", **settings
    ) -> Tensor:
        """Draw what the masks cover anew, to fit the rest and the prompts: (B, 3, S, S).

        What is covered is not looked at. Known pixels come back as they are. way: "trained", by a denoiser
        that sees what is known; "replace", by ours, whose guess is replaced there in each step; "repaint",
        the same with each step repeated, so that both parts come to agree. settings: as for `vary`.
        Raises InputError for another way.
        """
        if way not in WAYS:
            raise InputError(f"way must be one of {', '.join(WAYS)}, not {way!r}")
        blank = pictures * (1 - masks)
        if "layout" not in settings:
            seed = settings.get("seed", 0)
            read_off, known = self._layouts(blank, masks, prompts, seed), 1 - self._touched(masks)
            z = self.t2i.encode_pictures(blank)
            settings["layout"] = refine_layout(self.t2i, read_off, z, known, prompts, seed)
        if way == "trained":
            seen = inpaint_conditioning(self.t2i, pictures, masks)
            drawn = self.inpainting.draw(prompts, conditioning={"inpaint_cond": seen}, **settings)
        else:
            keep = keep_known(self.t2i.encode_pictures(blank), self._touched(masks))
            resample = 4 if way == "repaint" else 0
            drawn = self.t2i.draw(prompts, wrap_denoiser=keep, resample=resample, **settings)
        return composite(pictures, match_colours(pictures, drawn, masks), masks)

    def _layouts(self, blank: Tensor, masks: Tensor, prompts: list[str], seed: int) -> Tensor:
        """The layout that each prompt asks for, read from what is known; by chance where that is little."""
        read_off = layouts(found.wanted for found in self.find(blank, prompts))
        little = masks.mean(dim=(1, 2, 3)) > 0.9
        return torch.where(little[:, None].cpu(), self.t2i.layouts(prompts, seed), read_off)

    def _touched(self, masks: Tensor) -> Tensor:
        """The places of latents in which something is covered, and their neighbours: (B, 1, H, H)."""
        return dilate(F.max_pool2d(masks, masks.shape[-1] // self.t2i.denoiser.config.picture_size), 1)

    # ---- From words alone ----

    def edit(
        self,
        pictures: Tensor,
        prompts: list[str],
        kept: float = 0.5,
        guidance_scale: float = 1.5,
        steps: int = 25,
        threshold: float = 0.02,
    ) -> Edited:
        """Change the pictures to what the prompts say; what to change, and where, is found from the words.

        kept: for how much of the way, from pure noise, attention is the first picture's. threshold: how warm,
        beside the warmest place, a place has to be that may change; of these, what comes out another shade
        is changed, with what is close to it. A prompt that asks for nothing new gives the picture back as it
        is; a style is no such thing. Nothing is left to chance: the noise is the picture's own.
        """
        if guidance_scale == 0:
            raise InputError("from words alone there has to be guidance: a scale above 0")
        self.t2i.warn_of_unknown_words(prompts)
        now, wanted = zip(*self.find(pictures, prompts), strict=True)
        before, after = ([full_caption(scene) for scene in scenes] for scenes in (now, wanted))
        if before == after:
            nothing = torch.zeros_like(pictures[:, :1])
            return Edited(pictures, nothing, nothing[:, 0])
        B, t2i, layout = len(pictures), self.t2i, layouts([*now, *wanted])
        z = t2i.encode_pictures(pictures)
        noise = self._noise_of(z, before, layout[:B], steps)
        exchange = PromptToPrompt(t2i.tokenizer, before, after, until=round((1 - kept) * t2i.schedule.T))
        watch = AttentionStore(2 * B)
        second = torch.arange(2 * B, device=z.device).view(-1, 1, 1, 1) >= B  # the first ones are known
        keep = keep_known(torch.cat([z, z]), second.float())
        drawn = t2i.draw(
            before + after,
            noise=torch.cat([noise, noise]),
            layout=layout,
            sampler="ddim",
            steps=steps,
            guidance_scale=guidance_scale,
            wrap_denoiser=lambda denoise: keep(exchange.wrap_denoiser(denoise)),
            conditioning={"attention_hook": lambda weights: watch(exchange(weights))},
        )[B:]
        warm = self._changed(watch, before, after)
        may = F.interpolate(warm[:, None], pictures.shape[-2:], mode="bilinear") > threshold
        does = (drawn - pictures).abs().amax(dim=1, keepdim=True) > 0.25
        closed = erode(dilate(does.to(drawn), 7), 4)  # small gaps are filled, and a rim is added
        masks = dilate(may.to(drawn), 3) * closed
        return Edited(composite(pictures, match_colours(pictures, drawn, masks), masks), masks, warm)

    def _noise_of(self, z: Tensor, captions: list[str], layout: Tensor, steps: int) -> Tensor:
        """The noise from which our denoiser draws these latents, told what they show."""
        cond, uncond = self.t2i.encode(captions + [""] * len(captions)).chunk()
        conditioning = {"layout": layout.to(z.device)} if self.t2i.denoiser.config.layout else {}
        clamp = self.t2i.autoencoder is None
        denoise = guided(self.t2i.denoiser, self.t2i.schedule, cond, uncond, 1, clamp, **conditioning)
        noise = invert(denoise, z, self.t2i.schedule, steps, rounds=1)
        # Brought to strength 1, as samplers expect it: for a strange picture it comes out stronger
        return noise / noise.std(dim=(1, 2, 3), keepdim=True)

    def _changed(self, watch: AttentionStore, before: list[str], after: list[str]) -> Tensor:
        """Where the words look that only one of the two captions has: (B, side, side), from 0 to 1."""
        maps, warm = watch.mean(), []
        for b, both in enumerate(zip(before, after, strict=True)):
            shared = pairs(self.t2i.tokenizer, *both)
            for half, text, known in zip((0, len(before)), both, shared, strict=True):
                new = [i for i in range(len(self.t2i.tokenizer.encode(text))) if i not in known]
                each = [attention_map(maps[half + b], [i]) for i in new] or [
                    attention_map(maps[half + b], [])
                ]
                warm.append(torch.stack(each).amax(dim=0))
        return torch.stack(warm).unflatten(0, (-1, 2)).amax(dim=1)


def layouts(scenes) -> Tensor:
    """The layouts of scenes, (B, LAYOUT)."""
    return torch.tensor([scene.layout_vector() for scene in scenes])


def refine_layout(
    t2i: TextToImage,
    conditioning: Tensor,
    z: Tensor,
    known: Tensor,
    prompts: list[str],
    seed: int,
    rounds: int = 16,
) -> Tensor:
    """Layouts (B, LAYOUT), with place and size moved until the denoiser finds what is known where it looks.

    Where the head is was read off by a network, and is a pixel or two beside it: then what is drawn anew does
    not meet the rest. So the latents are noised, the denoiser guesses what they were, and place and size
    follow the gradient of its error on what is known. z: latents (B, Z, H, H); known: (B, 1, H, H), 1 where
    they count.
    """
    if not t2i.denoiser.config.layout:
        return conditioning
    text, schedule = t2i.encode(prompts), t2i.schedule
    t = torch.full(z.shape[:1], round(0.6 * schedule.T), device=z.device)  # half hidden: it has to guess
    eps = torch.randn(z.shape[1:], generator=torch.Generator().manual_seed(seed)).to(z)
    x_t = schedule.add_noise(z, eps.expand_as(z), t)
    style, frame = conditioning.to(z.device).tensor_split([-3], dim=1)
    frame = frame.clone().requires_grad_()
    optimiser = torch.optim.Adam([frame], betas=(0.8, 0.95))
    for i in range(rounds):
        optimiser.param_groups[0]["lr"] = 0.02 * (1 - i / rounds)
        with torch.enable_grad():
            layout = torch.cat([style, frame], dim=1)
            guess = denoiser_of(t2i.denoiser, schedule, text, clamp=False, layout=layout)(x_t, t)
            error = ((guess - z).square() * known).mean(dim=(1, 2, 3)).sum()
        [frame.grad] = torch.autograd.grad(error, [frame])
        optimiser.step()
    return torch.cat([style, frame.detach()], dim=1)


def keep_known(known: Tensor, masks: Tensor) -> Callable[[Denoise], Denoise]:
    """Around a denoiser: where masks (B, 1, H, H) are 0, its guess is what is known, (B, Z, H, H).

    With samplers that draw no new noise, x_t there is then the known part with the noise it had at first.
    """

    def wrap_denoiser(denoise: Denoise) -> Denoise:
        return lambda x_t, t: torch.where(masks > 0, denoise(x_t, t), known)

    return wrap_denoiser


def inpaint_conditioning(t2i: TextToImage, pictures: Tensor, masks: Tensor) -> Tensor:
    """What an inpainting denoiser is shown: latents of the pictures, grey where covered, and how much of each
    place is known: (B, Z + 1, H, H)."""
    z = t2i.encode_pictures(pictures * (1 - masks))
    return torch.cat([z, F.avg_pool2d(1 - masks, masks.shape[-1] // z.shape[-1])], dim=1)
