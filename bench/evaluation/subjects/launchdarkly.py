"""launchdarkly-server-sdk with its file data source."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ldclient.client import LDClient
from ldclient.config import Config
from ldclient.context import Context
from ldclient.feature_store import InMemoryFeatureStore
from ldclient.integrations import Files
from ldclient.versioned_data_kind import FEATURES, SEGMENTS

from bench.evaluation.subject import Call, Calls
from bench.evaluation.workload import ATTRIBUTE, MEMBERS, PATTERN, SEGMENT, FlagSpec, User


class LaunchDarkly:
    """See `Subject`."""

    has_segments = has_switchable_events = events = has_patterns = True
    is_native = False

    @contextmanager
    def open(self, flags: Sequence[FlagSpec], folder: Path, *, sink: str | None) -> Iterator[Calls]:
        """The client; without a sink it sends no events."""
        file = folder / "launchdarkly.json"
        file.write_text(json.dumps(_document(flags)), encoding="utf-8")
        config = Config(
            "sdk-key",
            update_processor_class=Files.new_data_source(paths=[str(file)]),
            send_events=sink is not None,
            events_uri=sink or "http://127.0.0.1:1",
            diagnostic_opt_out=True,
        )
        with LDClient(config) as client:

            def calls(flag_key: str, users: Sequence[User]) -> list[Call]:
                return [(client.variation, (flag_key, _context(user), False)) for user in users]

            yield calls

    def value(self, answer: Any) -> object:
        """It is the value."""
        return answer

    def loader(self, flags: Sequence[FlagSpec]) -> Callable[[], object]:
        """From JSON to its feature store, as its streaming data source does."""
        received = json.dumps(_document(flags))

        def load() -> InMemoryFeatureStore:
            data = json.loads(received)
            store = InMemoryFeatureStore()
            store.init(
                {
                    FEATURES: {k: FEATURES.decode(v) for k, v in data["flags"].items()},
                    SEGMENTS: {k: SEGMENTS.decode(v) for k, v in data["segments"].items()},
                }
            )
            return store

        return load


def _context(user: User) -> Context:
    builder = Context.builder(user.key)
    return (
        builder.set("country", user.country).set("age", user.age).set(ATTRIBUTE, user.text).build()
    )


def _document(flags: Sequence[FlagSpec]) -> dict[str, Any]:
    segment = {"key": SEGMENT, "version": 1, "included": sorted(MEMBERS), "excluded": []}
    return {
        "flags": {each.key: _flag(each) for each in flags},
        "segments": {SEGMENT: segment | {"rules": [], "salt": ""}},
    }


def _flag(spec: FlagSpec) -> dict[str, Any]:
    clauses = _clauses(spec)
    shares = [{"variation": 0, "weight": 50_000}, {"variation": 1, "weight": 50_000}]
    fixed = {"variation": 0 if spec.share else 1}
    return {
        "key": spec.key,
        "version": 1,
        "on": True,
        "salt": spec.key,
        "variations": [True, False],
        "offVariation": 1,
        "prerequisites": [],
        "targets": [{"variation": 0, "values": list(spec.targets)}] if spec.targets else [],
        "rules": [{"id": "rule", "variation": 0, "clauses": clauses}] if clauses else [],
        "fallthrough": {"rollout": {"variations": shares}} if spec.share == 50 else fixed,
    }


def _clauses(spec: FlagSpec) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if spec.countries:
        found.append({"attribute": "country", "op": "in", "values": list(spec.countries)})
    if spec.adult:
        found.append({"attribute": "age", "op": "greaterThanOrEqual", "values": [18]})
    if spec.segment:
        found.append({"attribute": "", "op": "segmentMatch", "values": [SEGMENT]})
    if spec.pattern:
        found.append({"attribute": ATTRIBUTE, "op": "matches", "values": [PATTERN]})
    return found
