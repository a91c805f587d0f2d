"""`python -m minit2i` is the command `minit2i`."""

import sys

from minit2i.cli import main

sys.exit(main())
