"""The command `minit2i`: from what was typed to what is done, and how mistakes are told.

parser.py says what may be typed; commands.py does it, and is imported only once that is understood: it needs
PyTorch, and `minit2i --help` should not wait. A mistake, in the arguments or in a file, is one line on stderr
and exit code 2; a mistake of ours keeps its traceback.
"""

import os
import sys
import warnings

from minit2i.utils import InputError

from .parser import FIRST, build_parser


def say(message: object, *_) -> None:
    """One line on stderr; takes the place of warnings.showwarning, which writes two."""
    print("minit2i:", " ".join(str(message).split()), file=sys.stderr)


def main(argv: list[str] | None = None) -> int:
    """Run one command. Returns its exit code: 0, 1 if nobody reads on, 2 for a mistake, 130 for Ctrl-C."""
    argv = sys.argv[1:] if argv is None else argv
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # not every terminal can show every letter
    with warnings.catch_warnings():
        warnings.showwarning = say
        warnings.filterwarnings("ignore", module="PIL")  # what is wrong with a picture, we say ourselves
        try:
            if argv:
                args = build_parser().parse_args(argv)
                if args.device:
                    os.environ["MINIT2I_DEVICE"] = args.device
                from . import commands

                args.argv = argv
                getattr(commands, f"run_{args.command}")(args)
            else:
                print(FIRST)
            sys.stdout.flush()
        except BrokenPipeError:  # whoever read our output has seen enough, as `head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except InputError as error:
            say(error)
            return 2
        except OSError as error:
            if error.errno is None:  # not the file system's word, but a bug's
                raise
            say(f"{error.filename}: {error.strerror}" if error.filename else error.strerror)
            return 2
        except KeyboardInterrupt as stop:
            say(stop if str(stop) else "stopped")
            return 130
    return 0
