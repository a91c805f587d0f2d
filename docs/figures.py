"""README's strips of pictures: python docs/figures.py writes them beside this file.

Each begins with a picture that `minit2i generate` drew, so nothing in them is taken from the data.
"""

from pathlib import Path

from PIL import Image

from minit2i import retouch
from minit2i.edit import Editor
from minit2i.pictures import save_image
from minit2i.viz import grid

HERE = Path(__file__).parent
CAT = "a cat wearing a blue baseball cap on a green background"


def edit_strip(editor: Editor, cat: Image.Image) -> Image.Image:
    """A part covered and drawn anew, and changes from words alone."""
    mask = Image.new("L", cat.size)
    mask.paste(255, (10, 0, 246, 120))
    covered = Image.composite(Image.new("RGB", cat.size, "grey"), cat, mask)
    crown, _ = retouch.inpaint(editor, cat, mask, "a cat wearing a red crown", seed=1)
    wishes = ["a cat wearing a yellow baseball cap", "a cat wearing a blue baseball cap and sunglasses"]
    words = [retouch.edit(editor, cat, wish)[0] for wish in wishes]
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
    varied = [retouch.vary(editor, cat, dog, strength, seed=2) for strength in strengths]
    return grid(varied, columns=5, captions=[f"strength {strength}" for strength in strengths], side=192)


def extend_strip(editor: Editor, cat: Image.Image) -> Image.Image:
    """Two more animals to the right."""
    wishes = [
        "an owl wearing a yellow top hat on a green background",
        "a pig in a pink sun hat on a green background",
    ]
    return retouch.extend(editor, cat, wishes, "right", 384, seed=2)


def main() -> None:
    editor = Editor.load()
    [cat] = editor.t2i(CAT, seed=8, style="noto")
    for name, strip in {"edit": edit_strip, "vary": vary_strip, "extend": extend_strip}.items():
        save_image(strip(editor, cat), HERE / f"{name}.png", optimize=True)
        print(HERE / f"{name}.png")


if __name__ == "__main__":
    main()
