"""A chat about a picture: describe it, ask about it, and change it by words.

A question goes to the captioner; a request ("now make the hat red", "as a dog") changes the description that
we have of the picture, and a new picture is made from the old one by the editor. Which of the two a text is,
and what it asks for, is found by lists of words: they cost nothing, and where they fail, it is plain why.

Shapes: B pictures (B, 3, S, S) in [-1, 1], S = 64; P tokens of a picture and W their width.
"""

import re
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from minit2i.checkpoint import load_beside_denoiser
from minit2i.edit import any_size
from minit2i.edit.compositing import Letterbox
from minit2i.edit.editor import Editor
from minit2i.edit.scene_reader import read_scenes
from minit2i.images import as_rgb, to_tensor
from minit2i.text2image import TextToImage
from minit2i.tokenizer import words_of
from minit2i.utils import WEIGHTS, device_of
from minit2i.world.captions import full_caption, said_in_full
from minit2i.world.noise_words import wording
from minit2i.world.parse import apply_prompt, parse_prompt
from minit2i.world.scenes import ANIMALS, BACKGROUNDS, COLOURS, EYEWEAR, HEADWEAR

from .captioner import DESCRIBE, Captioner, write

# ---- What people type ----

ASIDE = "(?:(?:please|now|and|then|ok|okay|hey|hi|so|just|well|but) )*"
QUESTION = re.compile(
    f"{ASIDE}(?:describe|tell|say|(?:on |in )?(?:what|which)|who|whose|where|when|why|how|is|are|does|do|did|"
    r"has|have|can|could|will|would|was|were)\b"
)
REQUEST = re.compile(
    f"{ASIDE}(?:(?:can|could|will|would) (?:you|we|i) (?:please )?)?(?:make|put|give|add|remove|take|turn|"
    "change|replace|swap|switch|dress|let|paint|draw|drop|lose|delete|get rid|have it|do not|no|not|without|"
    r"as an?|i (?:do not )?(?:want|like|need)|i would like|how about|what about)\b"
)


def plainly(text: str) -> str:
    """In small letters, without signs, and short forms written out: "What's that?" -> "what is that"."""
    text = text.lower().replace("\u2019", "'")
    text = re.sub(r"\b(what|who|where|that|there|how)'?s\b", r"\1 is", text.replace("it's", "it is"))
    text = re.sub(r"\b(do|does|is)n'?t\b", r"\1 not", text.replace("can't", "can not"))
    return " ".join(word for word in words_of(text) if word.isalnum())


def as_question(text: str) -> str:
    """A question, said `plainly`, in words that the captioner learnt: "tell me about it" -> "describe it"."""
    text = re.sub(r"\b(does it wear|is it wearing) anything\b", r"what \1", text)
    about = re.search(r"\b(?:tell|say)\b.* about (?:it|this|(?:the|this) (?:picture|image|photo))$", text)
    return "describe it" if about else text


def as_prompt(request: str) -> str:
    """The prompt that a request, said `plainly`, amounts to: "turn the cat into a dog" -> "a dog"."""
    request = re.sub(r" instead of .*", "", request)
    verbs = "turn|change|replace|swap|switch|exchange"
    change = re.search(rf"\b(?:{verbs}) (.+?) (?:into|to|with|for|by) (.+)", request)
    if not change:
        return request
    old, new = change.groups()  # of what is to go, only that it was the background is of interest
    ground = any(word in wording()["background"] for word in old.split())
    return f"{new} background" if ground and "background" not in new else new


def is_goodbye(text: str) -> bool:
    """Whether a line ends the chat: "bye", "Thanks, goodbye!"."""
    words = plainly(text.replace("good bye", "goodbye")).split()
    return len(words) <= 4 and not {"quit", "exit", "bye", "goodbye"}.isdisjoint(words)


# ---- The chat ----

HELP = 'ask about the picture ("what is on its head?"), or say what to change ("make the hat red")'
KNOWN = (
    f"i know {', '.join(ANIMALS)}; {', '.join(HEADWEAR)}, in {', '.join(COLOURS)}; "
    f"{' and '.join(EYEWEAR[1:])}; backgrounds in {', '.join(BACKGROUNDS)}"
)


class Turn(NamedTuple):
    """The answer to a text, and the picture that the chat is about from now on."""

    answer: str
    picture: Image.Image


class Chat:
    """Describes pictures, answers questions about them, and changes them; keeps nothing of what is said."""

    def __init__(self, captioner: Captioner, t2i: TextToImage, editor: Editor | None = None):
        """editor: for requests; without one, it only describes and answers."""
        self.captioner, self.t2i, self.editor = captioner, t2i, editor

    @classmethod
    def load(cls, folder: str | Path = WEIGHTS, t2i: TextToImage | None = None, edits: bool = True) -> "Chat":
        """Load the weights from `folder`, and what is not there from the pretrained ones.

        t2i: what draws and holds CLIP, if it is loaded already; edits: whether to load an editor, too.
        Raises InputError if weights are missing, damaged, or do not belong together.
        """
        t2i = t2i or TextToImage.load(folder)
        return cls(*load_beside_denoiser(folder, "caption"), t2i, Editor.load(folder, t2i) if edits else None)

    @torch.no_grad()
    def look(self, pictures: Tensor) -> Tensor:
        """What CLIP sees in pictures (B, 3, S, S) in [-1, 1]: (B, P, W)."""
        return self.t2i.clip.image.tokens(pictures.to(device_of(self.t2i.clip)))

    def tensor(self, picture: Image.Image) -> Tensor:
        """A picture of any size as CLIP sees it, whole: (1, 3, S, S) in [-1, 1]."""
        return to_tensor(Letterbox(as_rgb(picture)).square, size=self.t2i.size)

    def answer(self, pictures: Tensor, question: str = DESCRIBE, **settings) -> list[str]:
        """An answer for each picture (B, 3, S, S) in [-1, 1]; settings: those of `captioner.write`."""
        question = as_question(plainly(question)) or DESCRIBE
        return write(self.captioner, self.t2i.tokenizer, self.look(pictures), question, **settings)

    def turn(self, picture: Image.Image, text: str) -> Turn:
        """Answer a question about a picture of any size, or change the picture as a request says."""
        x, heard = self.tensor(picture), plainly(text)
        request = REQUEST.match(heard)
        if not request and (QUESTION.match(heard) or text.strip().endswith("?")):
            return Turn(self.answer(x, heard)[0], picture)
        prompt = as_prompt(heard)
        if self.editor is None or not (parse_prompt(prompt) or request):
            return Turn(HELP, picture)
        [(now, head)] = read_scenes(self.t2i.clip, self.editor.reader, x)
        if now.headwear == "none" and "headwear" not in parse_prompt(prompt):  # any hat will do
            prompt = re.sub(r"\b((?:give|put|add|in|wearing|want)\b.*\b)hats?$", r"\1baseball cap", prompt)
        if not (asks := parse_prompt(prompt)):
            return Turn(KNOWN, picture)
        wanted = apply_prompt(now, head, prompt)
        if asks.get("colour", "none") != "none" and wanted.headwear == "none":
            return Turn("there is no hat", picture)
        if said_in_full(wanted) == said_in_full(now):
            return Turn(f"it is so already: {full_caption(wanted)}", picture)
        edited, mask = any_size.edit(self.editor, picture, said_in_full(wanted))
        if not mask.getbbox():
            return Turn("i found no place to change", picture)
        return Turn(full_caption(wanted), edited)
