"""A conversation about a picture: describe it, ask about it, and change it by words.

A question goes to the captioner; a wish ("now make the hat red", "as a dog") changes the description that we
have of the picture, and a new picture is made from the old one (edit.py).

Shapes: pictures (B, 3, 64, 64) in [-1, 1].
"""

import re
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from . import retouch
from .caption import DESCRIBE, Captioner, write
from .captions import full_caption, said_in_full
from .device import device_of
from .edit import Editor
from .files import WEIGHTS
from .fitted import Fitted
from .pictures import as_rgb, to_tensor
from .reading import asked, read, said
from .text2image import TextToImage
from .tokenizer import words_of
from .weights import find, load_model

QUESTION = re.compile(
    r"^(describe|tell|say|whats|whos|(on|in) (which|what)|what|which|who|whose|where|when|why|how|is|are|"
    r"does|do|did|has|have|can|could|will|would|was|were)\b"
)
WISH = re.compile(
    r"^(please |now |and |then )*((can|could|will|would) (you|we|i)|make|put|give|add|remove|take|turn|"
    r"change|dress|let|how about|what about)\b"
)
GOING = ("quit", "exit", "bye", "goodbye")


class Turn(NamedTuple):
    """What is answered, and the picture that we speak of from now on."""

    answer: str
    picture: Image.Image


class Talker:
    """Looks at pictures, tells what they show, answers, and changes them."""

    def __init__(self, captioner: Captioner, t2i: TextToImage, editor: Editor | None = None):
        """editor: for wishes; None for one who only tells and answers."""
        self.captioner, self.t2i, self.editor = captioner, t2i, editor

    @classmethod
    def load(cls, folder: str | Path = WEIGHTS, edits: bool = True) -> "Talker":
        """Load the weights from `folder`, and what is not there from the shipped ones; edits: whether to
        bring an editor, too. Raises InputError if some are missing, damaged, or do not belong together."""
        home = find("denoiser", folder).parent  # with the denoiser comes CLIP
        captioner = load_model("caption", folder, beside=home)
        editor = Editor.load(folder) if edits else None
        return cls(captioner, editor.t2i if editor else TextToImage.load(folder), editor)

    @torch.no_grad()
    def look(self, pictures: Tensor) -> Tensor:
        """What CLIP sees in pictures: (B, P, W)."""
        return self.t2i.clip.image.tokens(pictures.to(device_of(self.t2i.clip)))

    def answer(self, pictures: Tensor, question: str = DESCRIBE, **settings) -> list[str]:
        """An answer for each picture; settings: those of `caption.write`."""
        plain = " ".join(word for word in words_of(question) if word.isalnum()) or DESCRIBE
        return write(self.captioner, self.t2i.tokenizer, self.look(pictures), plain, **settings)

    def turn(self, picture: Image.Image, text: str) -> Turn:
        """Answer a question about a picture of any size, or grant a wish."""
        x = to_tensor(Fitted(as_rgb(picture)).square, size=self.t2i.size)
        plain = text.lower().strip()
        wish = WISH.match(plain) and said(plain)
        if not wish and (QUESTION.match(plain) or plain.endswith("?")):
            return Turn(self.answer(x, text)[0], picture)
        if self.editor is None or not said(plain):
            return Turn('ask about the picture ("what is on its head?"), or say what to change', picture)
        [(now, head)] = read(self.t2i.clip, self.editor.reader, x)
        wanted = asked(now, head, plain)
        if "colour" in said(plain) and wanted.headwear == "none":
            return Turn("there is no hat", picture)
        if said_in_full(wanted) == said_in_full(now):
            return Turn(f"it is so already: {full_caption(wanted)}", picture)
        edited, mask = retouch.edit(self.editor, picture, said_in_full(wanted))
        if not mask.getbbox():
            return Turn("i found no place to change", picture)
        return Turn(full_caption(wanted), edited)
