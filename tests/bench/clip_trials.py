"""What did each idea bring CLIP, at equal minutes? python tests/bench/clip_trials.py [--minutes 6]

Each trial trains a CLIP of its own without the style `fxemoji`, which stands in for the style that is really
never seen: that one is measured once, and nothing may be chosen by it. Scenes and prompts are those meant for
looking at while one works. Finished trials are kept in runs/; the same
command goes on where it stopped.
"""

import argparse
import re
import shutil
from pathlib import Path

from common import RUNS, SEED, append_row, machine, print_table, read_rows

from minit2i.checkpoint import find, load_model, load_tokenizer
from minit2i.clip import Matcher
from minit2i.evaluate.clip import measure_swaps, measure_wording, retrieval
from minit2i.train.clip import ClipRecipe
from minit2i.train.recipe import RunSettings, run
from minit2i.utils import WEIGHTS
from minit2i.world.scenes import draw_scene

SEEN = ("noto", "fluent", "twemoji", "noto-v1", "fluent-3d", "high-contrast")
PLAIN = {"changes": (), "turn": 0.0, "jitter": 0.15}
TRIALS = {
    "three styles, as before": {**PLAIN, "styles": SEEN[:3], "together": 1, "many_right": False},
    "+ three more styles": {**PLAIN, "together": 1, "many_right": False},
    "+ many right answers": {**PLAIN, "together": 1},
    "+ each concept in two styles": PLAIN,
    "+ turned and resized": {"changes": ()},
    "+ palettes mixed": {"changes": ("palette",)},
    "+ all changes of style": {},
    "the same, batches of 384": {"batch": 384},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=6, help="of training each (%(default)s)")
    parser.add_argument("--only", nargs="*", choices=list(TRIALS), help="some of the trials")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, metavar="FOLDER", help="of the tokenizer")
    args = parser.parse_args()
    table = RUNS / f"clip-trials-{args.minutes:g}.csv"
    done = {row["trial"] for row in read_rows(table)}
    for name, settings in TRIALS.items():
        if name in done or args.only and name not in args.only:
            continue
        out = RUNS / f"clip-trials-{args.minutes:g}" / "-".join(re.findall("[a-z0-9]+", name))
        out.mkdir(parents=True, exist_ok=True)
        shutil.copy(find("tokenizer", args.weights), out)  # since weights are used with the one they know
        recipe = ClipRecipe(**{"styles": SEEN, **settings})
        resume = (out / "checkpoint.pt").is_file()
        run("clip", recipe, args.weights, out, RunSettings(minutes=args.minutes, resume=resume))
        append_row(table, {"trial": name, **grade(Matcher(load_model("clip", out), load_tokenizer(out)))})
    print(f"{machine()}. Trained for {args.minutes:g} minutes each.\n")
    print_table(read_rows(table))


def grade(matcher: Matcher) -> dict:
    """Retrieval in the style left out and in those seen, swaps on training scenes, prompts to look at."""
    scenes = [draw_scene(SEED, i, "train") for i in range(1200)]
    swaps = measure_swaps(matcher, [scene for scene in scenes if scene.headwear != "none"][:1000])
    left_out, seen = retrieval(matcher, "fxemoji"), [retrieval(matcher, style) for style in SEEN]
    prompts, attributes, *_ = measure_wording(matcher, "look").values()
    return {
        "style left out, R@1": f"{left_out['first']['value']:.1%}",
        "R@10": f"{left_out['among the first ten']['value']:.1%}",
        "styles seen, R@1": f"{sum(found['first']['value'] for found in seen) / len(seen):.1%}",
        **{name: f"{entry['value']:.1%}" for name, entry in swaps.items()},
        "prompts": f"{prompts['value']:.1%}",
        "attributes": f"{attributes['value']:.1%}",
    }


if __name__ == "__main__":
    main()
