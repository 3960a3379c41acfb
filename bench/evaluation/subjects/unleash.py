"""UnleashClient, bootstrapped and never initialised, so that it polls nobody."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from UnleashClient import UnleashClient
from UnleashClient.cache import FileCache
from yggdrasil_engine.engine import UnleashEngine

from bench.evaluation.subject import Call, Calls
from bench.evaluation.workload import MEMBERS, SEGMENT, FlagSpec, User

SEGMENT_ID = 1


class Unleash:
    """See `Subject`. Its engine, in native code, always counts; only sending can be off."""

    has_segments = events = is_native = True
    has_switchable_events = has_patterns = False

    @contextmanager
    def open(self, flags: Sequence[FlagSpec], folder: Path, *, sink: str | None) -> Iterator[Calls]:
        """The client with its file cache in a folder that goes away."""
        cache = FileCache("bench", directory=str(folder))
        cache.bootstrap_from_dict(_document(flags))
        client = UnleashClient(
            "http://127.0.0.1:1/api",
            "bench",
            cache=cache,
            disable_metrics=True,
            disable_registration=True,
        )
        try:

            def calls(flag_key: str, users: Sequence[User]) -> list[Call]:
                return [(client.is_enabled, (flag_key, _context(user))) for user in users]

            yield calls
        finally:
            client.destroy()

    def value(self, answer: Any) -> object:
        """It is the value."""
        return answer

    def loader(self, flags: Sequence[FlagSpec]) -> Callable[[], object]:
        """From JSON to its engine."""
        received = json.dumps(_document(flags))

        def load() -> UnleashEngine:
            engine = UnleashEngine()
            engine.take_state(received)
            return engine

        return load


def _context(user: User) -> dict[str, Any]:
    return {"userId": user.key, "properties": {"country": user.country, "age": str(user.age)}}


def _document(flags: Sequence[FlagSpec]) -> dict[str, Any]:
    members = {"contextName": "userId", "operator": "IN", "values": sorted(MEMBERS)}
    return {
        "version": 2,
        "features": [_feature(each) for each in flags],
        "segments": [{"id": SEGMENT_ID, "name": SEGMENT, "constraints": [members]}],
    }


def _feature(spec: FlagSpec) -> dict[str, Any]:
    return {
        "name": spec.key,
        "type": "release",
        "enabled": bool(strategies := _strategies(spec)),
        "strategies": strategies,
    }


def _strategies(spec: FlagSpec) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if spec.targets:
        found.append({"name": "userWithId", "parameters": {"userIds": ",".join(spec.targets)}})
    if spec.countries:
        clauses: list[dict[str, Any]] = [
            {"contextName": "country", "operator": "IN", "values": list(spec.countries)},
            {"contextName": "age", "operator": "NUM_GTE", "value": "18"},
        ]
        found.append({"name": "default", "parameters": {}, "constraints": clauses})
    if spec.segment:
        found.append({"name": "default", "parameters": {}, "segments": [SEGMENT_ID]})
    if spec.share == 100:
        found.append({"name": "default", "parameters": {}})
    if spec.share == 50:
        parameters = {"rollout": "50", "stickiness": "userId", "groupId": spec.key}
        found.append({"name": "flexibleRollout", "parameters": parameters})
    return found
