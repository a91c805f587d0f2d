"""Build data/emoji/{train,test}.parquet and data/scenes/parts.parquet from pinned npm packages.

The art is SVG, one drawing a concept and style. Every drawing becomes an RGBA picture with the English name
and keywords that the Unicode consortium gives it: 128x128 in the styles that scenes are made of, 64x64 in
the others. One style, which nothing is ever trained on, is the split `test`. The few drawings that scenes
are composed of (minit2i/scenes.py) are also kept at 512x512, so that scenes are crisp at any size.

    python data/build_emoji.py              # fetches nine npm packages (needs `npm`), takes about a minute
    python data/build_emoji.py --npm DIR    # keeps the fetched packages in DIR and uses those already there

The output is the same, byte for byte, each time it is made with the versions in PACKAGES and
requirements.txt.
"""

import argparse
import io
import json
import re
import subprocess
import tarfile
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import resvg_py
from datasets import Features, Image, List, Value
from PIL import Image as Pil

HERE = Path(__file__).parent
PACKAGES = {  # style -> package
    "noto": "@iconify-json/noto@1.2.9",
    "fluent": "@iconify-json/fluent-emoji-flat@1.2.6",
    "twemoji": "@iconify-json/twemoji@1.2.5",
    "fxemoji": "@iconify-json/fxemoji@1.2.2",
    "noto-v1": "@iconify-json/noto-v1@1.2.5",
    "fluent-3d": "@iconify-json/fluent-emoji@1.2.7",
    "high-contrast": "@iconify-json/fluent-emoji-high-contrast@1.2.6",
    "emojione": "@iconify-json/emojione@1.2.3",
    "names": "cldr-annotations-full@48.2.0",
}
STYLES = ("noto", "fluent", "twemoji")  # scenes are made of these, so they are kept larger
MORE_STYLES = ("fxemoji", "noto-v1", "fluent-3d", "high-contrast")
TEST_STYLE = "emojione"
RUDE = "🖕"  # no picture for a classroom
MISNAMED = {"fxemoji": "💏🪟⌨"}  # the name is the same and the drawing is of something else

# What scenes are composed of: the word that scenes use, and the character that it is drawn by.
ANIMALS = {
    "cat": "🐱", "dog": "🐶", "mouse": "🐭", "hamster": "🐹", "rabbit": "🐰", "fox": "🦊", "bear": "🐻",
    "polar bear": "🐻‍❄", "panda": "🐼", "koala": "🐨", "tiger": "🐯", "lion": "🦁", "cow": "🐮", "pig": "🐷",
    "frog": "🐸", "monkey": "🐵", "wolf": "🐺", "owl": "🦉", "penguin": "🐧", "chick": "🐥",
}  # fmt: skip
HEADWEAR = {
    "baseball cap": "🧢", "top hat": "🎩", "crown": "👑", "graduation cap": "🎓", "sun hat": "👒",
    "helmet": "⛑",
}  # fmt: skip
EYEWEAR = {"glasses": "👓", "sunglasses": "🕶"}
# The helmet's chin strap would hide the face: it is the shapes of these colours.
STRAP = {"noto": "784d30 b0805c 4f3320", "fluent": "9b9b9b 990838", "twemoji": "d99e82 c1694f"}

EMOJI_FEATURES = Features(
    {
        "image": Image(),
        "style": Value("string"),
        "name": Value("string"),
        "keywords": List(Value("string")),
        "group": Value("string"),
        "codepoint": Value("string"),
        "license": Value("string"),
    }
)
PARTS_FEATURES = Features(
    {
        "kind": Value("string"),  # "animal", "headwear" or "eyewear"
        "name": Value("string"),
        "style": Value("string"),
        "image": Image(),
        "dye": Image(),  # headwear only: white where its colour goes, black where a detail keeps its own
        "codepoint": Value("string"),
        "license": Value("string"),
    }
)


def read_package(spec: str, folder: Path) -> dict[str, dict]:
    """Fetch one npm package into `folder` unless it is there; return its JSON files by their base name."""
    name, version = spec.rsplit("@", 1)
    tarball = folder / f"{name.lstrip('@').replace('/', '-')}-{version}.tgz"
    if not tarball.exists():
        subprocess.run(["npm", "pack", spec, "--silent", "--pack-destination", folder], check=True)
    wanted = {
        "icons.json",
        "chars.json",
        "metadata.json",
        "info.json",
        "package/annotations/en/annotations.json",
    }
    with tarfile.open(tarball) as tar:
        return {
            Path(member.name).stem: json.load(tar.extractfile(member))
            for member in tar
            if member.name in wanted or member.name.removeprefix("package/") in wanted
        }


def characters(codepoints: str) -> str:
    """Turn "1f43b-200d-2744" into the characters; the variation selector FE0F is left out, as CLDR does."""
    return "".join(chr(int(code, 16)) for code in codepoints.split("-") if code != "fe0f")


def is_wanted(text: str) -> bool:
    """Say whether a character sequence is a concept of its own: no skin tones, no country flags."""
    skin = any(0x1F3FB <= ord(c) <= 0x1F3FF for c in text)
    flag = any(0x1F1E6 <= ord(c) <= 0x1F1FF or 0xE0000 <= ord(c) <= 0xE007F for c in text)
    return not (skin or flag or text == RUDE)


def squeezed(name: str) -> str:
    """A name without what packages write differently: "White-Heavy Check Mark" -> "whiteheavycheckmark"."""
    return re.sub("[^a-z0-9]", "", name.lower())


class Art:
    """One style's drawings, looked up by character.

    Some packages do not say which character a drawing is of. There `known`, squeezed name -> character, does.
    """

    def __init__(self, package: dict[str, dict], known: dict[str, str]):
        self.icons = package["icons"]
        self.license = package["info"]["license"]["spdx"]
        self.names = {characters(code): name for code, name in package["chars"].items()}
        if not self.names:
            for name in [*self.icons["icons"], *self.icons.get("aliases", {})]:
                if squeezed(name) in known:
                    self.names.setdefault(known[squeezed(name)], name)
        self.groups = {
            name: group
            for group, names in package["metadata"].get("categories", {}).items()
            for name in names
        }

    def svg(self, text: str, without: str = "") -> str:
        """Return the drawing as SVG, leaving out the shapes filled with the colours `without`."""
        name = self.names[text]
        name = self.icons.get("aliases", {}).get(name, {}).get("parent", name)
        icon = self.icons["icons"][name]
        width, height = (icon.get(side, self.icons[side]) for side in ("width", "height"))
        body = icon["body"]
        for colour in without.split():
            body = re.sub(f'<path fill="#{colour}"[^>]*/>', "", body)
        names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        return f'<svg {names} viewBox="0 0 {width} {height}" width="{width}" height="{height}">{body}</svg>'


def draw(svg: str, size: int) -> Pil.Image:
    """Render SVG to a size x size RGBA picture."""
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size, skip_system_fonts=True))
    return Pil.open(io.BytesIO(png)).convert("RGBA")


def encode(picture: Pil.Image) -> dict:
    """Compress losslessly (WebP is about 25 % smaller than PNG) into what `datasets.Image` stores."""
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", lossless=True, quality=100, method=4)
    return {"bytes": buffer.getvalue(), "path": None}


def dye_mask(picture: Pil.Image, headwear: str) -> Pil.Image:
    """Mark what takes the hat's colour: all, save a crown's jewels, a graduation cap's tassel and white
    marks."""
    hue, saturation, value = np.asarray(picture.convert("RGB").convert("HSV"), np.int16).transpose(2, 0, 1)
    vivid = saturation > 110
    golden = (hue >= 13) & (hue <= 44)  # 18 to 62 degrees
    detail = {
        "crown": vivid & ~golden,
        "graduation cap": vivid & golden,
        "helmet": (saturation < 30) & (value > 225),  # the cross
        "sun hat": (saturation < 30) & (value > 225),  # the daisy
    }.get(headwear, np.zeros_like(vivid))
    return Pil.fromarray(np.where(detail, 0, 255).astype(np.uint8))


def clear_lenses(picture: Pil.Image) -> Pil.Image:
    """Make the lenses of glasses, which are their bright part, half see-through and the frame darker."""
    rgba = np.asarray(picture, np.float32).copy()
    lens = np.clip((rgba[..., :3].max(-1) / 255 - 0.52) / 0.2, 0, 1)
    rgba[..., 3] *= 1 - 0.58 * lens
    rgba[..., :3] *= 0.6 + 0.4 * lens[..., None]
    return Pil.fromarray(rgba.astype(np.uint8))


def write(rows: list[dict], features: Features, path: Path) -> None:
    """Write rows as parquet that `datasets` reads with its features."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows, schema=features.arrow_schema)
    pq.write_table(table, path, compression="zstd", row_group_size=1000)
    print(f"{path.relative_to(HERE)}: {len(rows)} rows, {path.stat().st_size / 1e6:.1f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--npm", type=Path, help="folder that keeps the npm packages")
    folder = parser.parse_args().npm
    with tempfile.TemporaryDirectory() as temporary:
        packages = {key: read_package(spec, folder or Path(temporary)) for key, spec in PACKAGES.items()}
    names = packages["names"]["annotations"]["annotations"]["annotations"]
    art = {style: Art(packages[style], {}) for style in STYLES}
    concepts = [
        text for text in sorted(filter(is_wanted, names)) if sum(text in a.names for a in art.values()) >= 2
    ]
    known: dict[str, str] = {}  # by the packages' own names first, then Unicode's
    for name_in in (
        *(art[style].names.get for style in STYLES),
        lambda text: names[text]["tts"][0],
        lambda text: unicodedata.name(text, "") if len(text) == 1 else "",
    ):
        for text in concepts:
            known.setdefault(squeezed(name_in(text) or ""), text)
    known.pop("", None)
    art |= {style: Art(packages[style], known) for style in (*MORE_STYLES, TEST_STYLE)}

    splits: dict[str, list[dict]] = {"train": [], "test": []}
    for text in concepts:
        styles = [s for s in art if text in art[s].names and text not in MISNAMED.get(s, "")]
        for style in styles:
            splits["test" if style == TEST_STYLE else "train"].append(
                {
                    "image": encode(draw(art[style].svg(text), 128 if style in STYLES else 64)),
                    "style": style,
                    "name": names[text]["tts"][0],
                    "keywords": names[text]["default"],
                    "group": art[styles[0]].groups.get(art[styles[0]].names[text], "Symbols"),
                    "codepoint": "-".join(f"{ord(c):x}" for c in text),
                    "license": art[style].license,
                }
            )
    for split, emoji in splits.items():
        write(emoji, EMOJI_FEATURES, HERE / "emoji" / f"{split}.parquet")

    parts = []
    for kind, table in {"animal": ANIMALS, "headwear": HEADWEAR, "eyewear": EYEWEAR}.items():
        for name, text in table.items():
            for style in STYLES:
                picture = draw(art[style].svg(text, without=STRAP[style] if name == "helmet" else ""), 512)
                if name == "glasses":
                    picture = clear_lenses(picture)
                parts.append(
                    {
                        "kind": kind,
                        "name": name,
                        "style": style,
                        "image": encode(picture),
                        "dye": encode(dye_mask(picture, name)) if kind == "headwear" else None,
                        "codepoint": "-".join(f"{ord(c):x}" for c in text),
                        "license": art[style].license,
                    }
                )
    write(parts, PARTS_FEATURES, HERE / "scenes" / "parts.parquet")


if __name__ == "__main__":
    main()
