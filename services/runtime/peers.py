"""Finds peers that are gone without a word, by the kernel (Linux).

gRPC's own keepalive has a timer for each connection and walks through all of them every second,
which was a seventh of what idle streams cost. The kernel does the same for nothing: connections
inherit the options of the socket that they were accepted from.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

ANSWER_SECONDS: Final = 10
"""A peer that acknowledges nothing for so long, once it was sent something, is gone."""

_MS: Final = 1_000
_NEVER_MS: Final = 2**31 - 1  # gRPC's word for it
_FILES: Final = "/proc/self/fd"
_INTERNET: Final = (socket.AF_INET, socket.AF_INET6)


def keepalive_options(silence: int, *, by_kernel: bool) -> tuple[tuple[str, Any], ...]:
    """Has gRPC ask peers after ``silence`` seconds, unless the kernel will (`LoopServer`'s way)."""
    is_asked = by_kernel and sys.platform == "linux"
    return (
        ("grpc.keepalive_time_ms", _NEVER_MS if is_asked else silence * _MS),
        ("grpc.keepalive_timeout_ms", ANSWER_SECONDS * _MS),
    )


def enable_tcp_keepalive(port: int, silence: int) -> None:
    """Has the kernel ask the peers of this port, and end what they do not acknowledge.

    To be called when this process listens there, and before it accepts. Elsewhere than on Linux
    it does nothing. Raises OSError when no socket of this process listens at the port.
    """
    if sys.platform != "linux":
        return
    found = False
    for listener in _listeners(port):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (
            (socket.TCP_KEEPIDLE, silence),
            (socket.TCP_KEEPINTVL, ANSWER_SECONDS),
            (socket.TCP_KEEPCNT, 1),
            (socket.TCP_USER_TIMEOUT, ANSWER_SECONDS * _MS),
        ):
            listener.setsockopt(socket.IPPROTO_TCP, option, value)
        found = True
    if not found:
        raise OSError(f"no socket of this process listens at port {port}")


def _listeners(port: int) -> Iterator[socket.socket]:
    """The core keeps its sockets to itself, so they are looked for among all files."""
    for each in own_sockets():
        if (
            each.family in _INTERNET
            and each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            and each.getsockname()[1] == port
        ):
            yield each


def own_sockets() -> Iterator[socket.socket]:
    """Those of this process, each as a duplicate that is closed when the next one is asked for."""
    for name in os.listdir(_FILES):
        with suppress(OSError):  # closed meanwhile
            if os.readlink(f"{_FILES}/{name}").startswith("socket:"):
                with socket.socket(fileno=os.dup(int(name))) as each:
                    yield each
