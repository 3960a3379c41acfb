"""What an application can set."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields

_ADDRESS = re.compile(r"(?:[a-z]+:(?:///?)?)?\S+:\d{1,5}|unix:\S+", re.ASCII | re.IGNORECASE)
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
        send_events: False sends no events and no users at all.
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

    def __post_init__(self) -> None:
        faults = [*self._type_faults(), *self._range_faults()]
        if faults:
            raise ValueError("invalid options: " + "; ".join(faults))

    def _type_faults(self) -> list[str]:
        tls: object = self.tls
        if isinstance(tls, bool) or (isinstance(tls, bytes) and tls):
            return []
        return ["tls must be True, False or the bytes of root certificates"]

    def _range_faults(self) -> list[str]:
        faults = []
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in {"tls", "send_events"}:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float):
                faults.append(f"{field.name} must be a number, not {value!r}")
            elif not (math.isfinite(value) and value > 0):
                faults.append(f"{field.name} must be positive and finite, not {value!r}")
        if not faults and not self.backoff_first <= self.backoff_maximum <= self.backoff_refused:
            faults.append("backoff_first <= backoff_maximum <= backoff_refused must hold")
        return faults


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
