"""A server that a test starts later finds its port free, whatever else runs."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.support import ports
from tests.support.ports import free_port

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


@pytest.mark.skipif(not _EPHEMERAL.exists(), reason="only Linux says so there")
def test_the_kernel_gives_a_free_port_to_no_connection() -> None:
    lowest, highest = map(int, _EPHEMERAL.read_text().split())

    assert not lowest <= free_port() <= highest


def test_a_port_that_somebody_listens_on_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    free = free_port()
    with socket.create_server(("127.0.0.1", free_port())) as server:
        taken: int = server.getsockname()[1]
        monkeypatch.setattr(ports, "_candidates", iter((taken, free)))

        assert free_port() == free


def test_no_port_is_given_twice() -> None:
    assert len({free_port() for _ in range(100)}) == 100
