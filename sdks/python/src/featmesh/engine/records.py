"""Records that type checkers keep immutable and that cost little to make.

A frozen dataclass sets each field through ``object.__setattr__``, which makes one of twelve
fields eight times as slow to create as a plain one; an environment has hundreds of thousands.
What applications hold in their hands (`Context`) is frozen at run time as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as record
else:
    from dataclasses import dataclass as _dataclass

    def record(**options):
        """``dataclass(**options)`` whose ``frozen`` is left to the type checker."""
        frozen = options.pop("frozen", False)
        return _dataclass(**options, unsafe_hash=frozen and options.get("eq", True))


__all__ = ["record"]
