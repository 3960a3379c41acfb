"""What the person at the terminal is told; logs go elsewhere, through `logging`."""

from __future__ import annotations

import sys
from contextlib import suppress


def say(text: str) -> None:
    """A line or a text, at once."""
    with suppress(BrokenPipeError):  # nobody reads it: no reason to stop, or not to
        print(text, flush=True)  # noqa: T201 -- this is the program's output


def complain(text: str) -> None:
    """Why it does not go on."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 -- this is the program's output
