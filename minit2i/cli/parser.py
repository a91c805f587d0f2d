"""The command `minit2i`: what may be typed.

main.py reads them; commands.py does the work.
"""

import argparse
import contextlib
import os
from importlib import metadata

from minit2i.utils import InputError
from minit2i.world.scenes import STYLES

DEVICES = ("cuda", "mps", "cpu")
NETWORKS = (
    "tokenizer", "clip", "autoencoder", "denoiser", "denoiser-pixels", "denoiser-fashion", "upscaler",
    "inpaint", "reader", "sketch", "planner", "video", "caption", "caption-blind", "judge", "judge-fashion",
)  # fmt: skip


class Parser(argparse.ArgumentParser):
    """argparse, with mistakes in one line."""

    def error(self, message: str):
        raise InputError(f"{message} (see {self.prog} --help)")


def between(low: float, high: float):
    """An argparse type: a number from low to high, a whole one if low is."""

    def number(text: str) -> float:
        with contextlib.suppress(ValueError):
            if low <= (value := type(low)(text)) <= high:
                return value
        kind = "whole number" if isinstance(low, int) else "number"
        raise argparse.ArgumentTypeError(f"must be a {kind} from {low} to {high}, not {text!r}")

    return number


def folder(path: str) -> str:
    """An argparse type: the path of a folder that is there."""
    if not os.path.isdir(path):
        raise argparse.ArgumentTypeError(f"there is no folder {path}")
    return path


def build_parser() -> Parser:
    version = "not installed"
    with contextlib.suppress(metadata.PackageNotFoundError):
        version = metadata.version("minit2i")
    parser = Parser(
        prog="minit2i", description="Text to image from scratch, on a laptop.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"minit2i {version}")
    parser.add_argument("--weights", type=folder, metavar="FOLDER", help="look here for weights first")
    parser.add_argument("--device", choices=DEVICES, help="where to compute (the fastest there is)")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)

    def command(name: str, what: str, example: str, *words: str, out: str = "", seed=False, as_json=False):
        """Add a command with its words and the options that many share; returns what adds further ones."""
        sub = commands.add_parser(
            name,
            help=what,
            description=f"{what[0].upper()}{what[1:]}.",
            epilog=f"example:\n  minit2i {name} {example}",
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        for word in words:
            sub.add_argument(word.lower(), metavar=word)
        if out:
            sub.add_argument(
                "-o", "--out", metavar="FILE", default=out, help="picture to write (%(default)s)"
            )
        if seed:
            sub.add_argument(
                "--seed", type=between(0, 2**32 - 1), default=0, help="what chance starts from (0)"
            )
        if as_json:
            sub.add_argument("--json", action="store_true", help="print JSON")
        # May stand on either side of the command's name; SUPPRESS, so that the first is not forgotten.
        sub.add_argument("--weights", type=folder, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        sub.add_argument("--device", choices=DEVICES, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        return sub.add_argument

    count, steps = between(1, 64), between(1, 1000)
    add = command(
        "generate",
        "draw a picture of what the prompt says",
        '"a cat wearing a blue baseball cap" -o cat.png --film making-of.gif',
        "PROMPT",
        out="picture.png",
        seed=True,
    )
    add("-n", type=count, default=1, help="how many pictures: picture-1.png, picture-2.png, ...")
    add("--steps", type=steps, default=20, help="how many times to denoise (%(default)s)")
    add("--guidance", type=between(0.0, 100.0), default=2.0, help="how much to heed the words (%(default)s)")
    add("--size", type=int, choices=(64, 256, 1024), default=256, help="pixels a side (%(default)s)")
    add("--sampler", choices=("ddpm", "ddim", "dpm_solver"), default="dpm_solver", help="(%(default)s)")
    add("--style", choices=STYLES, help="whose art (by chance)")
    add(
        "--film",
        metavar="FILE",
        help="also write noise becoming the picture: a .gif or .webp, and the same "
        "as a strip in a .png of that name",
    )
    add("--best-of", type=count, default=1, metavar="K", help="draw K, keep the one that CLIP likes best")

    add = command(
        "score",
        "say how well a picture fits each caption",
        'cat.png "a cat" "a dog" "a cat in a blue cap"',
        "IMAGE",
        as_json=True,
    )
    add("captions", metavar="CAPTION", nargs="+")

    add = command(
        "classify", "say which of the labels a picture shows", "cat.png cat dog mouse", "IMAGE", as_json=True
    )
    add("labels", metavar="LABEL", nargs="+")

    add = command(
        "search",
        "find the pictures that fit the query",
        '"something sad" -k 16 -o sad.png',
        "QUERY",
        out="search.png",
        as_json=True,
    )
    add("--dir", type=folder, metavar="FOLDER", help="search the pictures in a folder")
    add("--data", metavar="NAME", default="emoji", help="search a data set (%(default)s; see minit2i data)")
    add("-k", type=between(1, 1000), default=8, help="how many to find (%(default)s)")

    add = command(
        "denoise",
        "add noise to a picture, then remove it",
        "cat.png --noise 0.5 -o panels.png",
        "IMAGE",
        out="denoised.png",
        seed=True,
    )
    add(
        "--noise",
        type=between(0.0, 1.0),
        default=0.5,
        help="t / T: 0 is hardly any, 1 only noise (%(default)s)",
    )
    add("--prompt", default="", help="tell the denoiser what the picture shows")
    add("--steps", type=steps, default=20, help="how many times to denoise (%(default)s)")

    def changing(name: str, what: str, example: str, *words: str, out: str = ""):
        add = command(name, what, example, *words, out=out or f"{name}.png", seed=True)
        add("--steps", type=steps, default=20, help="how many times to denoise (%(default)s)")
        add("--guidance", type=between(0.0, 100.0), help="how much to heed the words")
        return add

    add = changing(
        "vary",
        "draw a variation of a picture",
        'cat.png "a dog wearing a blue baseball cap" --strength 0.7',
        "IMAGE",
        "PROMPT",
    )
    strength = "0 leaves it as it is, 1 ignores it (%(default)s)"
    add("--strength", type=between(0.0, 1.0), default=0.6, help=strength)
    add = changing(
        "edit",
        "change a picture to what the prompt says; the rest stays as it is",
        'cat.png "a cat wearing a red crown"',
        "IMAGE",
        "PROMPT",
    )
    add("--mask", metavar="FILE", help="draw anew what is white in this picture (else found from the words)")
    add = changing(
        "extend",
        "go on beyond the edge of a picture",
        'cat.png "a cat on a blue background" --right 64',
        "IMAGE",
    )
    add("prompts", metavar="PROMPT", nargs="+", help="what is to be seen there; one, or one a window")
    for side in ("left", "right", "up", "down"):
        add(f"--{side}", type=between(1, 4096), metavar="PIXELS", help=f"how far to go {side}")

    add = changing(
        "sketch",
        "draw a picture that follows a crude drawing",
        'drawing.png "a fox wearing a red top hat"',
        "DRAWING",
        "PROMPT",
    )
    add("--strength", type=between(0.0, 1.0), default=1.0, help="how much to heed the drawing (%(default)s)")

    add = changing(
        "video",
        "draw a clip of what the prompt says",
        '"a fox wearing a red top hat, sliding left" -o fox.webp',
        "PROMPT",
        out="video.gif",
    )
    add("--style", choices=STYLES, help="whose art (by chance)")
    add("--size", type=int, choices=(64, 256), default=256, help="pixels a side (%(default)s)")
    add("--from", dest="first", metavar="IMAGE", help="move this picture, as it is")

    add = command("describe", "say what a picture shows", "cat.png", as_json=True)
    add("images", metavar="IMAGE", nargs="*")
    add("--dir", type=folder, metavar="FOLDER", help="describe the pictures in a folder")
    command(
        "ask", "answer a question about a picture", 'cat.png "what colour is the hat?"', "IMAGE", "QUESTION"
    )
    command(
        "chat",
        "talk about a picture: questions are answered, wishes change it",
        "cat.png -o changed.png",
        "IMAGE",
        out="chat.png",
    )

    command(
        "upscale",
        "make a picture four times as wide and as high",
        "small.png -o large.png",
        "IMAGE",
        out="upscaled.png",
    )

    add = command(
        "evaluate",
        "measure how good the weights are",
        "--json > report.json",
        out="copy-check.png",
        seed=True,
        as_json=True,
    )
    add("-n", "--n", type=between(2, 10_000), default=2000, help="pictures for most figures (%(default)s)")

    add = command("train", "train one of the networks", "denoiser --minutes 30 --out runs/mine", seed=True)
    add("name", metavar="NAME", choices=NETWORKS, help=", ".join(NETWORKS))
    add("--minutes", type=between(0.01, 1e5), help="how long to train (else as long as its recipe says)")
    add("--steps", type=between(1, 10**9), help="how many steps to train")
    add("--resume", action="store_true", help="go on from where Ctrl-C or a power cut ended it")
    add("--out", metavar="FOLDER", help="where to write (runs/NAME)")

    command("data", "list the embedded data sets", "--json", as_json=True)
    return parser
