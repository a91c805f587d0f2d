"""Lessons must run without a network: the kernels in which nbval runs them have none."""

import os
from pathlib import Path

OFFLINE = Path(__file__).parent.parent / "tests" / "offline"
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(OFFLINE), os.environ.get("PYTHONPATH")]))
