"""Write data/SHA256SUMS: the checksum of every data file, in the format of `sha256sum`.

Run it after a build script: `python data/checksums.py`. To check: `cd data && sha256sum -c SHA256SUMS`.
"""

import hashlib
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    files = sorted(path for path in HERE.rglob("*") if path.suffix in (".parquet", ".json", ".tsv"))
    sums = {
        path.relative_to(HERE).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }
    (HERE / "SHA256SUMS").write_text("".join(f"{digest}  {name}\n" for name, digest in sums.items()))
    print(f"SHA256SUMS: {len(sums)} files")


if __name__ == "__main__":
    main()
