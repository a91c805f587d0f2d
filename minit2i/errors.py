"""The mistake that one line explains."""


class InputError(ValueError):
    """A mistake of the caller's: the command line prints it as one line and exits with 2."""
