from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from services.evaluation.app import KEEPALIVE_SECONDS
from services.evaluation.sync.timers import TimerSettings
from services.runtime.peers import ANSWER_SECONDS, own_sockets
from tests.support.evaluation import RunningEvaluation

INTERNET = (socket.AF_INET, socket.AF_INET6)


class Watch(NamedTuple):
    """How the kernel looks after a connection: milliseconds of an answer, seconds of silence."""

    answer: int
    is_asked: int
    silence: int
    interval: int


def accepted(port: int) -> Iterator[Watch]:
    """Of each connection that this process accepted at the port."""
    for each in own_sockets():
        with suppress(OSError):  # the one that listens has no peer
            if each.family in INTERNET and each.getsockname()[1] == port and each.getpeername():
                yield Watch(
                    each.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
                    each.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                    each.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                    each.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
                )


async def test_the_kernel_gives_up_a_peer_that_acknowledges_nothing_and_asks_a_silent_one(
    service: RunningEvaluation, server_key: str
) -> None:
    """A heartbeat finds a stream's dead peer, long before the silent are asked."""
    await service.client(server_key).definitions().change()
    expected = Watch(ANSWER_SECONDS * 1_000, 1, KEEPALIVE_SECONDS, ANSWER_SECONDS)
    assert set(accepted(service.app.port)) == {expected}
    assert TimerSettings().heartbeat + ANSWER_SECONDS < KEEPALIVE_SECONDS
