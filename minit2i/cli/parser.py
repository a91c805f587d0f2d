"""The command `minit2i`: what may be typed. Nothing here needs PyTorch, so that help comes at once."""

import argparse
import contextlib
import os
from importlib import metadata

from minit2i.checkpoint import NETWORKS
from minit2i.utils import DEVICES, WEIGHTS, InputError
from minit2i.world.scenes import STYLES

SAMPLERS = ("ddpm", "ddim", "dpm_solver")  # those of samplers.py, which needs PyTorch; a test compares them
SIZES = (64, 256, 1024)  # those of text2image.py, as well

FIRST = """From words to a picture. To begin with:

  minit2i generate "a cat wearing a blue baseball cap"
  minit2i edit picture.png "a cat wearing a red crown"
  minit2i extend picture.png "an owl in a yellow top hat" --right 256
  minit2i video "a fox wearing a red top hat, hopping"
  minit2i ask picture.png "what colour is the hat?"

Every command: minit2i --help"""


class Parser(argparse.ArgumentParser):
    """argparse, with mistakes in one line."""

    def error(self, message: str):
        raise InputError(f"{message} (see {self.prog} --help)")


def version() -> str:
    """The version of the installed package."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version("minit2i")
    return "not installed"


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


OPTIONS = {  # that several commands have
    "--seed": {"type": between(0, 2**32 - 1), "default": 0, "help": "random seed (%(default)s)"},
    "--steps": {"type": between(1, 1000), "default": 20, "help": "sampling steps (%(default)s)"},
    "--guidance": {"type": between(0.0, 100.0), "help": "guidance scale: how closely to follow the prompt"},
    "--style": {"choices": STYLES, "help": "style of art (random)"},
    "--size": {"type": int, "default": 256, "help": "pixels a side (%(default)s)"},
    "--dir": {"type": folder, "metavar": "FOLDER", "help": "the pictures in a folder, and in those within"},
    "--json": {"action": "store_true", "help": "print JSON"},
    "--weights": {"type": folder, "metavar": "FOLDER", "help": "look here for weights first"},
    "--device": {"choices": DEVICES, "help": "where to compute (the fastest there is)"},
}


def build_parser() -> Parser:
    """Everything that may be typed after `minit2i`."""
    style = {"allow_abbrev": False, "formatter_class": argparse.RawDescriptionHelpFormatter}
    usage = "minit2i [--weights FOLDER] [--device DEVICE] COMMAND ..."
    parser = Parser(prog="minit2i", usage=usage, description="From words to a picture, on a laptop.", **style)
    parser.add_argument("--version", action="version", version=f"minit2i {version()}")
    for option in ("--weights", "--device"):
        parser.add_argument(option, **OPTIONS[option])
    parser.set_defaults(weights=WEIGHTS)
    commands = parser.add_subparsers(prog="minit2i", dest="command", required=True, help=argparse.SUPPRESS)
    listing = ["draw:"]

    def command(name: str, words: str, what: str, example: str, out: str = ""):
        """Add a command with its words, some of OPTIONS and the file it writes; returns what adds others."""
        about, example = f"{what[0].upper()}{what[1:]}.", f"example:\n  minit2i {name} {example}"
        sub = commands.add_parser(name, description=about, epilog=example, **style)
        for word in words.split():
            sub.add_argument(word.lower(), **OPTIONS.get(word, {"metavar": word}))
        if out:
            sub.add_argument("-o", "--out", metavar="FILE", default=out, help="where to write (%(default)s)")
        for option in ("--weights", "--device"):  # may stand here, too; SUPPRESS keeps what was said before
            hidden = {"default": argparse.SUPPRESS, "help": argparse.SUPPRESS}
            sub.add_argument(option, **OPTIONS[option] | hidden)
        listing.append(f"  {name:<10}{what}")
        return sub.add_argument

    sampling, several = "--seed --steps --guidance", between(1, 64)
    add = command("generate", "PROMPT --seed --steps --style", "draw a picture of what the prompt says",
                  '"a cat wearing a blue baseball cap" -n 4 --seed 7', "picture.png")  # fmt: skip
    add("--guidance", **OPTIONS["--guidance"], default=2.0)
    add("--size", **OPTIONS["--size"], choices=SIZES)
    add("--sampler", choices=SAMPLERS, default="dpm_solver", help="(%(default)s)")
    add("-n", type=several, default=1, help="how many: picture-1.png, picture-2.png, ...")
    add("--index", type=between(1, 10**6), default=1, help="3 draws the third of -n 4 alone (%(default)s)")
    add("--best-of", type=several, default=1, metavar="K", help="draw K, keep the one that CLIP prefers")
    add("--film", metavar="FILE", help="also write how it comes about: a .gif or .webp, and a strip, .png")
    add = command("sketch", f"DRAWING PROMPT {sampling}", "draw a picture that follows a crude drawing",
                  'drawing.png "a fox wearing a red top hat"', "sketch.png")  # fmt: skip
    add("--strength", type=between(0.0, 1.0), default=1.0, help="0 ignores the drawing (%(default)s)")
    add = command("video", f"PROMPT {sampling} --style", "draw a video of what the prompt says",
                  '"a fox wearing a red top hat, sliding left"', "video.gif")  # fmt: skip
    add("--size", **OPTIONS["--size"], choices=SIZES[:2])
    add("--from", dest="first", metavar="IMAGE", help="move this picture, as it is")

    listing.append("\nchange a picture:")
    add = command("edit", f"IMAGE PROMPT {sampling}", "change a picture to what the prompt says",
                  'picture.png "a cat wearing a red crown"', "edit.png")  # fmt: skip
    add("--mask", metavar="FILE", help="redraw what is marked in this picture (else found from the words)")
    add = command("vary", f"IMAGE PROMPT {sampling}", "draw a variation of a picture",
                  'picture.png "a dog wearing a blue baseball cap" --strength 0.7', "vary.png")  # fmt: skip
    add("--strength", type=between(0.0, 1.0), default=0.6, help="1 ignores the picture (%(default)s)")
    add = command("extend", f"IMAGE {sampling}", "go on beyond the edge of a picture",
                  'picture.png "an owl" "a pig in a crown" --right 512', "extend.png")  # fmt: skip
    add("prompts", metavar="PROMPT", nargs="+", help="what is seen there: one, or one a window")
    for side in ("left", "right", "up", "down"):
        add(f"--{side}", type=between(1, 4096), metavar="PIXELS", help=f"how far to go {side}")
    command("upscale", "IMAGE", "make a picture four times as wide and high", "picture.png", "upscaled.png")
    add = command("denoise", "IMAGE --seed --steps", "add noise to a picture, then remove it",
                  "picture.png --noise 0.5", "denoised.png")  # fmt: skip
    add("--noise", type=between(0.0, 1.0), default=0.5, help="t / T: 1 is only noise (%(default)s)")
    add("--prompt", default="", help="what the picture shows")

    listing.append("\nwords and pictures:")
    add = command("describe", "--dir --json", "say what a picture shows", "picture.png")
    add("images", metavar="IMAGE", nargs="*")
    command("ask", "IMAGE QUESTION", "answer a question about a picture", 'picture.png "has it a hat?"')
    command("chat", "IMAGE", "talk about a picture: ask, or say what to change", "picture.png", "chat.png")
    add = command("score", "IMAGE --json", "say how well captions fit a picture", 'cat.png "a cat" "a dog"')
    add("captions", metavar="CAPTION", nargs="+")
    add = command("classify", "IMAGE --json", "say which label fits a picture", "picture.png cat dog fox")
    add("labels", metavar="LABEL", nargs="+")
    add = command("search", "QUERY --dir --json", "find the pictures that fit the query",
                  '"something sad" -k 16', "search.png")  # fmt: skip
    add("-k", type=between(1, 1000), default=8, help="how many to find (%(default)s)")
    add("--data", metavar="NAME", default="emoji", help="search a set (%(default)s), see minit2i data")
    for column in ("image", "caption"):
        add(f"--{column}", metavar="COLUMN", help=f"where a set of the hub has the {column}")

    listing.append("\nlearn and measure:")
    add = command("train", "--seed", "train one of the networks", "denoiser --minutes 30 --out runs/mine")
    add("name", metavar="NAME", choices=list(NETWORKS), help="one of the networks below")
    add("--minutes", type=between(0.01, 1e5), help="how long (else as long as its recipe says)")
    add("--steps", type=between(1, 10**9), help="how many training steps")
    add("--resume", action="store_true", help="go on from where it was stopped")
    add("--out", metavar="FOLDER", help="where to write (runs/NAME)")
    networks = "".join(f"\n  {name:<18}{NETWORKS[name].about}" for name in NETWORKS)
    commands.choices["train"].epilog += f"\n\nnetworks:{networks}"
    add = command("evaluate", "--seed", "measure how good the weights are", "-n 200", "copy-check.png")
    kinds = commands.choices["evaluate"].add_mutually_exclusive_group()
    kinds.add_argument("--json", **OPTIONS["--json"])
    kinds.add_argument("--markdown", action="store_true", help="print tables in Markdown")
    add("-n", "--n", type=between(2, 10_000), default=2000, help="pictures for most figures (%(default)s)")
    command("data", "--json", "list the data sets that come with minit2i", "--json")
    parser.epilog = "\n".join([*listing, "", "Each: minit2i COMMAND --help. To begin with: minit2i"])
    return parser
