from __future__ import annotations

import socket
from contextlib import closing

import pytest

from services.runtime import peers


def test_a_port_at_which_nobody_listens_is_told() -> None:
    with closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port}$"):
            peers.enable_tcp_keepalive(port, 60)


def test_elsewhere_than_on_linux_grpc_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert dict(peers.keepalive_options(60)) == {
        "grpc.keepalive_time_ms": 60_000,
        "grpc.keepalive_timeout_ms": 10_000,
    }
    peers.enable_tcp_keepalive(0, 60)
