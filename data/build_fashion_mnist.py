"""Build data/fashion_mnist/{train,test}.parquet from a pinned Debian package.

Fashion-MNIST (Xiao, Rasul and Vollgraf 2017) is 28x28 grey pictures of ten kinds of clothing. The first
20,000 of its 60,000 training pictures are kept, to stay small, and all 10,000 test pictures.

    python data/build_fashion_mnist.py              # fetches the package (needs `apt-get` and `dpkg-deb`)
    python data/build_fashion_mnist.py --deb FILE   # uses a package file that is there already
"""

import gzip
import io
import tempfile
from pathlib import Path

import debian
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import ClassLabel, Features, Image, Value
from PIL import Image as Pil

HERE = Path(__file__).parent
PACKAGE = "dataset-fashion-mnist=0.0~git20200523.55506a9-1"
KEPT = {"train": 20_000, "test": 10_000}
PREFIX = {"train": "train", "test": "t10k"}  # what the package calls the two splits

# The class of each label, in the order of the label, and the words that we describe it with.
CAPTIONS = {
    "T-shirt/top": "a t-shirt",
    "Trouser": "a pair of trousers",
    "Pullover": "a pullover",
    "Dress": "a dress",
    "Coat": "a coat",
    "Sandal": "a sandal",
    "Shirt": "a shirt",
    "Sneaker": "a sneaker",
    "Bag": "a bag",
    "Ankle boot": "an ankle boot",
}
FEATURES = Features(
    {
        "image": Image(),
        "label": ClassLabel(names=list(CAPTIONS)),
        "caption": Value("string"),
        "license": Value("string"),
    }
)


def read_idx(path: Path) -> np.ndarray:
    """Read a gzipped IDX file: two zeros, a type, the number of axes, the size of each, the bytes."""
    data = gzip.decompress(path.read_bytes())
    axes = data[3]
    sizes = np.frombuffer(data, ">i4", count=axes, offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(sizes)


def encode(pixels: np.ndarray) -> dict:
    """Compress one grey picture, losslessly, into what `datasets.Image` stores."""
    buffer = io.BytesIO()
    Pil.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return {"bytes": buffer.getvalue(), "path": None}


def main() -> None:
    deb = debian.arguments(__doc__).deb
    with tempfile.TemporaryDirectory() as folder:
        source = debian.unpack(PACKAGE, deb, folder) / "datasets/fashion-mnist"
        captions = list(CAPTIONS.values())
        for split, kept in KEPT.items():
            images = read_idx(source / f"{PREFIX[split]}-images-idx3-ubyte.gz")[:kept]
            labels = read_idx(source / f"{PREFIX[split]}-labels-idx1-ubyte.gz")[:kept]
            rows = [
                {"image": encode(image), "label": int(label), "caption": captions[label], "license": "MIT"}
                for image, label in zip(images, labels, strict=True)
            ]
            path = HERE / "fashion_mnist" / f"{split}.parquet"
            path.parent.mkdir(exist_ok=True)
            table = pa.Table.from_pylist(rows, schema=FEATURES.arrow_schema)
            pq.write_table(table, path, compression="zstd", row_group_size=10_000)
            print(f"{path.relative_to(HERE)}: {len(rows)} rows, {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
