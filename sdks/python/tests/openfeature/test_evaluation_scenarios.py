"""The scenarios of OpenFeature's evaluation features, by their names, on a real client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagEvaluationDetails

from featmesh import Client, Options
from featmesh.engine import Condition, Flag, Rollout, Rule, Share, Value, ValueType, Variation
from featmesh.openfeature import FeatMeshProvider
from featmesh.testing import TestData

PICTURES = {"showImages": True, "title": "Check out these pics!", "imagesPerPage": 100}

VALUES: list[tuple[str, str, Any, Any, str]] = [
    ("boolean", "boolean-flag", False, True, "on"),
    ("string", "string-flag", "bye", "hi", "greeting"),
    ("integer", "integer-flag", 1, 10, "ten"),
    ("float", "float-flag", 0.1, 0.5, "half"),
    ("object", "object-flag", {}, PICTURES, "template"),
]
ZEROES: list[tuple[str, str, Any, Any]] = [
    ("boolean", "boolean-zero", True, False),
    ("string", "string-zero", "hi", ""),
    ("integer", "integer-zero", 1, 0),
    ("float", "float-zero", 0.1, 0.0),
    ("object", "object-zero", {"a": 1}, {}),
]


def flag(key: str, served: tuple[str, Any], other: tuple[str, Any], *conditions: Condition) -> Flag:
    """Serves `served` to those for whom the conditions hold, `other` to the rest."""
    variations = tuple(Variation(each, each, stored(value)) for each, value in (served, other))
    rule = Rule("r", "Rule", conditions, Rollout((Share(served[0], 100_000),)))
    return Flag(
        key=key,
        value_type=type_of(served[1]),
        variations=variations,
        off_variation_id=other[0],
        rules=(rule,) if conditions else (),
        fallthrough=Rollout((Share(other[0] if conditions else served[0], 100_000),)),
        enabled=True,
    )


def type_of(value: object) -> ValueType:
    by_type = {bool: ValueType.BOOLEAN, str: ValueType.STRING, dict: ValueType.JSON}
    return by_type.get(type(value), ValueType.NUMBER)


def stored(value: Any) -> Value:
    return json.dumps(value) if isinstance(value, dict) else value


@pytest.fixture(scope="module")
def client() -> Iterator[OpenFeatureClient]:
    data = TestData()
    for _, key, default, value, variant in VALUES:
        data.put(flag(key, (variant, value), ("other", default)))
    by_email = Condition("email", "EQUAL", ("ballmer@macrosoft.com",))
    for _, key, default, value in ZEROES:
        data.put(flag(key, ("zero", value), ("other", default)))
        data.put(flag(f"{key}-targeted", ("zero", value), ("none", value), by_email))
    persons = (
        Condition("fn", "EQUAL", ("Sulisław",)),
        Condition("ln", "EQUAL", ("Świętopełk",)),
        Condition("age", "EQUAL", ("29",)),
        Condition("customer", "IS_FALSE"),
    )
    data.put(flag("context-aware", ("in", "INTERNAL"), ("ex", "EXTERNAL"), *persons))
    data.put(flag("wrong-flag", ("text", "uh-oh"), ("other", "x")))
    provider = FeatMeshProvider(Client.for_testing(data), anonymous_key="anonymous")
    api.set_provider_and_wait(provider, "scenarios")
    yield api.get_client("scenarios")
    api.clear_providers()


def details(
    client: OpenFeatureClient, kind: str, key: str, default: Any, **attributes: Any
) -> FlagEvaluationDetails[Any]:
    get = getattr(client, f"get_{kind}_details")
    found: FlagEvaluationDetails[Any] = get(
        key, default, EvaluationContext(attributes=attributes) if attributes else None
    )
    return found


@pytest.mark.parametrize(("kind", "key", "default", "value", "variant"), VALUES)
def test_resolves_value_and_complete_details(
    client: OpenFeatureClient, kind: str, key: str, default: Any, value: Any, variant: str
) -> None:
    assert getattr(client, f"get_{kind}_value")(key, default) == value
    found = details(client, kind, key, default)
    assert (found.value, found.flag_key, found.variant) == (value, key, variant)
    assert (found.reason, found.error_code) == ("STATIC", None)
    assert type(found.value) is type(value)


@pytest.mark.parametrize(("kind", "key", "default", "value"), ZEROES)
def test_resolves_zero_value(
    client: OpenFeatureClient, kind: str, key: str, default: Any, value: Any
) -> None:
    assert (details(client, kind, key, default).value) == value


@pytest.mark.parametrize(("kind", "key", "default", "value"), ZEROES)
@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"email": "ballmer@macrosoft.com"}, "TARGETING_MATCH"),
        ({"email": "ballmer@none.com"}, "DEFAULT"),
        ({"email": None}, "DEFAULT"),
        ({}, "DEFAULT"),
    ],
    ids=["match", "no-match", "null", "empty"],
)
def test_resolves_zero_value_with_targeting(  # noqa: PLR0913, PLR0917 - what the scenario names
    client: OpenFeatureClient,
    attributes: dict[str, Any],
    reason: str,
    kind: str,
    key: str,
    default: Any,
    value: Any,
) -> None:
    found = details(client, kind, f"{key}-targeted", default, **attributes)
    assert (found.value, found.reason) == (value, reason)


def test_resolves_based_on_context(client: OpenFeatureClient) -> None:
    person = {"fn": "Sulisław", "ln": "Świętopełk", "age": 29, "customer": False}
    assert details(client, "string", "context-aware", "EXTERNAL", **person).value == "INTERNAL"
    assert details(client, "string", "context-aware", "EXTERNAL").value == "EXTERNAL"


@pytest.mark.parametrize(("kind", "key", "default", "value", "variant"), VALUES)
def test_flag_not_found(
    client: OpenFeatureClient, kind: str, key: str, default: Any, value: Any, variant: str
) -> None:
    found = details(client, kind, "missing-flag", default)
    assert (found.value, found.reason) == (default, "ERROR")
    assert found.error_code is ErrorCode.FLAG_NOT_FOUND


@pytest.mark.parametrize(
    ("kind", "key", "default"),
    [
        ("integer", "wrong-flag", 13),
        ("string", "boolean-flag", "bye"),
        ("boolean", "string-flag", False),
        ("object", "string-flag", {}),
        ("integer", "float-flag", 1),
    ],
)
def test_type_error(client: OpenFeatureClient, kind: str, key: str, default: Any) -> None:
    found = details(client, kind, key, default)
    assert (found.value, found.reason) == (default, "ERROR")
    assert found.error_code is ErrorCode.TYPE_MISMATCH


@pytest.mark.parametrize(("kind", "key", "default", "value", "variant"), VALUES)
def test_provider_not_ready(kind: str, key: str, default: Any, value: Any, variant: str) -> None:
    offline = Client("", "", options=Options(offline=True))
    api.set_provider_and_wait(FeatMeshProvider(offline, anonymous_key="a"), "empty")
    found = details(api.get_client("empty"), kind, key, default)
    assert (found.value, found.reason) == (default, "ERROR")
    assert found.error_code is ErrorCode.PROVIDER_NOT_READY
    offline.close()


@pytest.mark.parametrize(("kind", "key", "default", "value", "variant"), VALUES)
def test_provider_in_fatal_state(
    kind: str, key: str, default: Any, value: Any, variant: str
) -> None:
    broken = Client.for_testing(TestData())
    api.set_provider_and_wait(FeatMeshProvider(broken, anonymous_key="a"), "fatal")
    broken.close()
    found = details(api.get_client("fatal"), kind, key, default)
    assert (found.value, found.error_code) == (default, ErrorCode.PROVIDER_FATAL)


def test_flag_metadata(client: OpenFeatureClient) -> None:
    found = details(client, "boolean", "boolean-zero-targeted", True, email="ballmer@macrosoft.com")
    assert found.flag_metadata["ruleName"] == "Rule"
    assert found.flag_metadata["inExperiment"] is False
    assert str(found.flag_metadata["version"]).isdigit()
    assert isinstance(found.flag_metadata["revision"], int)
