from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import suppress

from services.evaluation.app import KEEPALIVE_SECONDS
from services.evaluation.pacer import Pace
from services.runtime.server import OPTIONS
from tests.support.evaluation import RunningEvaluation

MILLISECONDS = 1_000
INTERNET = (socket.AF_INET, socket.AF_INET6)


def accepted(port: int) -> Iterator[int]:
    """Of each connection that this process accepted at the port: its TCP_USER_TIMEOUT."""
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError), socket.socket(fileno=os.dup(int(name))) as each:
            if each.family in INTERNET and each.getsockname()[1] == port:
                each.getpeername()  # the one that listens has none
                yield each.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)


async def test_what_a_peer_does_not_acknowledge_is_given_up_after_the_answer_time_of_keepalive(
    service: RunningEvaluation, server_key: str
) -> None:
    """So keepalive, which asks seldom, is not what finds a stream's dead peer."""
    await service.client(server_key).definitions().change()
    answer = dict(OPTIONS)["grpc.keepalive_timeout_ms"]
    assert set(accepted(service.app.port)) == {answer}
    assert Pace().heartbeat + answer / MILLISECONDS < KEEPALIVE_SECONDS
