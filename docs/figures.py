"""README's strips of pictures and its film: python docs/figures.py writes them beside this file.

Each begins with a picture that `minit2i generate` drew, or with a crude drawing: nothing in them is taken
from the data.
"""

from pathlib import Path

import torch
from PIL import Image

from minit2i.describe.chat import Chat
from minit2i.edit import any_size
from minit2i.edit.editor import Editor
from minit2i.images import open_image, save_image, to_pil, to_tensor
from minit2i.sketch.sketcher import Sketcher
from minit2i.video.animator import Animator
from minit2i.viz import grid, save_film

HERE = Path(__file__).parent
DRAWINGS = HERE / "drawings"  # drawn on the pad of lesson 09
CAT = "a cat wearing a blue baseball cap on a green background"


def edit_strip(editor: Editor, cat: Image.Image) -> Image.Image:
    """A part covered and drawn anew, and changes from words alone."""
    mask = Image.new("L", cat.size)
    mask.paste(255, (10, 0, 246, 120))
    covered = Image.composite(Image.new("RGB", cat.size, "grey"), cat, mask)
    crown, _ = any_size.inpaint(editor, cat, mask, "a cat wearing a red crown", seed=1)
    wishes = ["a cat wearing a yellow baseball cap", "a cat wearing a blue baseball cap and sunglasses"]
    words = [any_size.edit(editor, cat, wish)[0] for wish in wishes]
    captions = [
        "drawn",
        "a part covered",
        "a cat wearing a red crown",
        *(f"words alone: {wish}" for wish in wishes),
    ]
    return grid([cat, covered, crown, *words], columns=5, captions=captions, side=192)


def vary_strip(editor: Editor, cat: Image.Image) -> Image.Image:
    """From a cat to a dog."""
    strengths = (0, 0.4, 0.6, 0.8, 0.9)
    dog = CAT.replace("cat", "dog")
    varied = [any_size.vary(editor, cat, dog, strength, seed=2) for strength in strengths]
    return grid(varied, columns=5, captions=[f"strength {strength}" for strength in strengths], side=192)


def extend_strip(editor: Editor, cat: Image.Image) -> Image.Image:
    """Two more animals to the right."""
    wishes = [
        "an owl wearing a yellow top hat on a green background",
        "a pig in a pink sun hat on a green background",
    ]
    return any_size.extend(editor, cat, wishes, "right", 384, seed=2)


def sketch_strip(sketcher: Sketcher) -> Image.Image:
    """Crude drawings, and what becomes of them; the last drawing with two sentences."""
    wishes = {
        "fox": ["a fox wearing a red top hat on a grey background"],
        "frog": ["a frog wearing a yellow crown on a white background"],
        "pig": ["a pig wearing a blue helmet and sunglasses on a green background"],
        "lines": [
            "a mouse wearing a green baseball cap on a beige background",
            "a panda wearing a pink sun hat on a blue background",
        ],
    }
    pairs = [(DRAWINGS / f"{name}.png", wish) for name, some in wishes.items() for wish in some]
    drawings = [open_image(path) for path, _ in pairs]
    x = torch.cat([to_tensor(drawing, size=sketcher.t2i.size) for drawing in drawings])
    drawn = sketcher.draw(x, [wish for _, wish in pairs], seed=2)  # the best of eight seeds
    captions = [""] * len(pairs) + [wish for _, wish in pairs]
    large = to_pil(sketcher.t2i.enlarge(drawn, 256))
    return grid([*drawings, *large], columns=len(pairs), captions=captions, side=192)


def moving_strip(animator: Animator) -> list[Image.Image]:
    """Four videos side by side, frame by frame."""
    wishes = [
        "a fox wearing a red top hat on a blue background, hopping",
        "a panda wearing a green crown on a beige background, spinning",
        "a penguin wearing a purple baseball cap on a grey background, sliding left",
        "a lion wearing a blue helmet on a green background, nodding",
    ]
    videos = [to_pil(animator.t2i.enlarge(video, 256)) for video in animator.draw(wishes, seed=3)]
    return [
        grid(frames, columns=len(wishes), captions=wishes, side=192) for frames in zip(*videos, strict=True)
    ]


def chat_strip(chat: Chat, cat: Image.Image) -> Image.Image:
    """A conversation: what was said below the picture that it led to."""
    pictures, said = [cat], [""]
    for text in (
        "what is in the picture?",
        "what colour is its hat?",
        "is it wearing glasses?",
        "what is its name?",
        "now make the hat red",
        "add sunglasses",
        "as a panda",
    ):
        turn = chat.turn(pictures[-1], text)
        if turn.picture is not pictures[-1]:
            pictures.append(turn.picture)
            said.append("")
        said[-1] += f"{text} - {turn.answer}. "
    return grid(pictures, columns=len(pictures), captions=said, side=240)


def main() -> None:
    editor = Editor.load()
    [cat] = editor.t2i(CAT, seed=8, style="noto")
    for name, strip in {"edit": edit_strip, "vary": vary_strip, "extend": extend_strip}.items():
        save_image(strip(editor, cat), HERE / f"{name}.png", optimize=True)
        print(HERE / f"{name}.png")
    save_image(sketch_strip(Sketcher.load(t2i=editor.t2i)), HERE / "sketch.png", optimize=True)
    print(HERE / "sketch.png")
    save_image(chat_strip(Chat.load(t2i=editor.t2i), cat), HERE / "talk.png", optimize=True)
    print(HERE / "talk.png")
    save_film(moving_strip(Animator.load(t2i=editor.t2i)), HERE / "video.gif", seconds=1.6, rest=0)
    print(HERE / "video.gif")


if __name__ == "__main__":
    main()
