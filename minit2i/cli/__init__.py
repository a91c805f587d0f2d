"""The back house of the command line: parser.py says what may be typed, commands.py does it."""

from .main import main

__all__ = ["main"]
