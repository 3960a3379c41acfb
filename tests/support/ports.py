"""Ports for servers that are started later, or again on the port that they had.

Between finding a port and listening on it, or while a server is away, another may take it. The
kernel gives ports to connections from its ephemeral range, so that a busy run takes one of any
there within minutes; it never gives one from below that range.
"""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator
from itertools import cycle
from typing import Final

_PORTS: Final = range(10_000, 30_000)
"""Below the ephemeral range of Linux (32,768), of macOS and of Kubernetes' node ports."""

_PROCESSES: Final = 16
"""Of one run, at most; more would share ports, and only lose the certainty."""


def _ports_of(worker: str) -> range:
    """Those of one process of a run, so that no two try the same: "" is the controller."""
    own = int(worker.removeprefix("gw")) + 1 if worker else 0
    return _PORTS[own % _PROCESSES :: _PROCESSES]


_own = _ports_of(os.environ.get("PYTEST_XDIST_WORKER", ""))
_first = random.SystemRandom().randrange(len(_own))
_candidates: Iterator[int] = cycle((*_own[_first:], *_own[:_first]))
"""From a place of this process's own: none twice, and none that another run is about to use."""


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on, and that no other call has had.

    Raises `RuntimeError` when there is none.
    """
    for _ in _own:
        port = next(_candidates)
        if _is_free(port):
            return port
    raise RuntimeError(f"no free port from {_PORTS.start} to {_PORTS.stop - 1}")


def free_address() -> str:
    """A loopback address that nothing listens on now."""
    return f"127.0.0.1:{free_port()}"


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
