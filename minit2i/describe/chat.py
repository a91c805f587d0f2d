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

from minit2i.checkpoint import load_beside_denoiser
from minit2i.edit import any_size
from minit2i.edit.compositing import Letterbox
from minit2i.edit.editor import Editor
from minit2i.edit.scene_reader import read_scenes
from minit2i.images import as_rgb, to_tensor
from minit2i.text2image import TextToImage
from minit2i.utils import WEIGHTS, device_of
from minit2i.world.captions import full_caption, said_in_full
from minit2i.world.parse import apply_prompt, parse_prompt
from minit2i.world.scenes import ANIMALS, BACKGROUNDS, COLOURS, EYEWEAR, HEADWEAR

from .captioner import DESCRIBE, Captioner, write
from .wishes import QUESTION, WISH, as_prompt, as_question, plainly

HELP = 'ask about the picture ("what is on its head?"), or say what to change ("make the hat red")'
KNOWN = (
    f"i know {', '.join(ANIMALS)}; {', '.join(HEADWEAR)}, in {', '.join(COLOURS)}; "
    f"{' and '.join(EYEWEAR[1:])}; backgrounds in {', '.join(BACKGROUNDS)}"
)


class Turn(NamedTuple):
    """What is answered, and the picture that we speak of from now on."""

    answer: str
    picture: Image.Image


class Chat:
    """Looks at pictures, tells what they show, answers, and changes them."""

    def __init__(self, captioner: Captioner, t2i: TextToImage, editor: Editor | None = None):
        """editor: for wishes; None for one who only tells and answers."""
        self.captioner, self.t2i, self.editor = captioner, t2i, editor

    @classmethod
    def load(cls, folder: str | Path = WEIGHTS, edits: bool = True) -> "Chat":
        """Load the weights from `folder`, and what is not there from the shipped ones; edits: whether to
        bring an editor, too. Raises InputError if some are missing, damaged, or do not belong together."""
        [captioner] = load_beside_denoiser(folder, "caption")
        editor = Editor.load(folder) if edits else None
        return cls(captioner, editor.t2i if editor else TextToImage.load(folder), editor)

    @torch.no_grad()
    def look(self, pictures: Tensor) -> Tensor:
        """What CLIP sees in pictures: (B, P, W)."""
        return self.t2i.clip.image.tokens(pictures.to(device_of(self.t2i.clip)))

    def tensor(self, picture: Image.Image) -> Tensor:
        """A picture of any size as it is looked at: (1, 3, 64, 64)."""
        return to_tensor(Letterbox(as_rgb(picture)).square, size=self.t2i.size)

    def answer(self, pictures: Tensor, question: str = DESCRIBE, **settings) -> list[str]:
        """An answer for each picture; settings: those of `caption.write`."""
        asked_for = as_question(plainly(question)) or DESCRIBE
        return write(self.captioner, self.t2i.tokenizer, self.look(pictures), asked_for, **settings)

    def turn(self, picture: Image.Image, text: str) -> Turn:
        """Answer a question about a picture of any size, or grant a wish."""
        x, heard = self.tensor(picture), plainly(text)
        wishes = WISH.match(heard)
        if not wishes and (QUESTION.match(heard) or text.strip().endswith("?")):
            return Turn(self.answer(x, heard)[0], picture)
        wish = as_prompt(heard)
        if self.editor is None or not (parse_prompt(wish) or wishes):
            return Turn(HELP, picture)
        [(now, head)] = read_scenes(self.t2i.clip, self.editor.reader, x)
        hat = re.search(r"\b(give|put|add|in|wearing|want)\b.*\bhats?$", wish)
        if now.headwear == "none" and hat and "headwear" not in parse_prompt(wish):
            wish = re.sub(r"\bhats?$", "baseball cap", wish)  # any will do
        asks = parse_prompt(wish)
        if not asks:
            return Turn(KNOWN, picture)
        wanted = apply_prompt(now, head, wish)
        if asks.get("colour", "none") != "none" and wanted.headwear == "none":
            return Turn("there is no hat", picture)
        if said_in_full(wanted) == said_in_full(now):
            return Turn(f"it is so already: {full_caption(wanted)}", picture)
        edited, mask = any_size.edit(self.editor, picture, said_in_full(wanted))
        if not mask.getbbox():
            return Turn("i found no place to change", picture)
        return Turn(full_caption(wanted), edited)
