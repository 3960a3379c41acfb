from __future__ import annotations

import json
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from featmesh import Client, Context, Options
from featmesh.client import EvaluationDetail
from featmesh.opentelemetry import OpenTelemetryHook

ADA = Context("ada")


def evaluated(hook: OpenTelemetryHook, path: Path | None) -> dict[str, object]:
    """The attributes of the event that an evaluation wrote into a span."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    options = Options(offline=True, hooks=[hook], bootstrap_file=path)
    client = Client("", "", options=options)
    with provider.get_tracer("test").start_as_current_span("request"):
        client.boolean_value("dark", ADA, default=True)
    client.boolean_value("dark", ADA, default=True)  # outside: written nowhere
    (span,) = exporter.get_finished_spans()
    (event,) = span.events
    assert event.name == "feature_flag.evaluation"
    return dict(event.attributes or {})


def test_an_evaluation_is_an_event_of_the_current_span(tmp_path: Path) -> None:
    path = tmp_path / "flags.json"
    dark = {
        "key": "dark",
        "valueType": "VALUE_TYPE_BOOLEAN",
        "revision": 7,
        "variations": [{"id": "off", "value": {"boolValue": False}}],
        "offVariationId": "off",
    }
    path.write_text(json.dumps({"items": [{"flag": dark}]}))
    assert evaluated(OpenTelemetryHook(), path) == {
        "feature_flag.key": "dark",
        "feature_flag.provider.name": "FeatMesh",
        "feature_flag.context.id": "ada",
        "feature_flag.result.reason": "disabled",
        "feature_flag.result.variant": "off",
        "feature_flag.version": "7",
    }


def test_an_error_names_its_type_and_the_default_that_was_served() -> None:
    assert evaluated(OpenTelemetryHook(context_id=False), None) == {
        "feature_flag.key": "dark",
        "feature_flag.provider.name": "FeatMesh",
        "feature_flag.result.reason": "error",
        "feature_flag.result.value": True,
        "error.type": "provider_not_ready",
        "feature_flag.error.message": "the caller's default was served: CLIENT_NOT_READY",
    }


def test_a_hook_that_fails_is_logged_once_and_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken:
        def after_evaluation(
            self, flag_key: str, context: Context, detail: EvaluationDetail[object]
        ) -> None:
            raise RuntimeError(flag_key)

    client = Client("", "", options=Options(offline=True, hooks=[Broken()]))
    assert [client.string_value("any", ADA, "x") for _ in range(3)] == ["x"] * 3
    assert caplog.text.count("the hook Broken failed") == 1
