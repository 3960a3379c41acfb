"""Whatever an application hands in: an answer, no exception, one line in the log at most.

The answers are those of docs/sdk/python.md, "Bad input".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

from featmesh import Client, Context, ErrorKind
from featmesh.client import batches, evaluator, reporter, sender
from featmesh.client.once import OnceLogger
from featmesh.engine import Condition, Flag, Operator, Rollout, Rule, Share, ValueType, Variation

from .frames import ADA, flag, full
from .stage import LIMIT, Stage, quick_options

MEGABYTE = "x" * 1_000_000
TIMES = 3
"""Each input comes so often, so that a line per call would be seen."""


def deep_list(depth: int = 5_000) -> list[Any]:
    nested: list[Any] = []
    for _ in range(depth):
        nested = [nested]
    return nested


def every_operator() -> Flag:
    """A rule per operator, none of which holds for an attribute that makes no sense."""
    rules = tuple(
        Rule(each, each, (Condition("odd", each, ("1", "x")),), Rollout((Share("v", 100_000),)))
        for each in Operator
        if not each.startswith("NOT_")
    )
    return Flag(
        key="rules",
        value_type=ValueType.BOOLEAN,
        variations=(Variation("v", "V", True), Variation("off", "Off", False)),
        off_variation_id="off",
        rules=rules,
        fallthrough=Rollout((Share("v", 50_000), Share("off", 50_000)), dispatch_attribute="odd"),
        enabled=True,
    )


@pytest.fixture(autouse=True)
def nothing_logged_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each cause is logged once per process; a test starts where none has been."""
    for module in (evaluator, batches, reporter, sender):
        monkeypatch.setattr(module, "once", OnceLogger(module.logger))


@pytest.fixture
def client(stage: Stage) -> Iterator[Client]:
    with Client(stage.address, "key", options=quick_options()) as running:
        stage.next_stream().send(full(1, flag("static"), every_operator()))
        assert running.wait_until_ready(LIMIT)
        yield running


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name.startswith("featmesh")]


@pytest.mark.parametrize(
    "key",
    ["", None, 7, [], {}, b"static", "x" * 129, MEGABYTE, "\ud800", "no such flag\n"],
    ids=lambda key: f"{type(key).__name__}-{str(key)[:8]!a}",
)
def test_a_flag_key_that_cannot_be_one_is_not_found(
    client: Client, key: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(TIMES):
        detail = client.boolean_detail(key, ADA, default=True)
        assert (detail.value, detail.error_kind) == (True, ErrorKind.FLAG_NOT_FOUND)
        assert client.boolean_value(key, ADA, default=True)
    assert lines(caplog) == []


@pytest.mark.parametrize(
    "context",
    [
        None,
        "ada",
        {"key": "ada"},
        Context(""),
        Context("x" * 513),
        Context(MEGABYTE),
        Context("\ud800"),
        Context(None),  # type: ignore[arg-type] # what applications do
        Context(7),  # type: ignore[arg-type] # the same
        Context(["ada"]),  # type: ignore[arg-type] # the same
    ],
    ids=lambda context: ascii(context)[:20],
)
def test_a_context_that_cannot_be_one_is_invalid(
    client: Client, context: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(TIMES):
        for key in ("static", "rules"):
            detail = client.boolean_detail(key, context, default=True)
            assert (detail.value, detail.error_kind) == (True, ErrorKind.INVALID_CONTEXT)
        assert client.all_flags(context) == {}
        client.identify(context)
        client.track("bought", context)
    assert len(lines(caplog)) == 1, "the metric event that is dropped, once"


@pytest.mark.parametrize(
    "odd",
    [
        math.nan,
        math.inf,
        -math.inf,
        10**400,
        MEGABYTE,
        "",
        "\ud800",
        None,
        object(),
        b"x",
        [],
        deep_list(),
        [math.nan, None, {}],
        {"a": 1},
        1j,
        range(3),
    ],
    ids=lambda odd: f"{type(odd).__name__}",
)
def test_an_attribute_that_makes_no_sense_costs_no_evaluation(
    stage: Stage, client: Client, odd: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(TIMES):
        context = Context(f"user-{number}", attributes={"odd": odd})
        detail = client.boolean_detail("rules", context, default=True)
        assert detail.error_kind is None
        assert client.boolean_value("static", context, default=False)
        assert set(client.all_flags(context)) == {"rules", "static"}
    assert client.flush(LIMIT)
    sent = [stage.next_batch() for _ in range(stage.tracked.qsize())]
    counted = sum(event.count for batch in sent for event in batch.evaluations)
    assert counted == 2 * TIMES
    assert len(lines(caplog)) <= 1


@pytest.mark.parametrize("attributes", [None, [], "text", 7])
def test_attributes_that_are_no_mapping_are_an_error_of_that_flag_alone(
    client: Client, attributes: Any, caplog: pytest.LogCaptureFixture
) -> None:
    context = Context("ada", attributes=attributes)
    for _ in range(TIMES):
        detail = client.boolean_detail("rules", context, default=True)
        assert (detail.value, detail.error_kind) == (True, ErrorKind.GENERAL)
        assert client.boolean_value("static", context, default=False)
    assert client.flush(LIMIT)
    assert len(lines(caplog)) <= 1


def test_a_default_of_any_type_comes_back_as_it_is(client: Client) -> None:
    for default in (None, math.nan, object(), [1], MEGABYTE):
        assert client.boolean_value("none", ADA, default) is default  # type: ignore[arg-type] # what applications do
        assert client.number_detail("static", ADA, default).value is default


@pytest.mark.parametrize("value", [math.nan, math.inf, "1", None, True, 10**400])
def test_a_metrics_value_is_finite_or_the_event_is_dropped(
    stage: Stage, client: Client, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(TIMES):
        client.track("bought", ADA, value)
    client.track("good", ADA)
    assert client.flush(LIMIT)
    batch = stage.next_batch()
    taken = [metric.name for metric in batch.metrics]
    assert (taken, batch.dropped_events) in (
        (["good"], TIMES),
        (["bought"] * TIMES + ["good"], 0),
    )
    assert len(lines(caplog)) <= 1


@pytest.mark.parametrize("name", ["", None, 7, "x" * 129, MEGABYTE, "\ud800"])
def test_a_metrics_name_is_1_to_128_bytes_or_the_event_is_dropped(
    stage: Stage, client: Client, name: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(TIMES):
        client.track(name, ADA)
    assert client.flush(LIMIT)
    assert stage.next_batch().dropped_events == TIMES
    assert len(lines(caplog)) <= 1
