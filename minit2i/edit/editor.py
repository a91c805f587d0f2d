"""Start from a picture: vary it, draw a part of it anew, go on beyond its edge, change it by words alone.

A sampler need not begin with pure noise, and need not have its way everywhere. With a picture and some noise
it draws a variation; where a picture is known, the denoiser's prediction can be replaced by what is known.
Papers: Meng et al. 2022 (SDEdit), Lugmayr et al. 2022 (RePaint), Rombach et al. 2022 (a denoiser that is
given the known part), Hertz et al. 2023 (prompt-to-prompt), Song et al. 2021 (inversion).

Shapes: B small pictures (B, 3, S, S) in [-1, 1], S = 64; masks (B, 1, S, S), 1 where to draw anew; Z and H
channels and side of latents.
"""

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from minit2i.checkpoint import load_beside_denoiser
from minit2i.samplers import Denoise, denoiser_of, timesteps
from minit2i.schedule import Schedule
from minit2i.text2image import TextToImage
from minit2i.unet import UNet
from minit2i.utils import WEIGHTS, InputError
from minit2i.world.captions import full_caption
from minit2i.world.parse import EDIT_WORDS, apply_prompt
from minit2i.world.scenes import STYLES, Scene

from .attention import AttentionStore, PromptToPrompt, map_of_changes
from .compositing import composite, dilate, erode, match_colours
from .scene_reader import SceneReader, read_scenes

WAYS = {"trained": 0, "replace": 0, "repaint": 4}  # how often each step is repeated


class Edited(NamedTuple):
    """Small pictures (B, 3, S, S), where they were changed (B, 1, S, S), and how much each position attends
    to the words that changed, (B, side, side), from 0 to 1."""

    pictures: Tensor
    masks: Tensor
    attention_map: Tensor


class Editor:
    """All that starts from a small picture; any_size.py does the same for pictures of any size."""

    def __init__(self, t2i: TextToImage, reader: SceneReader, inpainter: UNet):
        """inpainter: a denoiser that is also given the known part, see `inpaint_conditioning`."""
        self.t2i, self.reader, self.inpainting = t2i, reader, t2i.with_denoiser(inpainter)

    @classmethod
    def load(cls, folder: str | Path = WEIGHTS, t2i: TextToImage | None = None) -> "Editor":
        """Load the weights from `folder`, and what is not there from the pretrained ones; t2i: of the same
        folder. Raises InputError if some are missing, damaged, or do not belong together."""
        return cls(t2i or TextToImage.load(folder), *load_beside_denoiser(folder, "reader", "inpaint"))

    def read(self, pictures: Tensor, prompts: list[str]) -> tuple[list[Scene], list[Scene]]:
        """What each picture shows, and what its prompt makes of it: heads stay where they are."""
        shown = read_scenes(self.t2i.clip, self.reader, pictures)
        wanted = [apply_prompt(now, head, text) for (now, head), text in zip(shown, prompts, strict=True)]
        return [now for now, _ in shown], wanted

    def vary(self, pictures: Tensor, prompts: list[str], strength: float, **settings) -> Tensor:
        """Noise the pictures to a time t and draw them from there: (B, 3, S, S).

        strength: t / T. With 0 they come back as they are; with 1 nothing is left of them, the layout
        included; between, the head stays about where it is. settings: those of `TextToImage.steps` but for
        the style, which a prompt can name. Raises InputError for a style, or a strength that is not from 0
        to 1. Source: Meng et al. 2022 (SDEdit).
        """
        if not 0 <= strength <= 1:
            raise InputError(f"strength must be from 0 to 1, not {strength}")
        t = round(strength * self.t2i.schedule.T) - 1
        if t < 0:
            return pictures
        if strength < 1:
            layout, start = self._layouts(pictures, prompts, settings), self.t2i.encode_pictures(pictures)
            settings = {"layout": layout, "start": (start, t), **settings}
        return self.t2i.draw(prompts, **settings)

    def inpaint(
        self, pictures: Tensor, masks: Tensor, prompts: list[str], way: str = "trained", **settings
    ) -> Tensor:
        """Draw what the masks cover anew, to fit the rest and the prompts: (B, 3, S, S).

        What is covered is not looked at. Known pixels come back as they are. way: "trained", by a denoiser
        that is given what is known; "replace", by the usual one, whose prediction is replaced there in each
        step; "repaint", the same with each step repeated, so that both parts come to agree. settings: as for
        `vary`. Raises InputError for another way, or a style.
        """
        if way not in WAYS:
            raise InputError(f"way must be one of {', '.join(WAYS)}, not {way!r}")
        t2i, known = self.t2i, pictures * (1 - masks)
        z = t2i.encode_pictures(known)
        # Positions of latents in which something is covered, and their neighbours: (B, 1, H, H)
        touched = dilate(F.max_pool2d(masks, masks.shape[-1] // z.shape[-1]), 1)
        if "layout" not in settings:
            seed, wanted = settings.get("seed", 0), self._layouts(known, prompts, settings)
            little = masks.mean(dim=(2, 3)).cpu() > 0.9  # is known: then the layout is left to chance
            layout = torch.where(little, t2i.layouts(prompts, seed), wanted)
            settings["layout"] = self.refine(layout, z, 1 - touched, prompts, seed)
        if way == "trained":
            conditioning = {"inpaint_cond": inpaint_conditioning(t2i, pictures, masks)}
            drawn = self.inpainting.draw(prompts, conditioning=conditioning, **settings)
        else:
            drawn = t2i.draw(prompts, wrap_denoiser=keep_known(z, touched), resample=WAYS[way], **settings)
        return composite(pictures, match_colours(pictures, drawn, masks), masks)

    def _layouts(self, pictures: Tensor, prompts: list[str], settings: dict) -> Tensor:
        """The layouts that prompts ask for, from what is there; with no other style among the settings."""
        if settings.get("style") is not None:
            raise InputError('the style is the picture\'s; a prompt can name another: "in noto style"')
        return layout_vectors(self.read(pictures, prompts)[1])

    def refine(self, layout: Tensor, z: Tensor, known: Tensor, prompts: list[str], seed: int) -> Tensor:
        """Layouts (B, LAYOUT), with frames moved until the denoiser finds what is known where it looks.

        Where the head is was read off by a network, and is a pixel or two beside it: then what is drawn anew
        does not meet the rest. So the latents z (B, Z, H, H) are noised, the denoiser predicts what they
        were, and the frame follows the gradient of its error where `known` (B, 1, H, H) is 1.
        """
        schedule, text, rounds = self.t2i.schedule, self.t2i.encode(prompts), 16
        t = torch.full(z.shape[:1], round(0.6 * schedule.T), device=z.device)  # half hidden
        generator = torch.Generator().manual_seed(seed)
        eps = torch.randn(z.shape[1:], generator=generator, dtype=torch.float32, device="cpu").to(z)
        x_t = schedule.add_noise(z, eps.expand_as(z), t)
        style, frame = layout.to(z.device).split([len(STYLES), 3], dim=1)
        frame = frame.clone().requires_grad_()
        optimiser = torch.optim.Adam([frame], betas=(0.8, 0.95))
        for i in range(rounds):
            optimiser.param_groups[0]["lr"] = 0.02 * (1 - i / rounds)
            with torch.enable_grad():
                moved = torch.cat([style, frame], dim=1)
                denoise = denoiser_of(self.t2i.denoiser, schedule, text, clamp=False, layout=moved)
                error = ((denoise(x_t, t) - z).square() * known).mean(dim=(1, 2, 3)).sum()
            [frame.grad] = torch.autograd.grad(error, [frame])
            optimiser.step()
        return torch.cat([style, frame.detach()], dim=1)

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

        kept: for how much of the way, from pure noise, attention is the first picture's. threshold: how much
        a position that may change attends to the changed words, beside the one that does so most; of these,
        what comes out another shade is changed, with what is close to it. A prompt that asks for nothing new
        but a style gives the picture back. The noise is its own: no seed. Raises InputError without guidance.
        """
        if guidance_scale == 0:
            raise InputError("from words alone there has to be guidance: a scale above 0")
        t2i, B = self.t2i, len(pictures)
        t2i.with_denoiser(t2i.denoiser, words=EDIT_WORDS).warn_of_unknown_words(prompts)
        now, wanted = self.read(pictures, prompts)
        before, after = ([full_caption(scene) for scene in scenes] for scenes in (now, wanted))
        if before == after:
            nothing = torch.zeros_like(pictures[:, :1])
            return Edited(pictures, nothing, nothing[:, 0])
        z = t2i.encode_pictures(pictures)
        clamp, layout = t2i.autoencoder is None, layout_vectors([*now, *wanted]).to(z.device)
        # The noise from which the denoiser draws these latents, given what they show
        cond, _ = t2i.encode(before + [""] * B).chunk()
        denoise = denoiser_of(t2i.denoiser, t2i.schedule, cond, clamp, layout=layout[:B])
        noise = invert(denoise, z, t2i.schedule, steps)
        noise = noise / noise.std(dim=(1, 2, 3), keepdim=True)  # a strange picture's comes out too strong
        exchange = PromptToPrompt(t2i.tokenizer, before, after, until=round((1 - kept) * t2i.schedule.T))
        store = AttentionStore(2 * B)
        second = torch.arange(2 * B, device=z.device).view(-1, 1, 1, 1) >= B  # the first ones are known
        keep = keep_known(torch.cat([z, z]), second.float())
        settings = {"sampler": "ddim", "steps": steps, "guidance_scale": guidance_scale, "layout": layout}
        hooks = {
            "wrap_denoiser": lambda denoise: keep(exchange.wrap_denoiser(denoise)),
            "conditioning": {"attention_hook": lambda weights: store(exchange(weights))},
        }
        drawn = t2i.draw(before + after, noise=torch.cat([noise, noise]), **settings, **hooks)[B:]
        changes = map_of_changes(store.mean(), t2i.tokenizer, before, after)
        may = F.interpolate(changes[:, None], pictures.shape[-2:], mode="bilinear") > threshold
        does = (drawn - pictures).abs().amax(dim=1, keepdim=True) > 0.25
        closed = erode(dilate(does.to(drawn), 7), 4)  # small gaps are filled, and a rim is added
        masks = dilate(may.to(drawn), 3) * closed
        return Edited(composite(pictures, match_colours(pictures, drawn, masks), masks), masks, changes)


def layout_vectors(scenes: Iterable[Scene]) -> Tensor:
    """The layouts of scenes, (B, LAYOUT)."""
    return torch.tensor([scene.layout_vector() for scene in scenes], dtype=torch.float32, device="cpu")


def keep_known(known: Tensor, masks: Tensor) -> Callable[[Denoise], Denoise]:
    """Wraps a denoiser: where masks (B, 1, H, H) are 0, its prediction is what is known, (B, Z, H, H).
    With samplers that draw no new noise, x_t there is then the known part with the noise it had at first."""
    return lambda denoise: lambda x_t, t: torch.where(masks > 0, denoise(x_t, t), known)


@torch.no_grad()
def invert(denoise: Denoise, x_0: Tensor, schedule: Schedule, steps: int) -> Tensor:
    """The noise from which "ddim" with as many steps draws nearly this picture: its steps, backwards.

    x_0: (B, C, H, W). A step needs the prediction at the noisier x_t, not known yet: x_prev is taken for it.
    Returns x_T, shaped as x_0. Source: Song et al. 2021, section 4.3.
    """
    x, alpha_bar_prev = x_0, 1.0
    for t in reversed(timesteps(schedule.T, steps)):
        alpha_bar = schedule.alpha_bar[t].item()
        x_0_hat = denoise(x, torch.full(x_0.shape[:1], t, device=x_0.device))
        eps_hat = (x - math.sqrt(alpha_bar) * x_0_hat) / math.sqrt(1 - alpha_bar)
        # x_t = sqrt(a / a_prev) x_prev + (sqrt(1 - a) - sqrt(a (1 - a_prev) / a_prev)) eps, a = alpha_bar
        # (eq. 13, solved for the noisier of the two)
        ratio = alpha_bar / alpha_bar_prev
        kept = math.sqrt(1 - alpha_bar) - math.sqrt(ratio * (1 - alpha_bar_prev))
        x, alpha_bar_prev = math.sqrt(ratio) * x + kept * eps_hat, alpha_bar
    return x


def inpaint_conditioning(t2i: TextToImage, pictures: Tensor, masks: Tensor) -> Tensor:
    """What an inpainting denoiser is given: latents of the pictures, grey where covered, and how much of each
    position is known: (B, Z + 1, H, H)."""
    z = t2i.encode_pictures(pictures * (1 - masks))
    return torch.cat([z, F.avg_pool2d(1 - masks, masks.shape[-1] // z.shape[-1])], dim=1)
