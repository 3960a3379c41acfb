"""The bus of `standalone`: the same promises inside one process and one event loop.

`publish` returns when the handlers are done, so what it acknowledged is stored although
nothing here survives the process.
"""

from __future__ import annotations

from services.messaging.inprocess.bus import InProcessBus

__all__ = ["InProcessBus"]
