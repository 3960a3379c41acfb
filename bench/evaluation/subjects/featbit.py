"""fb-python-sdk in offline mode."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fbclient.client import FBClient
from fbclient.config import Config
from fbclient.data_storage import InMemoryDataStorage
from fbclient.event_processor import DefaultEventProcessor
from fbclient.streaming import _data_to_dict

from bench.evaluation.subject import Call, Calls
from bench.evaluation.workload import ATTRIBUTE, MEMBERS, PATTERN, SEGMENT, FlagSpec, User

STAMP = "2026-01-01T00:00:00Z"


class FeatBit:
    """See `Subject`."""

    has_segments = has_switchable_events = events = has_patterns = True
    is_native = False

    @contextmanager
    def open(self, flags: Sequence[FlagSpec], folder: Path, *, sink: str | None) -> Iterator[Calls]:
        """The client, offline; with a sink, its own event processor is put back."""
        config = Config(
            "secret",
            sink or "http://127.0.0.1:1",
            "ws://127.0.0.1:1",
            offline=True,
            event_processor_imp=None if sink is None else DefaultEventProcessor,
        )
        client = FBClient(config, start_wait=0)
        message = {"messageType": "data-sync", "data": _document(flags)}
        assert client.initialize_from_external_json(json.dumps(message))

        def calls(flag_key: str, users: Sequence[User]) -> list[Call]:
            return [(client.variation, (flag_key, _user(user), False)) for user in users]

        yield calls
        if sink is None:  # else it would send all events first, for half a minute
            client.stop()

    def value(self, answer: Any) -> object:
        """It is the value."""
        return answer

    def loader(self, flags: Sequence[FlagSpec]) -> Callable[[], object]:
        """From JSON to its data storage, as its streaming does."""
        received = json.dumps(_document(flags))

        def load() -> InMemoryDataStorage:
            storage = InMemoryDataStorage()
            version, data = _data_to_dict(json.loads(received))
            assert storage.init(data, version)
            return storage

        return load


def _user(user: User) -> dict[str, Any]:
    attributes = {"country": user.country, "age": user.age, ATTRIBUTE: user.text}
    return {"key": user.key, "name": user.key, **attributes}


def _document(flags: Sequence[FlagSpec]) -> dict[str, Any]:
    segment = {"id": SEGMENT, "updatedAt": STAMP, "included": sorted(MEMBERS), "excluded": []}
    return {
        "eventType": "full",
        "featureFlags": [_flag(each) for each in flags],
        "segments": [segment | {"rules": [], "isArchived": False}],
    }


def _flag(spec: FlagSpec) -> dict[str, Any]:
    conditions = _conditions(spec)
    rule = {"id": "rule", "name": "Rule", "conditions": conditions, **_serve(100)}
    return {
        "id": spec.key,
        "key": spec.key,
        "name": spec.key,
        "updatedAt": STAMP,
        "isEnabled": True,
        "isArchived": False,
        "variationType": "boolean",
        "variations": [{"id": "on", "value": "true"}, {"id": "off", "value": "false"}],
        "disabledVariationId": "off",
        "targetUsers": [{"variationId": "on", "keyIds": list(spec.targets)}] * bool(spec.targets),
        "rules": [rule] * bool(conditions),
        "fallthrough": _serve(spec.share),
        "exptIncludeAllTargets": False,
    }


def _serve(share: int) -> dict[str, Any]:
    intervals: dict[int, dict[str, list[float]]] = {
        0: {"off": [0, 1]},
        50: {"on": [0, 0.5], "off": [0.5, 1]},
        100: {"on": [0, 1]},
    }
    shares = [
        {"id": each, "rollout": interval, "exptRollout": 1}
        for each, interval in intervals[share].items()
    ]
    return {"dispatchKey": None, "includedInExpt": False, "variations": shares}


def _conditions(spec: FlagSpec) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if spec.countries:
        value = json.dumps(list(spec.countries))
        found.append({"property": "country", "op": "IsOneOf", "value": value})
    if spec.adult:
        found.append({"property": "age", "op": "BiggerEqualThan", "value": "18"})
    if spec.segment:
        value = json.dumps([SEGMENT])
        found.append({"property": "User is in segment", "op": None, "value": value})
    if spec.pattern:
        found.append({"property": ATTRIBUTE, "op": "MatchRegex", "value": PATTERN})
    return found
