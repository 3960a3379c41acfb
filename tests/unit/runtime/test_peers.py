from __future__ import annotations

import socket
from contextlib import closing
from typing import Final

import pytest

from services.runtime import peers

BY_GRPC: Final = {"grpc.keepalive_time_ms": 60_000, "grpc.keepalive_timeout_ms": 10_000}


def test_a_port_at_which_nobody_listens_is_told() -> None:
    with closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port}$"):
            peers.enable_tcp_keepalive(port, 60)


def test_elsewhere_than_on_linux_grpc_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert dict(peers.keepalive_options(60, by_kernel=True)) == BY_GRPC
    peers.enable_tcp_keepalive(0, 60)


def test_a_server_that_leaves_its_sockets_alone_has_grpc_ask() -> None:
    assert dict(peers.keepalive_options(60, by_kernel=False)) == BY_GRPC
