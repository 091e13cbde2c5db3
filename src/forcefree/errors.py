"""The one exception that carries a sentence for the person at the keyboard."""

from __future__ import annotations


class ForcefreeError(ValueError):
    """Input, file or request that cannot be used; the message says what was wrong and what would be right.

    The command line prints the message alone and exits with code 2; every other exception is a defect of ours.
    """
