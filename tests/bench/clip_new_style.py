"""Can CLIP name things in a style of art that it never saw? python tests/bench/clip_new_style.py [--minutes
12]

Trains a CLIP of its own with one style left out, of the emoji as well as of the scenes; the shipped one knows
all three. Interrupt it with Ctrl-C when you like: the same command goes on where it stopped.
"""

import argparse
from pathlib import Path

from common import RUNS, machine, print_table

from minit2i import scenes
from minit2i.files import WEIGHTS
from minit2i.measure.clip import retrieval
from minit2i.search import Matcher
from minit2i.training.clip import ClipRecipe
from minit2i.training.run import run
from minit2i.weights import load_model, load_tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=12, help="of training (%(default)s)")
    parser.add_argument(
        "--style", choices=scenes.STYLES, default="twemoji", help="to leave out (%(default)s)"
    )
    parser.add_argument("--weights", type=Path, default=WEIGHTS, metavar="FOLDER", help="of the tokenizer")
    parser.add_argument("--out", type=Path, metavar="FOLDER")
    args = parser.parse_args()
    out = args.out or RUNS / f"clip-without-{args.style}-{args.minutes:g}-minutes"
    styles = tuple(style for style in scenes.STYLES if style != args.style)

    resume = (out / "checkpoint.pt").is_file()
    try:
        run("clip", ClipRecipe(styles=styles), args.weights, out, minutes=args.minutes, resume=resume)
    except KeyboardInterrupt:
        raise SystemExit("stopped; the same command goes on") from None

    matcher = Matcher(load_model("clip", out), load_tokenizer(args.weights))
    rows = []
    for style in scenes.STYLES:
        found = retrieval(matcher, style)
        rows.append(
            {
                "style": style,
                "in training": "yes" if style in styles else "no",
                "R@1": f"{100 * found['r_at_1']:.1f} %",
                "R@10": f"{100 * found['r_at_10']:.1f} %",
                "emoji to choose from": found["n"],
                "goal": "" if style in styles else "R@1 >= 40 %",
            }
        )
    print(f"\n{machine()}. Trained for {args.minutes:g} minutes.\n")
    print_table(rows)


if __name__ == "__main__":
    main()
