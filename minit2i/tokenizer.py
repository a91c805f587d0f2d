"""Words to numbers: byte-pair encoding, learned from what people type and from common English.

A text starts as bytes, so nothing is ever unknown. Training joins the pair of neighbours that occurs most
often into a new token, again and again: frequent words become one token, rare ones stay in pieces.
Paper: Sennrich et al. 2016; the end-of-word mark and the special tokens are CLIP's (Radford et al. 2021).

Shapes: B texts, L tokens of the longest of them.
"""

import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import torch
from torch import Tensor

from .utils import InputError, write_file

BYTES = 256
# A word is a run of letters; each digit and each other sign is a word of its own.
WORD = re.compile(r"[^\W\d_]+|\d|[^\s\w]|_")


def words_of(text: str) -> list[str]:
    """The lower-case words of a text, in order."""
    return WORD.findall(text.lower())


def spell(word: str) -> tuple[int, ...]:
    """A word's bytes as ids 0..255; its last byte is marked as the word's end by adding 256."""
    ids = list(word.encode("utf-8", "replace"))  # half a character, which a shell can pass, becomes "?"
    return (*ids[:-1], ids[-1] + BYTES)


def join(ids: tuple[int, ...], pair: tuple[int, int], new: int) -> tuple[int, ...]:
    """Replace every occurrence of `pair` in `ids` by the one id `new`."""
    out, i = [], 0
    while i < len(ids):
        if ids[i : i + 2] == pair:
            out.append(new)
            i += 2
        else:
            out.append(ids[i])
            i += 1
    return tuple(out)


class Tokenizer:
    """Byte-pair encoding with start, end and padding.

    Ids: 0..255 bytes, 256..511 bytes that end a word, then one id for each merge, then start, end, padding.
    """

    def __init__(self, merges: list[tuple[int, int]], context: int = 32):
        self.merges = [tuple(pair) for pair in merges]
        self.context = context
        self.rank = {pair: 2 * BYTES + i for i, pair in enumerate(self.merges)}
        self.start, self.end, self.padding = (2 * BYTES + len(self.merges) + i for i in range(3))
        self.vocabulary = self.padding + 1
        self._known: dict[str, tuple[int, ...]] = {}

    @classmethod
    def train(cls, texts: list[str], vocabulary: int = 2048, context: int = 32) -> "Tokenizer":
        """Learn merges from texts until the vocabulary has the wanted size (or no pair occurs twice)."""
        counts = Counter(word for text in texts for word in words_of(text))
        spelt = {word: spell(word) for word in counts}
        pairs: Counter[tuple[int, int]] = Counter()  # how often each pair of neighbours occurs,
        words_with: dict[tuple[int, int], set[str]] = defaultdict(set)  # and where

        def count(word: str, times: int) -> None:
            for pair in zip(spelt[word], spelt[word][1:], strict=False):
                pairs[pair] += times
                words_with[pair].add(word)

        for word in counts:
            count(word, counts[word])
        merges = []
        while len(merges) < vocabulary - 2 * BYTES - 3:
            # Among equally frequent pairs the smallest ids win: the same texts give the same tokenizer.
            best, times = min(pairs.items(), key=lambda item: (-item[1], item[0]), default=(None, 0))
            if times < 2:
                break
            new = 2 * BYTES + len(merges)
            merges.append(best)
            for word in words_with.pop(best):  # only these change
                count(word, -counts[word])
                spelt[word] = join(spelt[word], best, new)
                count(word, counts[word])
            del pairs[best]
        return cls(merges, context)

    def encode_word(self, word: str) -> tuple[int, ...]:
        """The ids of one lower-case word: merges applied in the order in which they were learned."""
        if word not in self._known:
            ids = spell(word)
            while len(ids) > 1:
                pair = min(zip(ids, ids[1:], strict=False), key=lambda p: self.rank.get(p, self.padding))
                if pair not in self.rank:
                    break
                ids = join(ids, pair, self.rank[pair])
            if len(self._known) < 100_000:  # a cache, not a leak: hostile texts must not fill the memory
                self._known[word] = ids
            return ids
        return self._known[word]

    def encode(self, text: str) -> list[int]:
        """start, the text's ids, end: at most `context` ids; a longer text loses its tail, never the end."""
        ids: list[int] = []
        for word in words_of(text):
            ids += self.encode_word(word)
            if len(ids) > self.context - 2:
                break
        return [self.start, *ids[: self.context - 2], self.end]

    def __call__(self, texts: list[str]) -> Tensor:
        """(B,) texts -> (B, L) int64, padded to the longest."""
        rows = [self.encode(text) for text in texts]
        longest = max(map(len, rows))
        padded = [row + [self.padding] * (longest - len(row)) for row in rows]
        return torch.tensor(padded, device="cpu")

    def text_of(self, token: int) -> str:
        """What one id stands for; a word's end is shown as a middle dot."""
        if token >= self.start:
            return ("<start>", "<end>", "<padding>")[token - self.start]
        return self._bytes(token).decode("utf-8", errors="replace") + ("·" if self._ends_word(token) else "")

    def decode(self, ids: list[int]) -> str:
        """Ids back to text (spaces between words; special tokens are dropped)."""
        pieces = [self._bytes(i) + (b" " if self._ends_word(i) else b"") for i in ids if i < self.start]
        return b"".join(pieces).decode("utf-8", errors="replace").strip()

    def _bytes(self, token: int) -> bytes:
        if token < 2 * BYTES:
            return bytes([token % BYTES])
        left, right = self.merges[token - 2 * BYTES]
        return self._bytes(left) + self._bytes(right)

    def _ends_word(self, token: int) -> bool:
        while token >= 2 * BYTES:
            token = self.merges[token - 2 * BYTES][1]
        return token >= BYTES

    def save(self, path: str | Path) -> None:
        """Write the merges as JSON: data, not code."""
        content = json.dumps({"context": self.context, "merges": self.merges}) + "\n"
        write_file(path, content.encode())

    @classmethod
    def load(cls, path: str | Path) -> "Tokenizer":
        """Read what `save` wrote. Raises InputError if the file is missing or holds something else."""
        try:
            stored = json.loads(Path(path).read_text())
            return cls(stored["merges"], stored["context"])
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path} holds no tokenizer; train one with: minit2i train tokenizer") from error
