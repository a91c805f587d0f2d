"""Unpack a Debian package, for the build scripts that take their data from one."""

import argparse
import subprocess
from pathlib import Path


def arguments(doc: str) -> argparse.Namespace:
    """What such a script is told on the command line: `deb`, a package file that is there already."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deb", type=Path, help="the package file, if it is there already")
    return parser.parse_args()


def unpack(package: str, deb: Path | None, folder: str) -> Path:
    """Unpack name=version into a folder, fetched unless there is a file of it. Returns its usr/share."""
    if deb is None:
        subprocess.run(["apt-get", "download", package], cwd=folder, check=True)
        deb = next(Path(folder).glob("*.deb"))
    subprocess.run(["dpkg-deb", "-x", deb, folder], check=True)
    return Path(folder) / "usr/share"
