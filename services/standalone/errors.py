"""What can go wrong with the whole, told in a line instead of a traceback."""

from __future__ import annotations


class StandaloneError(Exception):
    """FeatMesh cannot start or go on; ``str()`` says why and what to do."""
