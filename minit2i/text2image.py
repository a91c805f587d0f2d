"""The three put together: CLIP hears the words, the denoiser dreams at 64x64, the upscaler finishes at 256x256.

Shapes: P prompts, n pictures a prompt, B = P n pictures in all.
"""

import difflib
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from . import weights
from .clip import CLIP, CLIPConfig
from .data import InputError, to_pil
from .samplers import guided, trajectory
from .schedule import Schedule
from .tokenizer import Tokenizer, words_of
from .unet import UNet, UNetConfig
from .upscaler import Upscaler, UpscalerConfig, upscale

SIZES = (64, 256, 1024)


@dataclass
class Film:
    """What the denoiser saw and guessed on its way: one (B, C, H, W) tensor in [-1, 1] a step."""

    x_t: list[Tensor]
    x_0_hat: list[Tensor]


class TextToImage:
    """Prompts in, pictures out."""

    def __init__(
        self, clip: CLIP, tokenizer: Tokenizer, denoiser: UNet, upscaler: Upscaler | None, words: set[str]
    ):
        """words: those that the denoiser met in training; others are named in a warning."""
        self.clip, self.tokenizer, self.denoiser, self.upscaler = clip, tokenizer, denoiser, upscaler
        self.words = words
        self.schedule = Schedule.cosine().shifted(denoiser.config.log_snr_shift)

    @classmethod
    def load(cls, folder: str | Path = weights.WEIGHTS, denoiser: str = "denoiser") -> "TextToImage":
        """Load weights from `folder`; what is not there is taken from the shipped ones.

        denoiser: "denoiser" (scenes) or "denoiser-fashion" (28x28 clothes in a 32x32 picture, not enlarged).
        Raises InputError if weights are missing or damaged.
        """
        torch.set_flush_denormal(True)
        path = weights.find(f"{denoiser}.safetensors", folder)
        model = weights.load(path, UNet, UNetConfig)
        clip = weights.load(weights.find("clip.safetensors", folder), CLIP, CLIPConfig)
        tokenizer = Tokenizer.load(weights.find("tokenizer.json", folder))
        upscaler = None
        if model.config.channels == 3:
            upscaler = weights.load(weights.find("upscaler.safetensors", folder), Upscaler, UpscalerConfig)
        return cls(clip, tokenizer, model, upscaler, set(weights.read_card(path).get("words", [])))

    def unknown_words(self, prompt: str) -> dict[str, list[str]]:
        """The words of a prompt that training never saw, each with the nearest known ones (maybe none)."""
        return {
            word: difflib.get_close_matches(word, self.words, n=3)
            for word in dict.fromkeys(words_of(prompt))
            if word.isalnum() and word not in self.words
        }

    @torch.no_grad()
    def draw(
        self,
        prompts: list[str],
        seed: int = 0,
        steps: int = 20,
        guidance_scale: float = 3.0,
        sampler: str = "dpm_solver",
        film: Film | None = None,
    ) -> Tensor:
        """One small picture a prompt: (B, C, 64, 64) in [-1, 1]. A given `film` is filled with every step."""
        config = self.denoiser.config
        cond, uncond = self.clip.text(self.tokenizer(prompts + [""] * len(prompts))).halves()
        denoise = guided(self.denoiser, self.schedule, cond, uncond, guidance_scale)
        shape = (len(prompts), config.channels, config.picture_size, config.picture_size)
        for step in trajectory(denoise, shape, self.schedule, sampler=sampler, steps=steps, seed=seed):
            if film is not None:
                film.x_t.append(step.x_t)
                film.x_0_hat.append(step.x_0_hat)
        return step.x_prev

    @torch.no_grad()
    def __call__(
        self,
        prompts: str | list[str],
        n: int = 1,
        seed: int = 0,
        steps: int = 20,
        guidance_scale: float = 3.0,
        size: int = 256,
        sampler: str = "dpm_solver",
        best_of: int = 1,
        film: Film | None = None,
    ) -> list[Image.Image]:
        """Draw n pictures of each prompt, in one batch; returns them prompt by prompt.

        size: 64, 256 or 1024. best_of: draw that many for each picture and keep the one that CLIP scores highest.
        film: an empty `Film` to be filled. Same seed, same machine, same pictures.
        Raises InputError for an empty list, a bad size or count, and the sampler's ValueError for bad steps.
        """
        prompts = [prompts] if isinstance(prompts, str) else list(prompts)
        if not prompts or n < 1 or best_of < 1:
            raise InputError("give at least one prompt, and n and best_of of at least 1")
        if size not in SIZES:
            raise InputError(f"size must be one of {', '.join(map(str, SIZES))}, not {size}")
        for prompt in prompts:
            for word, near in self.unknown_words(prompt).items():
                hint = f"; the nearest known: {', '.join(near)}" if near else ""
                warnings.warn(f"the word {word!r} never occurred in training{hint}", stacklevel=2)
        wanted = [prompt for prompt in prompts for _ in range(n)]  # B prompts
        small = self.draw(
            [prompt for prompt in wanted for _ in range(best_of)], seed, steps, guidance_scale, sampler, film
        )
        if best_of > 1:
            small = self._best(small, wanted, best_of)
        return to_pil(self.enlarge(small, size))

    @torch.no_grad()
    def enlarge(self, small: Tensor, size: int) -> Tensor:
        """(B, C, 64, 64) -> (B, C, size, size): the upscaler multiplies by 4, once or twice."""
        while self.upscaler is not None and small.shape[-1] < size:
            small = torch.cat(
                [upscale(self.upscaler, one) for one in small.split(1)]
            )  # one at a time: less memory
        return small

    def _best(self, small: Tensor, wanted: list[str], best_of: int) -> Tensor:
        scores = (
            self.clip.embed_pictures(small).view(len(wanted), best_of, -1)
            * self.clip.embed_texts(self.tokenizer(wanted))[:, None]
        ).sum(-1)  # (B, best_of)
        best = scores.argmax(dim=1)  # (B,)
        return small.view(len(wanted), best_of, *small.shape[1:])[torch.arange(len(wanted)), best]
