"""Events as BSON, written by hand: a dictionary for each would take four times as long.

The server gives `_id`. All rows of one group begin alike; what differs is packed at the end.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from bson import encode
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument

from services.storage.model.insights import EvaluationEvent, MetricEvent

Row = RawBSONDocument

_INT32: Final = struct.Struct("<i").pack
_EVALUATION_END: Final = struct.Struct("<7sq12sq11sq12sqc").pack
_METRIC_END: Final = struct.Struct("<7sd6sq12sqc").pack


def evaluation_rows(
    environment_id: str, events: Iterable[EvaluationEvent], kept_ms: int
) -> Iterator[Row]:
    """As docs/protocol/insights.md, 2.1; each expires ``kept_ms`` after its last time."""
    heads: dict[tuple[str, str, int, bool], bytes] = {}
    for event in events:
        flag, variation, user, revision, in_experiment, count, first_ms, last_ms = event
        group = (flag, variation, revision, in_experiment)
        head = heads.get(group)
        if head is None:
            head = heads[group] = _evaluation_head(environment_id, *group)
        end = _EVALUATION_END(
            b"\x12count\0", count, b"\x09first_time\0", first_ms, b"\x09last_time\0", last_ms,
            b"\x09expires_at\0", last_ms + kept_ms, b"\0",
        )  # fmt: skip
        yield _row(head, user, end)


def metric_rows(environment_id: str, events: Iterable[MetricEvent], kept_ms: int) -> Iterator[Row]:
    """As docs/protocol/insights.md, 2.1; each expires ``kept_ms`` after its time."""
    heads: dict[tuple[str, str], bytes] = {}
    for name, user, value, kind, time_ms in events:
        head = heads.get((name, kind))
        if head is None:
            fields = {"environment": environment_id, "name": name, "kind": kind.value}
            head = heads[name, kind] = _head(fields)
        end = _METRIC_END(
            b"\x01value\0", value, b"\x09time\0", time_ms,
            b"\x09expires_at\0", time_ms + kept_ms, b"\0",
        )  # fmt: skip
        yield _row(head, user, end)


def _evaluation_head(
    environment_id: str, flag: str, variation: str, revision: int, in_experiment: bool
) -> bytes:
    return _head(
        {
            "environment": environment_id,
            "flag": flag,
            "variation": variation,
            "flag_revision": Int64(revision),
            "in_experiment": in_experiment,
        }
    )


def _head(fields: Mapping[str, object]) -> bytes:
    """The fields without the document's length and end, and the name of the next: the user."""
    return encode(fields)[4:-1] + b"\x02user\0"


def _row(head: bytes, user: str, end: bytes) -> Row:
    key = user.encode()
    size = len(key) + 1
    return RawBSONDocument(
        b"".join((_INT32(8 + len(head) + size + len(end)), head, _INT32(size), key, b"\0", end))
    )
