"""The parts put together: CLIP reads the words, the denoiser dreams, the decoder makes a small picture of it,
the upscaler a large one.

All drawing goes through `TextToImage.steps`: one picture, a film of how it came about, an exam of thousands.

Shapes: P prompts, n pictures a prompt, B = P n pictures in all, C channels, S side of a small picture
(64, clothes 32), Z and H those of what the denoiser works on: latents (8, 16), or C and S.
"""

import difflib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from .autoencoder import Autoencoder
from .clip import CLIP, Text
from .device import device_of
from .errors import InputError
from .files import WEIGHTS
from .guidance import guided
from .layers import in_batches
from .pictures import to_pil
from .samplers import Denoise, Step, trajectory
from .scenes import STYLES, draw_scene
from .tokenizer import Tokenizer, words_of
from .unet import UNet
from .upscaler import Upscaler, upscale
from .weights import find, load_model, load_tokenizer, read_card

SIZES = (64, 256, 1024)


class TextToImage:
    """Prompts in, pictures out."""

    def __init__(
        self,
        clip: CLIP,
        tokenizer: Tokenizer,
        denoiser: UNet,
        upscaler: Upscaler | None = None,
        words: set[str] | None = None,
        autoencoder: Autoencoder | None = None,
    ):
        """words: those that the denoiser met in training, if known; others are named in a warning.
        autoencoder: that of the latents that the denoiser works on; None if it works on pixels."""
        self.clip, self.tokenizer, self.denoiser, self.upscaler = clip, tokenizer, denoiser, upscaler
        self.words, self.autoencoder = words, autoencoder
        self.schedule = denoiser.config.schedule
        self.size = denoiser.config.picture_size * (autoencoder.config.patch if autoencoder else 1)  # S

    @classmethod
    def load(cls, folder: str | Path = WEIGHTS, denoiser: str = "denoiser") -> "TextToImage":
        """Load weights from `folder`, and what is not there from the shipped ones. A denoiser goes with the
        CLIP and the autoencoder beside it, so a shipped one with the shipped ones.

        denoiser: "denoiser" (scenes) or "denoiser-fashion" (28x28 clothes in a 32x32 picture, not enlarged).
        Raises InputError if weights are missing, damaged, or do not belong together.
        """
        model = load_model(denoiser, folder)
        upscaler = load_model("upscaler", folder) if model.config.channels != 1 else None
        path = find(denoiser, folder)
        card, home = read_card(path), path.parent
        words, clip, tokenizer = card.get("words"), load_model("clip", home), load_tokenizer(home)
        autoencoder = load_model("autoencoder", home) if "autoencoder" in card.get("needs", {}) else None
        return cls(clip, tokenizer, model, upscaler, None if words is None else set(words), autoencoder)

    def unknown_words(self, prompt: str) -> dict[str, list[str]]:
        """The words of a prompt that training never saw, each with the nearest known ones (maybe none)."""
        words = [word for word in dict.fromkeys(words_of(prompt)) if word.isalnum()]
        if self.words is None:
            return {}
        return {w: difflib.get_close_matches(w, self.words, n=3) for w in words if w not in self.words}

    def warn_of_unknown_words(self, prompts: list[str]) -> None:
        """A warning for each word of the prompts that training never saw."""
        for prompt in dict.fromkeys(prompts):
            for word, near in self.unknown_words(prompt).items():
                hint = f"; the nearest known: {', '.join(near)}" if near else ""
                warnings.warn(f"the word {word!r} never occurred in training{hint}", stacklevel=3)

    @torch.no_grad()
    def encode(self, captions: list[str]) -> Text:
        """Captions as the denoiser is told them."""
        return self.clip.text(self.tokenizer(captions).to(device_of(self.clip)))

    @torch.no_grad()
    def steps(
        self,
        prompts: list[str],
        seed: int = 0,
        steps: int = 20,
        guidance_scale: float = 2.0,
        sampler: str = "dpm_solver",
        start: tuple[Tensor, int] | None = None,
        noise: Tensor | None = None,
        again: int = 0,
        style: str | None = None,
        layout: Tensor | None = None,
        around: Callable[[Denoise], Denoise] | None = None,
        told: dict[str, Tensor] | None = None,
    ) -> Iterator[Step]:
        """Dream one small picture a prompt and yield each step, (B, Z, H, H); see `trajectory`, and `decode`.

        start: (x_0, t), what to begin from instead of pure noise (see `encode_pictures`), and the time whose
        noise it gets. noise, again: see `trajectory`. style: one of STYLES; by chance if not given, as place
        and size are. layout: all three, (B, LAYOUT), see `Scene.layout`; for a denoiser that is told it.
        around: is given the denoiser, words and guidance included, and returns the one to sample with. told:
        what else the network is given, by name.
        Raises InputError for another style, and the sampler's ValueError for bad settings. Warns of words
        that training never saw.
        """
        if style not in (None, *STYLES):
            raise InputError(f"style must be one of {', '.join(STYLES)}, not {style!r}")
        self.warn_of_unknown_words(prompts)
        config = self.denoiser.config
        cond, uncond = self.encode(prompts + [""] * len(prompts)).halves()
        told = dict(told or {})
        if config.layout:
            told["layout"] = self.layouts(prompts, seed, style) if layout is None else layout
        told = {name: value.to(device_of(self.denoiser)) for name, value in told.items()}
        clamp = self.autoencoder is None  # pixels end at black and white, latents nowhere
        denoise = guided(self.denoiser, self.schedule, cond, uncond, guidance_scale, clamp, **told)
        shape = (len(prompts), config.channels, config.picture_size, config.picture_size)
        denoise = denoise if around is None else around(denoise)
        settings = {"sampler": sampler, "steps": steps, "seed": seed, "start": start}
        settings |= {"noise": noise, "again": again}
        yield from trajectory(denoise, shape, self.schedule, device=device_of(self.denoiser), **settings)

    def layouts(self, prompts: list[str], seed: int, style: str | None = None) -> Tensor:
        """Style, place and size for each prompt: as the caller or else the prompt says, or by chance."""
        layouts = []
        for i, prompt in enumerate(prompts):
            scene, named = draw_scene(seed, i), [name for name in STYLES if name in words_of(prompt)]
            layouts.append(replace(scene, style=style or (named or [scene.style])[0]).layout())
        return torch.tensor(layouts)

    def draw(self, prompts: list[str], **settings) -> Tensor:
        """Draw one small picture a prompt, with the settings of `steps`: (B, C, S, S) in [-1, 1]."""
        for step in self.steps(prompts, **settings):
            drawn = step.x_prev
        return self.decode(drawn)

    @torch.no_grad()
    def decode(self, x: Tensor) -> Tensor:
        """What the denoiser works on (B, Z, H, H) -> small pictures (B, C, S, S) in [-1, 1]."""
        return x if self.autoencoder is None else self.autoencoder.decode(x).clamp(-1, 1)

    @torch.no_grad()
    def encode_pictures(self, pictures: Tensor) -> Tensor:
        """Small pictures (B, C, S, S) in [-1, 1] -> what the denoiser works on (B, Z, H, H)."""
        return pictures if self.autoencoder is None else self.autoencoder.encode(pictures)

    def __call__(
        self, prompts: str | list[str], n: int = 1, size: int = 256, best_of: int = 1, **settings
    ) -> list[Image.Image]:
        """Draw n pictures of each prompt, in one batch; returns them prompt by prompt.

        size: 64, 256 or 1024; clothes have no upscaler and stay small. best_of: draw that many for each
        picture and keep the one that CLIP scores highest. settings: those of `steps`. Same seed, same
        machine, same pictures.
        Raises InputError for an empty list, a bad size or count, and the sampler's ValueError for bad steps.
        """
        prompts = [prompts] if isinstance(prompts, str) else list(prompts)
        if not prompts or n < 1 or best_of < 1:
            raise InputError("give at least one prompt, and n and best_of of at least 1")
        if size not in SIZES:
            raise InputError(f"size must be one of {', '.join(map(str, SIZES))}, not {size}")
        wanted = [prompt for prompt in prompts for _ in range(n)]  # B prompts
        small = self.draw([prompt for prompt in wanted for _ in range(best_of)], **settings)
        if best_of > 1:
            small = self._best(small, wanted, best_of)
        return to_pil(self.enlarge(small, size))

    @torch.no_grad()
    def enlarge(self, small: Tensor, size: int) -> Tensor:
        """(B, C, S, S) -> (B, C, size, size): the upscaler multiplies by 4, once or twice."""
        while self.upscaler is not None and small.shape[-1] < size:
            small = in_batches(lambda part: upscale(self.upscaler, part), small, 1)  # one by one: less memory
        return small

    @torch.no_grad()
    def _best(self, small: Tensor, wanted: list[str], best_of: int) -> Tensor:
        pictures = self.clip.embed_pictures(small.expand(-1, 3, -1, -1))
        pictures = pictures.view(len(wanted), best_of, -1)  # (B, best_of, E)
        texts = self.clip.embed_texts(self.tokenizer(wanted).to(device_of(self.clip)))  # (B, E)
        best = (pictures * texts[:, None]).sum(-1).argmax(dim=1)  # (B,)
        return small.view(len(wanted), best_of, *small.shape[1:])[torch.arange(len(wanted)), best]
