"""Which texts of a batch are right for which pictures, which are wrong, and which may be either.

A batch holds many scenes in hats and a cat in seven styles, so a text fits more pictures than its own. A loss
that took these for wrong would teach falsehoods.
"""

import random
from collections import defaultdict
from collections.abc import Hashable

import numpy as np

from minit2i.tokenizer import words_of
from minit2i.utils import data_file, need
from minit2i.world.captions import ANY, Prompt
from minit2i.world.scenes import ATTRIBUTES, Scene

Tag = str | tuple[str, str]  # what may be true of an emoji: a keyword, or ("name", codepoint)
NAMED = ["{}"] * 3 + ["{} emoji", "a picture of {}", "an image of {}", "please draw {}", "{}!", "cute {}"]
DESCRIBED = ("{}", "{}", "something {}", "a picture of {}", "show me {}")


def groups_by(keys: list[list[Hashable]], least: int) -> list[list[int]]:
    """Groups of at least so many entries that share a key; keys[i] lists those of entry i. Returns indices."""
    groups = defaultdict(list)
    for i, of_entry in enumerate(keys):
        for key in dict.fromkeys(of_entry):
            groups[key].append(i)
    return [group for group in groups.values() if len(group) >= least]


class Emoji:
    """What is true of each emoji of a set, as tags: its name, which no other concept has, and its keywords.

    concepts: the rows that draw one concept, in one style each. tags: (rows, K) bool, what is true. perhaps:
    (rows, K) bool, what may be said besides, such as "cat" of a "cat face". drawn: the part of scenes that a
    row draws, or "". of_part: what may be said of a part of scenes, (K,) bool.
    """

    def __init__(self, entries: list[dict]):
        """entries: name, keywords, style and codepoint of each row."""
        self.entries = entries
        self.concepts = groups_by([[entry["codepoint"]] for entry in entries], least=1)
        names = {("name", entry["codepoint"]): set(words_of(entry["name"])) for entry in entries}
        keywords = dict.fromkeys(word for entry in entries for word in entry["keywords"])
        self.column: dict[Tag, int] = {tag: i for i, tag in enumerate([*names, *keywords])}

        self.tags, self.perhaps = np.zeros((2, len(entries), len(self.column)), bool)
        for rows in self.concepts:
            entry = entries[rows[0]]
            self.tags[np.ix_(rows, self.columns([("name", entry["codepoint"]), *entry["keywords"]]))] = True
            words = set(words_of(" ".join([entry["name"], *entry["keywords"]])))
            self.perhaps[np.ix_(rows, self.columns([tag for tag in names if names[tag] <= words]))] = True

        file = data_file("scenes", "parts.parquet")
        art = need("pyarrow.parquet").read_table(file, columns=["name", "codepoint"])
        parts = {part["codepoint"]: part["name"] for part in art.to_pylist()}
        self.drawn = [parts.get(entry["codepoint"], "") for entry in entries]
        known = self.tags | self.perhaps
        self.of_part = {part: known[[d == part for d in self.drawn]].any(0) for part in parts.values()}

    def columns(self, tags: list[Tag]) -> list[int]:
        """Where these tags stand."""
        return [self.column[tag] for tag in tags]

    def caption(self, row: int, rng: random.Random) -> tuple[str, list[Tag]]:
        """Say what an emoji shows, by its name or by keywords; and the tags that a picture needs to fit."""
        entry = self.entries[row]
        if not entry["keywords"] or rng.random() < 0.6:
            return rng.choice(NAMED).format(entry["name"]), [("name", entry["codepoint"])]
        chosen = rng.sample(entry["keywords"], min(len(entry["keywords"]), rng.choice((1, 1, 2))))
        return rng.choice(DESCRIBED).format(" ".join(chosen)), chosen


def fits(scenes: list[Scene], says: list[dict[str, str]]) -> np.ndarray:
    """Whether what each text says is true of each scene: bool (scenes, texts)."""
    true = np.ones((len(scenes), len(says)), bool)
    for name in ATTRIBUTES:
        shown = np.array([getattr(scene, name) for scene in scenes])
        for j, said in enumerate(says):
            if name in said:
                true[:, j] &= shown != "none" if said[name] == ANY else shown == said[name]
    return true


def answers(
    emoji: Emoji, asked: list[Scene], prompts: list[Prompt], rows: list[int], needed: list[list[Tag]]
) -> tuple[np.ndarray, np.ndarray]:
    """The texts that are right for each picture, and the wrong ones: two bool tables (pictures, texts).

    Pictures are the scenes and then the emoji of `rows`, texts the prompts and then captions that need these
    tags. What may be true or not is neither: that a cat in a hat is "a cat face", that a cat's face is a cat.
    """
    n = len(asked)
    right = np.zeros((n + len(rows), n + len(needed)), bool)
    perhaps = np.zeros_like(right)
    needs = np.zeros((len(needed), len(emoji.column)), np.float32)
    for j, tags in enumerate(needed):
        needs[j, emoji.columns(tags)] = 1

    def nothing_missing(tags: np.ndarray) -> np.ndarray:
        """Which of the captions need no tag but those of each row: bool (rows, captions)."""
        return (~tags).astype(np.float32) @ needs.T == 0

    right[:n, :n] = fits(asked, [p.says for p in prompts])
    right[n:, n:] = nothing_missing(emoji.tags[rows])
    perhaps[n:, n:] = nothing_missing(emoji.tags[rows] | emoji.perhaps[rows])
    nothing = np.zeros(len(emoji.column), bool)
    for i, scene in enumerate(asked):
        shown = (scene.animal, scene.headwear, scene.eyewear)
        said = np.any([emoji.of_part.get(part, nothing) for part in shown], axis=0)
        perhaps[i, n:] = nothing_missing(said[None])
        perhaps[n:, i] = [emoji.drawn[row] in shown for row in rows]
    return right, ~right & ~perhaps
