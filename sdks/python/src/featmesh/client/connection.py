"""The channel to the evaluation service, and who we say we are on it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

import grpc

from featmesh.client.options import Options
from featmesh.insights.v1 import insights_pb2
from featmesh.insights.v1.insights_pb2_grpc import InsightsServiceStub
from featmesh.sync.v1 import sync_pb2
from featmesh.sync.v1.sync_pb2_grpc import SyncServiceStub
from featmesh.version import __version__

MAX_RECEIVED_BYTES = 4 * 1024 * 1024
"""Frames are at most 256 KiB; this leaves room for a server that is set to more."""

_KEEPALIVE_TIMEOUT_MS = 10_000
_MAX_RECONNECT_MS = 1_000
"""The channel's own pause; kept short since the stream's back-off decides."""

Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Connection:
    """One channel with the stubs that an SDK uses; every call carries ``metadata`` and ``sdk``."""

    channel: grpc.Channel
    sync: SyncServiceStub
    insights: InsightsServiceStub
    metadata: Metadata
    sdk: sync_pb2.SdkInfo = field(default_factory=lambda: sdk_info(str(uuid.uuid4())))
    """Its instance id is this connection's own: a client has one, and one more after a fork."""

    def track(self, batch: insights_pb2.TrackRequest, timeout: float) -> insights_pb2.TrackResponse:
        """Sends a batch of events within so many seconds, or raises grpc.RpcError."""
        batch.sdk.CopyFrom(self.sdk)
        return self.insights.Track(batch, timeout=timeout, metadata=self.metadata)

    def close(self) -> None:
        """Closes the channel; calls in flight end as CANCELLED."""
        self.channel.close()


def connect(address: str, sdk_key: str, options: Options) -> Connection:
    """Makes a connection; nothing is sent before the first call."""
    channel = open_channel(address, tls=options.tls, keepalive=options.keepalive)
    return Connection(
        channel=channel,
        sync=SyncServiceStub(channel),
        insights=InsightsServiceStub(channel),
        metadata=bearer(sdk_key),
    )


def open_channel(
    address: str,
    *,
    tls: bool | bytes,
    keepalive: float = 30.0,
    max_received: int = MAX_RECEIVED_BYTES,
) -> grpc.Channel:
    """Opens a channel with the settings that long streams need."""
    settings: list[tuple[str, int | str]] = [
        ("grpc.keepalive_time_ms", int(keepalive * 1000)),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.max_receive_message_length", max_received),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", _MAX_RECONNECT_MS),
        ("grpc.enable_retries", 0),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.primary_user_agent", f"featmesh-python/{__version__}"),
    ]
    if tls is False:
        return grpc.insecure_channel(address, options=settings)
    roots = None if tls is True else tls
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(roots), options=settings)


def bearer(secret: str) -> Metadata:
    """The metadata that carries an SDK key or a management token."""
    return (("authorization", f"Bearer {secret}"),)


def sdk_info(instance_id: str = "") -> sync_pb2.SdkInfo:
    """Names this SDK to the server; with an instance id where it has streams."""
    return sync_pb2.SdkInfo(name="featmesh-python", version=__version__, instance_id=instance_id)
