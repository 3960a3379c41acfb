"""Events as BSON, written by hand: a dictionary for each would take four times as long.

The server gives `_id`. All rows of one group begin alike; what differs is packed at the end.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Final

from bson import encode
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument

from services.storage.model.events import EvaluationEvent, MetricEvent
from services.storage.mongodb.events.roll_ups import MINUTE_MS


class Row(RawBSONDocument):
    """A document as its bytes. They were made here, so they are not checked as others are."""

    def __init__(self, document: bytes) -> None:
        self._document = document

    @property
    def raw(self) -> bytes:
        """What the driver sends."""
        return self._document


BY_VARIATION: Final = [
    (name, 1) for name in ("environment", "flag", "variation", "user", "last_time")
]
"""The index that lists the users of a variation; rows are written in its order."""

_INT32: Final = struct.Struct("<i").pack
_OF_EVALUATION: Final = struct.Struct("<8sq12sq11sq12sqc")
_OF_METRIC: Final = struct.Struct("<8sd6sq12sqc")
"""What follows the user's key, from the zero that ends it on."""

_GROUP: Final = itemgetter(0)
_USER_SERVED: Final = itemgetter(EvaluationEvent._fields.index("user_key"))
_USER_ACTING: Final = itemgetter(MetricEvent._fields.index("user_key"))


def evaluation_rows(
    environment_id: str, events: Iterable[EvaluationEvent], kept_ms: int
) -> Iterator[Row]:
    """As docs/protocol/insights.md, 2.1; each expires ``kept_ms`` after its last time's minute.

    In the order of `BY_VARIATION`, so that its pages are met once each.
    """
    kept_ms += MINUTE_MS
    pack = _OF_EVALUATION.pack
    groups: dict[tuple[str, str, int, bool], list[EvaluationEvent]] = defaultdict(list)
    for event in events:
        groups[event[0], event[1], event[3], event[4]].append(event)
    for group, served in sorted(groups.items(), key=_GROUP):
        start = _Start(_evaluation_head(environment_id, *group), _OF_EVALUATION.size)
        for _, _, user, _, _, count, first_ms, last_ms in sorted(served, key=_USER_SERVED):
            key = user.encode()
            end = pack(
                b"\0\x12count\0", count, b"\x09first_time\0", first_ms,
                b"\x09last_time\0", last_ms,
                b"\x09expires_at\0", last_ms - last_ms % MINUTE_MS + kept_ms, b"\0",
            )  # fmt: skip
            yield Row(start[len(key)] + key + end)


def metric_rows(environment_id: str, events: Iterable[MetricEvent], kept_ms: int) -> Iterator[Row]:
    """As docs/protocol/insights.md, 2.1; each expires ``kept_ms`` after its minute. By user."""
    kept_ms += MINUTE_MS
    pack = _OF_METRIC.pack
    starts: dict[tuple[str, str], _Start] = {}
    for name, user, value, kind, time_ms in sorted(events, key=_USER_ACTING):
        start = starts.get((name, kind))
        if start is None:
            fields = {"environment": environment_id, "name": name, "kind": kind.value}
            start = starts[name, kind] = _Start(_head(fields), _OF_METRIC.size)
        key = user.encode()
        end = pack(
            b"\0\x01value\0", value, b"\x09time\0", time_ms,
            b"\x09expires_at\0", time_ms - time_ms % MINUTE_MS + kept_ms, b"\0",
        )  # fmt: skip
        yield Row(start[len(key)] + key + end)


class _Start(dict[int, bytes]):
    """How a group's documents begin, by the bytes of the user's key that follows."""

    def __init__(self, head: bytes, end_bytes: int) -> None:
        self._head = head
        self._rest = len(head) + end_bytes

    def __missing__(self, key_bytes: int) -> bytes:
        lengths = _INT32(8 + self._rest + key_bytes), _INT32(key_bytes + 1)
        start = self[key_bytes] = lengths[0] + self._head + lengths[1]
        return start


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
