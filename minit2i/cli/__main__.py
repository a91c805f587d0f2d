"""`python -m minit2i.cli` is the command `minit2i`."""

import sys

from .parser import main

sys.exit(main())
