"""The public API: names and signatures that applications depend on.

A line that changes here is a change that users see; one that goes breaks them.
"""

from __future__ import annotations

import dataclasses
import inspect

import pytest

import featmesh
import featmesh.client
import featmesh.openfeature
import featmesh.opentelemetry
import featmesh.testing

SHARED = {
    "close": "(self, timeout: 'float' = 5.0) -> 'None'",
    "flush": "(self, timeout: 'float' = 5.0) -> 'bool'",
    "on_change": "(self, callback: 'ChangeCallback') -> 'Unsubscribe'",
    "on_flag_change": "(self, flag_key: 'str', callback: 'Callable[[str], None]') -> 'Unsubscribe'",
    "wait_until_ready": "(self, timeout: 'float | None' = 10.0) -> 'bool'",
    "wait_until_ready_async": "(self, timeout: 'float | None' = 10.0) -> 'bool'",
    "revision": "property",
    "status": "property",
}
CLIENT = SHARED | {
    "__init__": "(self, address: 'str', sdk_key: 'str', *, options: 'Options | None' = None, "
    "timing: 'Timing | None' = None) -> 'None'",
    "for_testing": "(source: 'DefinitionSource') -> 'Self'",
    "all_flags": "(self, context: 'Context') -> 'dict[str, Json]'",
    "identify": "(self, context: 'Context') -> 'None'",
    "track": "(self, event_name: 'str', context: 'Context', value: 'float' = 1.0, *, "
    "kind: 'EventKind' = <EventKind.CUSTOM: 'CUSTOM'>) -> 'None'",
    "on_value_change": "(self, flag_key: 'str', context: 'Context', default: 'T', "
    "callback: 'Callable[[T, T], None]') -> 'Unsubscribe'",
    "on_status_change": "(self, callback: 'Callable[[Status], None]') -> 'Unsubscribe'",
    "save_definitions": "(self, path: 'str | os.PathLike[str]') -> 'None'",
    "snapshot": "property",
}
USER_CLIENT = SHARED | {
    "__init__": "(self, address: 'str', sdk_key: 'str', context: 'Context', *, "
    "options: 'Options | None' = None, timing: 'Timing | None' = None) -> 'None'",
    "all_flags": "(self) -> 'dict[str, Json]'",
    "identify": "(self, context: 'Context', timeout: 'float' = 10.0) -> 'bool'",
    "track": "(self, event_name: 'str', value: 'float' = 1.0, *, "
    "kind: 'EventKind' = <EventKind.CUSTOM: 'CUSTOM'>) -> 'None'",
    "on_value_change": "(self, flag_key: 'str', default: 'T', "
    "callback: 'Callable[[T, T], None]') -> 'Unsubscribe'",
    "context": "property",
}
for kind, of in {"boolean": "bool", "string": "str", "number": "float", "json": "Json"}.items():
    with_context = f"(self, flag_key: 'str', context: 'Context', default: '{of}') -> "
    without = f"(self, flag_key: 'str', default: '{of}') -> "
    CLIENT[f"{kind}_value"] = f"{with_context}'{of}'"
    CLIENT[f"{kind}_detail"] = f"{with_context}'EvaluationDetail[{of}]'"
    USER_CLIENT[f"{kind}_value"] = f"{without}'{of}'"
    USER_CLIENT[f"{kind}_detail"] = f"{without}'EvaluationDetail[{of}]'"

TEST_DATA = {
    "__init__": "(self) -> 'None'",
    "set": "(self, flag_key: 'str', value: 'Json') -> 'Self'",
    "set_for": "(self, user_key: 'str', flag_key: 'str', value: 'Json') -> 'Self'",
    "put": "(self, item: 'Flag | Segment') -> 'Self'",
    "delete": "(self, flag_key: 'str') -> 'Self'",
    "attach": "(self, apply: 'Callable[[DefinitionChanges], None]') -> 'Callable[[], None]'",
}

DETAIL_FIELDS = """
    value variation_id reason error_kind rule_id rule_name bucketed in_experiment flag_revision
    prerequisite_key revision
"""
OPTIONS_FIELDS = """
    tls flush_interval event_capacity known_users staleness backoff_first backoff_maximum
    backoff_refused healthy_after keepalive send_timeout send_events offline bootstrap_file
    cache_directory private_attributes hooks
"""


def shape(cls: type) -> dict[str, str]:
    """Signatures of the public methods that the class itself defines."""
    found = {}
    for name, member in vars(cls).items():
        if name.startswith("_") and name != "__init__":
            continue
        if isinstance(member, property):
            found[name] = "property"
        elif inspect.isroutine(member):
            found[name] = str(inspect.signature(getattr(cls, name)))
    return found


@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        (featmesh.Client, CLIENT),
        (featmesh.ClientSideClient, USER_CLIENT),
        (featmesh.testing.TestData, TEST_DATA),
    ],
    ids=["Client", "ClientSideClient", "TestData"],
)
def test_a_class_has_these_methods_and_no_others(cls: type, expected: dict[str, str]) -> None:
    assert shape(cls) == expected


@pytest.mark.parametrize(
    ("cls", "names"),
    [
        (featmesh.Context, "key name attributes private"),
        (featmesh.EvaluationDetail, DETAIL_FIELDS),
        (featmesh.Options, OPTIONS_FIELDS),
    ],
    ids=["Context", "EvaluationDetail", "Options"],
)
def test_a_record_has_these_fields(cls: type, names: str) -> None:
    assert [field.name for field in dataclasses.fields(cls)] == names.split()


def test_modules_export_these_names() -> None:
    assert sorted(featmesh.__all__) == [
        "Client",
        "ClientSideClient",
        "Context",
        "ErrorKind",
        "EvaluationDetail",
        "EventKind",
        "Options",
        "Reason",
        "Status",
        "__version__",
    ]
    assert sorted(featmesh.client.__all__) == [
        "Client",
        "ClientSideClient",
        "DefinitionSource",
        "EvaluationDetail",
        "EvaluationHook",
        "EventKind",
        "Json",
        "Options",
        "Status",
    ]
    assert featmesh.testing.__all__ == ["TestData"]
    assert featmesh.openfeature.__all__ == ["FeatMeshProvider"]


def test_each_name_is_really_there() -> None:
    assert all(getattr(featmesh, name) is not None for name in featmesh.__all__)


def test_words_are_these() -> None:
    assert [*featmesh.Status] == ["INITIALIZING", "READY", "STALE", "OFFLINE", "CLOSED"]
    assert [*featmesh.Reason] == [
        "OFF",
        "PREREQUISITE_FAILED",
        "TARGET_MATCH",
        "RULE_MATCH",
        "FALLTHROUGH",
        "ERROR",
    ]
    assert [*featmesh.ErrorKind] == [
        "FLAG_NOT_FOUND",
        "MALFORMED_FLAG",
        "TYPE_MISMATCH",
        "CLIENT_NOT_READY",
        "INVALID_CONTEXT",
        "GENERAL",
    ]


def test_the_add_ons_are_made_like_this() -> None:
    provider = inspect.signature(featmesh.openfeature.FeatMeshProvider)
    assert str(provider) == (
        "(client: 'Client', *, ready_timeout: 'float' = 10.0, anonymous_key: 'str' = '') -> 'None'"
    )
    hook = inspect.signature(featmesh.opentelemetry.OpenTelemetryHook)
    assert str(hook) == "(*, context_id: 'bool' = True) -> 'None'"
