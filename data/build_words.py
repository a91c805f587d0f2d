"""Build data/words/common.json, about 4,000 common English words, from a pinned Debian package.

SCOWL (Atkinson 2020) sorts English words by how common they are; these are its lists of size 10, without
possessives ("cat's"), names, single letters, and what has no place in a classroom.

    python data/build_words.py              # fetches the package (needs `apt-get` and `dpkg-deb`)
    python data/build_words.py --deb FILE   # uses a package file that is there already
"""

import json
import re
import tempfile
from pathlib import Path

import debian

HERE = Path(__file__).parent
PACKAGE = "scowl=2020.12.07-2"
LISTS = ("english-words.10", "american-words.10", "british-words.10")
LEFT_OUT = {"gun", "hell", "kill", "killed", "killing", "kills", "sex"}


def main() -> None:
    deb = debian.arguments(__doc__).deb
    with tempfile.TemporaryDirectory() as folder:
        source = debian.unpack(PACKAGE, deb, folder) / "dict/scowl"
        words = {word for name in LISTS for word in (source / name).read_text("latin-1").split()}
    kept = sorted(word for word in words if re.fullmatch("[a-z]{2,}", word) and word not in LEFT_OUT)
    path = HERE / "words" / "common.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(kept, indent=0) + "\n")
    print(f"{path.relative_to(HERE)}: {len(kept)} words, {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
