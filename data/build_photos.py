"""Build data/photos/train.parquet from the photographs inside a pinned scikit-image wheel.

The wheel also holds pictures whose licence is unknown, or known only as "no known copyright restrictions";
only those that scikit-image's own documentation calls CC0 or public domain are taken. Their bytes are
kept as they are, PNG or JPEG.

    python data/build_photos.py               # fetches the wheel (needs `pip`)
    python data/build_photos.py --wheel FILE  # uses a wheel that is there already
"""

import argparse
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features, Image, Value

HERE = Path(__file__).parent
PACKAGE = "scikit-image==0.26.0"
# file, what is seen in it, who took it (as scikit-image's documentation says), licence
PHOTOS = [
    ("chelsea.png", "the face of a ginger tabby cat with green eyes", "Stefan van der Walt", "CC0-1.0"),
    ("coffee.png", "a red cup of coffee on a red saucer on a wooden table", "Rachel Michetti", "CC0-1.0"),
    ("astronaut.png", "a smiling astronaut in an orange space suit beside a flag", "NASA", "public domain"),
    ("rocket.jpg", "a white rocket standing on its launch pad at dusk", "SpaceX", "public domain"),
    ("camera.png", "a man in a dark coat looking through a camera on a tripod", "Lav Varshney", "CC0-1.0"),
    ("hubble_deep_field.jpg", "many small bright galaxies in a black sky", "NASA, Hubble", "public domain"),
    ("retina.jpg", "the back of a human eye, a red disc with blood vessels", "Mikael Häggström", "CC0-1.0"),
    ("brick.png", "a wall of dark bricks", "CC0Textures, Bricks25", "CC0-1.0"),
    ("grass.png", "short grass and leaves seen from above", "linolafett, Grass 01", "CC0-1.0"),
    ("gravel.png", "grey gravel seen from above", "CC0Textures, Gravel04", "CC0-1.0"),
]
FEATURES = Features(
    {
        "image": Image(),
        "name": Value("string"),
        "caption": Value("string"),
        "source": Value("string"),
        "license": Value("string"),
    }
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--wheel", type=Path, help="the scikit-image wheel, if it is there already")
    wheel = parser.parse_args().wheel
    with tempfile.TemporaryDirectory() as folder:
        if wheel is None:
            pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
            subprocess.run([*pip, "-d", folder, PACKAGE], check=True)
            wheel = next(Path(folder).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            rows = [
                {
                    "image": {"bytes": archive.read(f"skimage/data/{file}"), "path": file},
                    "name": file.split(".")[0],
                    "caption": caption,
                    "source": f"{author}; skimage/data/{file} in {PACKAGE}",
                    "license": license,
                }
                for file, caption, author, license in PHOTOS
            ]
    path = HERE / "photos" / "train.parquet"
    path.parent.mkdir(exist_ok=True)
    table = pa.Table.from_pylist(rows, schema=FEATURES.arrow_schema)
    pq.write_table(table, path, compression="none")  # the pictures are compressed already
    print(f"{path.relative_to(HERE)}: {len(rows)} rows, {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
