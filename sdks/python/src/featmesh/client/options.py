"""What an application can set."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from os import PathLike
from types import UnionType

from featmesh.client.hooks import EvaluationHook

_ADDRESS = re.compile(r"(?:[a-z]+:(?:///?)?)?\S+:\d{1,5}|unix:\S+", re.ASCII | re.IGNORECASE)
_Path = str | PathLike | None  # type: ignore[type-arg] # for isinstance, which takes no argument
_SDK_KEY = re.compile(r"[\x21-\x7e]{1,512}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Settings of a client; the defaults suit a server in production.

    Attributes:
        tls: False for plaintext, True for TLS with the system's roots, or the PEM bytes of
            the root certificates to trust.
        flush_interval: Seconds between two batches of events.
        event_capacity: Events held between two batches; more are dropped and counted.
        known_users: Users remembered as already sent.
        staleness: Seconds without any frame after which the status is STALE.
        backoff_first: Seconds; upper bound of the first wait before a reconnect.
        backoff_maximum: Seconds; upper bound of any wait before a reconnect.
        backoff_refused: Seconds; the same while the server refuses the SDK key.
        healthy_after: Seconds that a stream must last for the back-off to start anew.
        keepalive: Seconds between two pings on the connection.
        send_timeout: Seconds that one attempt to send a batch may take.
        send_events: False sends no events and no users at all; the server still hears which
            revision is applied.
        offline: True never connects and sends nothing; flags come from ``bootstrap_file`` or
            are the callers' defaults.
        bootstrap_file: JSON file with definitions to serve until the server's have come;
            for `Client` alone.
        cache_directory: Directory where the last definitions are kept for the next start;
            for `Client` alone.
        private_attributes: Attributes of users, or ``name``, that are never sent.
        hooks: Told of each evaluation.
    """

    tls: bool | bytes = False
    flush_interval: float = 5.0
    event_capacity: int = 10_000
    known_users: int = 10_000
    staleness: float = 90.0
    backoff_first: float = 1.0
    backoff_maximum: float = 30.0
    backoff_refused: float = 300.0
    healthy_after: float = 60.0
    keepalive: float = 30.0
    send_timeout: float = 10.0
    send_events: bool = True
    offline: bool = False
    bootstrap_file: str | PathLike[str] | None = None
    cache_directory: str | PathLike[str] | None = None
    private_attributes: Collection[str] = ()
    hooks: Sequence[EvaluationHook] = ()

    def __post_init__(self) -> None:
        faults = [*self._type_faults(), *self._range_faults()]
        if faults:
            raise ValueError("invalid options: " + "; ".join(faults))

    def _type_faults(self) -> list[str]:
        faults = [
            *self._kind_faults(("send_events", "offline"), bool, "True or False"),
            *self._kind_faults(("bootstrap_file", "cache_directory"), _Path, "a path"),
        ]
        tls: object = self.tls
        if not isinstance(tls, bool) and not (isinstance(tls, bytes) and tls):
            faults.append("tls must be True, False or the bytes of root certificates")
        private: object = self.private_attributes
        if isinstance(private, str) or not _all_texts(private):
            faults.append("private_attributes must be a list of names")
        return faults

    def _kind_faults(
        self, names: tuple[str, ...], kind: type | UnionType, wanted: str
    ) -> Iterator[str]:
        return (
            f"{name} must be {wanted}"
            for name in names
            if not isinstance(getattr(self, name), kind)
        )

    def _range_faults(self) -> list[str]:
        faults = []
        for name in _NUMBERS:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                faults.append(f"{name} must be a number, not {value!r}")
            elif not (math.isfinite(value) and value > 0):
                faults.append(f"{name} must be positive and finite, not {value!r}")
        if not faults and not self.backoff_first <= self.backoff_maximum <= self.backoff_refused:
            faults.append("backoff_first <= backoff_maximum <= backoff_refused must hold")
        return faults


def _all_texts(names: object) -> bool:
    return isinstance(names, Collection) and all(isinstance(name, str) for name in names)


_NUMBERS = tuple(field.name for field in fields(Options) if type(field.default) in {int, float})


def check_endpoint(address: object, sdk_key: object) -> None:
    """Refuses what cannot be an address or an SDK key.

    Raises:
        ValueError: With every fault; the key itself is never part of the message.
    """
    faults = []
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
        faults.append(f"address must be host:port, not {address!r}")
    if not isinstance(sdk_key, str) or not _SDK_KEY.fullmatch(sdk_key):
        faults.append("sdk_key must be 1 to 512 printable ASCII characters without blanks")
    if faults:
        raise ValueError("; ".join(faults))
