"""Can CLIP name things in a style of art that it never saw? python tests/bench/clip_new_style.py [--minutes 12]

Trains a CLIP of its own with one style left out, of the emoji as well as of the scenes; the shipped one knows all
three. Interrupt it with Ctrl-C when you like: the same command goes on where it stopped.
"""

import argparse
from pathlib import Path

from common import RUNS, machine, print_table

from minit2i import recipes, scenes, train, weights
from minit2i.clip import CLIP, CLIPConfig
from minit2i.evaluate import retrieval
from minit2i.tokenizer import Tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=12, help="of training (%(default)s)")
    parser.add_argument(
        "--style", choices=scenes.STYLES, default="twemoji", help="to leave out (%(default)s)"
    )
    parser.add_argument(
        "--weights", type=Path, default=weights.WEIGHTS, metavar="FOLDER", help="of the tokenizer"
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER")
    args = parser.parse_args()
    out = args.out or RUNS / f"clip-without-{args.style}-{args.minutes:g}-minutes"
    styles = tuple(style for style in scenes.STYLES if style != args.style)

    recipe = recipes.clip(0, args.weights, styles)
    try:
        path = train.run("clip", recipe, out, minutes=args.minutes, resume=(out / "checkpoint.pt").is_file())
    except KeyboardInterrupt:
        raise SystemExit("stopped; the same command goes on") from None

    model = weights.load(path, CLIP, CLIPConfig)
    words = Tokenizer.load(weights.find("tokenizer.json", args.weights))
    rows = []
    for style in scenes.STYLES:
        found = retrieval(model, words, style)
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
