"""The parts put together: CLIP reads the words, the denoiser samples latents, the decoder turns them into a
small picture, the upscaler makes that large.

All drawing goes through `TextToImage.steps`: one picture, a film of how it came about, an exam of thousands.

Shapes: P prompts, n pictures a prompt, B = P n pictures in all, C channels, S side of a small picture
(64, clothes 32), Z and H those of what the denoiser works on: latents (8, 16), or C and S.
"""

import copy
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from .checkpoint import find, load_model, load_tokenizer, read_card
from .clip import CLIP, Text
from .guidance import guided
from .images import to_pil
from .samplers import Denoise, Step, trajectory
from .tokenizer import Tokenizer, words_of
from .unet import UNet
from .upscaler import Upscaler, upscale
from .utils import WEIGHTS, InputError, device_of, in_batches, resolve, warn

SIZES = (64, 256, 1024)


class TextToImage:
    """Prompts in, pictures out."""

    def __init__(
        self,
        clip: CLIP,
        tokenizer: Tokenizer,
        denoiser: UNet,
        autoencoder: nn.Module | None = None,
        upscaler: Upscaler | None = None,
        card: dict | None = None,
    ):
        """autoencoder: that of the latents that the denoiser works on; None if it works on pixels. card: the
        denoiser's, which holds the `words` of its training and names two functions of the world that it
        draws: `random_layouts`, for who gives none, and `suggest_words`, instead of an unknown one."""
        self.clip, self.tokenizer, self.denoiser = clip, tokenizer, denoiser
        self.autoencoder, self.upscaler, self.card = autoencoder, upscaler, card or {}
        self.schedule = denoiser.config.schedule
        self.size = denoiser.config.picture_size * (autoencoder.config.patch if autoencoder else 1)  # S

    @classmethod
    def load(cls, folder: str | Path = WEIGHTS, denoiser: str = "denoiser") -> "TextToImage":
        """Load weights from `folder`, and what is not there from the pretrained ones. A denoiser goes with
        the CLIP and the autoencoder beside it, so a pretrained one with the pretrained ones.

        denoiser: "denoiser" (scenes) or "denoiser-fashion" (28x28 clothes in a 32x32 picture, not enlarged).
        Raises InputError if weights are missing, damaged, or do not belong together.
        """
        path = find(denoiser, folder)
        model, card, home = load_model(denoiser, folder), read_card(path), path.parent
        autoencoder = load_model("autoencoder", home) if "autoencoder" in card.get("needs", {}) else None
        upscaler = load_model("upscaler", folder) if card.get("upscaler") else None
        return cls(load_model("clip", home), load_tokenizer(home), model, autoencoder, upscaler, card)

    def with_denoiser(self, denoiser: nn.Module, words: set[str] | None = None) -> "TextToImage":
        """The same with another denoiser of the same latents, which may know more words."""
        other = copy.copy(self)
        other.denoiser = denoiser
        if words and "words" in self.card:
            other.card = {**self.card, "words": [*self.card["words"], *words]}
        return other

    def _from_world(self, name: str) -> Callable | None:
        """The function of this name in the module that the card says: a card can have no other called."""
        named = self.card.get(name)
        if named is not None and not re.fullmatch(rf"[a-z_.]+:{name}", str(named)):
            raise InputError(f"the denoiser's card names no {name}, but {named!r}")
        return named and resolve(named)

    # ---- Words ----

    def warn_of_unknown_words(self, prompts: list[str]) -> None:
        """A warning for each word of the prompts that training never saw, with known ones to say instead."""
        suggest = self._from_world("suggest_words")
        for prompt in dict.fromkeys(prompts):
            words = [word for word in dict.fromkeys(words_of(prompt)) if word.isalnum()]
            for word in sorted(set(words) - set(self.card.get("words", words))):
                hint = f"; known are: {', '.join(suggest(prompt, word))}" if suggest else ""
                warn(f"the word {word!r} never occurred in training{hint}")

    @torch.no_grad()
    def encode(self, captions: list[str]) -> Text:
        """Captions as the denoiser is conditioned on them."""
        return self.clip.text(self.tokenizer(captions).to(device_of(self.clip)))

    def layouts(self, prompts: list[str], seed: int, style: str | None = None, first: int = 0) -> Tensor:
        """Style, place and size, (B, layout), as caller or prompt say, else by chance. Raises InputError for
        another style, or a denoiser without layouts."""
        random_layouts = self._from_world("random_layouts")
        if random_layouts is None:
            raise InputError("this denoiser knows no layouts and no styles")
        layouts = random_layouts(prompts, seed, style, first)
        return torch.tensor(layouts, dtype=torch.float32, device="cpu")

    # ---- Drawing ----

    def steps(
        self,
        prompts: list[str],
        guidance_scale: float = 2.0,
        style: str | None = None,
        layout: Tensor | None = None,
        wrap_denoiser: Callable[[Denoise], Denoise] | None = None,
        conditioning: dict[str, Tensor | Callable] | None = None,
        **settings,
    ) -> Iterator[Step]:
        """Sample one small picture a prompt and yield each step, (B, Z, H, H); `decode` makes it visible.

        style: of art, by chance if not given, as place and size are. layout: all three, (B, layout), for a
        denoiser that has one. wrap_denoiser: is given the denoiser, words and guidance included, and returns
        the one to sample with. conditioning: what else the network is given, by name. settings: those of
        `SamplerSettings`, but "dpm_solver" and 20 steps if not given.
        Raises, at once, InputError for another style, or one beside a layout, ValueError for bad settings.
        Warns of words that training never saw.
        """
        self.warn_of_unknown_words(prompts)
        settings = {"sampler": "dpm_solver", "steps": 20, **settings}
        config, on = self.denoiser.config, device_of(self.denoiser)
        conditioning = dict(conditioning or {})
        if style is not None and layout is not None:
            raise InputError("a layout says the style: give one of the two")
        if layout is None and (config.layout or style is not None):
            layout = self.layouts(prompts, settings.get("seed", 0), style, settings.get("first", 0))
        if layout is not None:
            conditioning["layout"] = layout
        conditioning = {k: v.to(on) if isinstance(v, Tensor) else v for k, v in conditioning.items()}
        cond, uncond = self.encode(prompts + [""] * len(prompts)).chunk()
        clamp = self.autoencoder is None  # pixels end at black and white, latents nowhere
        denoise = guided(self.denoiser, self.schedule, cond, uncond, guidance_scale, clamp, **conditioning)
        denoise = denoise if wrap_denoiser is None else wrap_denoiser(denoise)
        shape = (len(prompts), config.channels, config.picture_size, config.picture_size)
        return trajectory(denoise, shape, self.schedule, on, **settings)

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
        Raises InputError for an empty list, a bad size or count, and ValueError for bad settings.
        """
        prompts = [prompts] if isinstance(prompts, str) else list(prompts)
        if not prompts or n < 1 or best_of < 1:
            raise InputError("give at least one prompt, and n and best_of of at least 1")
        if size not in SIZES:
            raise InputError(f"size must be one of {', '.join(map(str, SIZES))}, not {size}")
        wanted = [prompt for prompt in prompts for _ in range(n)]  # B prompts
        small = self.draw([prompt for prompt in wanted for _ in range(best_of)], **settings)
        return to_pil(self.enlarge(self._best(small, wanted, best_of) if best_of > 1 else small, size))

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
        return small.view(len(wanted), best_of, *small.shape[1:])[
            torch.arange(len(wanted), device=small.device), best
        ]
