"""`python -m minit2i.cli` is the command `minit2i`."""

import sys

from .main import main

sys.exit(main())
