from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featmesh.engine import Context, Snapshot, evaluate, evaluate_all
from featmesh.wire import flag_from_proto, segment_from_proto
from featmesh_cli.featbit import locate, read_export
from featmesh_cli.featbit.keys import key_from_name
from featmesh_cli.featbit.rollouts import weights_of

from .exports import (
    REAL,
    SHOP,
    condition,
    small_flag,
    small_rollout,
    small_rule,
    small_segment,
    write_export,
)

EXPORTS = [pytest.param(SHOP, id="shop")]
if REAL.is_dir():  # data that lies beside the repository, not in it
    EXPORTS.append(pytest.param(REAL, id="real-installation"))


def faults_of(tmp_path: Path, flags: object, segments: object = ()) -> list[str]:
    return [str(fault) for fault in read_export(*write_export(tmp_path, flags, segments)).faults]


def snapshot_of(folder: Path) -> Snapshot:
    export = read_export(folder / "flags.json", folder / "segments.json")
    assert not export.faults
    return Snapshot.build(
        1,
        [flag_from_proto(resource.flag) for resource in export.flags],
        [segment_from_proto(resource.segment) for resource in export.segments],
    )


@pytest.mark.parametrize("folder", EXPORTS)
def test_an_export_is_read_without_faults_and_every_live_flag_evaluates(folder: Path) -> None:
    snapshot = snapshot_of(folder)
    assert snapshot.faults == ()
    results = evaluate_all(snapshot, Context("somebody"), 0)
    assert results
    assert all(result.error_kind is None for result in results.values())


@pytest.mark.parametrize("folder", EXPORTS)
def test_items_keep_their_keys_and_the_order_of_the_file(folder: Path) -> None:
    export = read_export(folder / "flags.json", folder / "segments.json")
    flags = json.loads((folder / "flags.json").read_text(encoding="utf-8"))
    segments = json.loads((folder / "segments.json").read_text(encoding="utf-8"))
    assert [one.flag.key for one in export.flags] == [one["key"] for one in flags]
    assert [one.segment.id for one in export.segments] == [one["id"] for one in segments]


def test_the_shop_serves_as_its_descriptions_say() -> None:
    snapshot = snapshot_of(SHOP)

    def value(flag: str, key: str, **attributes: Any) -> object:
        return evaluate(snapshot, flag, Context(key, attributes=attributes), 0).value

    assert value("checkout-enabled", "anyone") is True
    assert value("new-search", "maya") is True
    assert value("free-shipping-threshold", "x", plan="gold") == 0
    assert value("free-shipping-threshold", "x", country="us") == 49.9
    assert value("homepage-banner", "x", country="de") == "Free returns within 60 days"
    assert value("one-click-buy", "x", age=17.0) is False
    assert value("reviews-with-photos", "x") is False
    assert value("christmas-2025-theme", "x") is None


def test_a_small_export_becomes_our_definitions(tmp_path: Path) -> None:
    flag = small_flag(rules=[small_rule(condition("country", "IsOneOf", '["de","at"]'))])
    export = read_export(*write_export(tmp_path, [flag], [small_segment()]))
    assert export.faults == ()
    (resource,), (segment,) = export.flags, export.segments
    assert [share.weight for share in resource.flag.fallthrough.shares] == [10_000, 90_000]
    assert list(resource.flag.rules[0].conditions[0].values) == ["de", "at"]
    assert resource.flag.include_all_targets
    assert segment.segment.id == "segment-1"
    assert segment.segment.key == "beta-testers"


def test_members_of_a_newer_featbit_are_kept(tmp_path: Path) -> None:
    flag = small_flag(tags=["ui"], description="Night owls")
    export = read_export(*write_export(tmp_path, [flag], [small_segment(key="Beta.1")]))
    assert export.faults == ()
    assert list(export.flags[0].tags) == ["ui"]
    assert export.flags[0].description == "Night owls"
    assert export.segments[0].segment.key == "Beta.1"


FLAG_FAULTS = [
    pytest.param(
        {"rules": [small_rule(condition("a", "Foo", "b"))]},
        'flags.json: [0].rules[0].conditions[0].op: unknown operator "Foo"',
        id="unknown-operator",
    ),
    pytest.param(
        {"rules": [small_rule(condition("a", None, "b"))]},
        "flags.json: [0].rules[0].conditions[0].op: unknown operator null",
        id="no-operator",
    ),
    pytest.param(
        {"rules": [small_rule(condition("User is in segment", None, '["gone"]'))]},
        'flags.json: [0].rules[0].conditions[0].value: unknown segment "gone"',
        id="unknown-segment",
    ),
    pytest.param(
        {"rules": [small_rule(condition("a", "IsOneOf", "de,at"))]},
        "flags.json: [0].rules[0].conditions[0].value: "
        "must be a JSON list of texts, written as a text",
        id="list-that-is-none",
    ),
    pytest.param(
        {"rules": [small_rule(condition("a", "MatchRegex", "(?<=x)y"))]},
        "flags.json: [0].rules[0].conditions[0].value: "
        'is not a pattern in RE2\'s syntax: "(?<=x)y"',
        id="pattern-that-re2-refuses",
    ),
    pytest.param(
        {"disabledVariationId": "maybe"},
        'flags.json: [0].disabledVariationId: unknown variation "maybe"',
        id="unknown-off-variation",
    ),
    pytest.param(
        {"targetUsers": [{"keyIds": ["a"], "variationId": "maybe"}]},
        'flags.json: [0].targetUsers[0].variationId: unknown variation "maybe"',
        id="unknown-target-variation",
    ),
    pytest.param(
        {"fallthrough": small_rollout(("maybe", 0, 1))},
        'flags.json: [0].fallthrough.variations[0].id: unknown variation "maybe"',
        id="unknown-rollout-variation",
    ),
    pytest.param(
        {"fallthrough": small_rollout(("on", 0, 0.4), ("off", 0.5, 1))},
        "flags.json: [0].fallthrough.variations[1].rollout: "
        "leaves a gap: starts at 0.5, not at 0.4",
        id="gap",
    ),
    pytest.param(
        {"fallthrough": small_rollout(("on", 0, 0.6), ("off", 0.5, 1))},
        "flags.json: [0].fallthrough.variations[1].rollout: overlaps: starts at 0.5, not at 0.6",
        id="overlap",
    ),
    pytest.param(
        {"fallthrough": small_rollout(("on", 0, 0.9))},
        "flags.json: [0].fallthrough.variations[0].rollout: "
        "leaves a gap: the last one ends at 0.9, not at 1",
        id="rollout-that-ends-early",
    ),
    pytest.param(
        {"fallthrough": None},
        "flags.json: [0].fallthrough: must be an object, not null",
        id="no-fallthrough",
    ),
    pytest.param(
        {"key": "dark mode"},
        'flags.json: [0].key: "dark mode" is no key: 1 to 128 of the characters a-z A-Z 0-9 . _ -',
        id="key-characters",
    ),
    pytest.param(
        {"isEnabled": "yes"},
        "flags.json: [0].isEnabled: must be true or false, not a text",
        id="wrong-type",
    ),
    pytest.param(
        {"variationType": "colour"},
        'flags.json: [0].variationType: unknown type "colour"; '
        "known are boolean, string, number, json",
        id="unknown-value-type",
    ),
]


@pytest.mark.parametrize(("changed", "fault"), FLAG_FAULTS)
def test_a_fault_is_reported_once_with_its_path(
    tmp_path: Path, changed: dict[str, Any], fault: str
) -> None:
    assert faults_of(tmp_path, [small_flag(**changed)]) == [fault]


@pytest.mark.parametrize(
    ("value_type", "text"),
    [("boolean", "yes"), ("number", "twelve"), ("number", "1e999"), ("json", "{"), ("json", "NaN")],
)
def test_a_value_that_is_not_of_the_flags_type_is_a_fault(
    tmp_path: Path, value_type: str, text: str
) -> None:
    good = {"boolean": "true", "number": "1", "json": "{}"}[value_type]
    flag = small_flag(
        variationType=value_type,
        variations=[{"id": "on", "value": good}, {"id": "off", "value": text}],
    )
    (fault,) = faults_of(tmp_path, [flag])
    assert fault.startswith("flags.json: [0].variations[1].value: must be ")


def test_duplicate_keys_and_ids_are_faults(tmp_path: Path) -> None:
    segments = [small_segment(key="a"), small_segment(key="a")]
    assert faults_of(tmp_path, [small_flag(), small_flag()], segments) == [
        'flags.json: [1].key: duplicate flag key "dark-mode", first at [0].key',
        'segments.json: [1].id: duplicate segment id "segment-1", first at [0].id',
        'segments.json: [1].key: duplicate segment key "a", first at [0].key',
    ]


def test_all_faults_of_both_files_are_reported_together(tmp_path: Path) -> None:
    flag = small_flag(key="a b", isEnabled=None, disabledVariationId="x")
    assert len(faults_of(tmp_path, [flag, 7], [small_segment(included="ada")])) == 5


@pytest.mark.parametrize(
    "content",
    [b"[", b"\xff\xfe", b"[NaN]", b"[" * 100_000, b"{}", b"null", b"[1e99999999999999999999]"],
)
def test_a_file_that_is_no_json_list_of_objects_is_one_fault(
    tmp_path: Path, content: bytes
) -> None:
    flags, segments = write_export(tmp_path, [], [])
    flags.write_bytes(content)
    (fault,) = read_export(flags, segments).faults
    assert fault.file == "flags.json"


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    _, segments = write_export(tmp_path, [], [])
    (fault,) = read_export(tmp_path / "none.json", segments).faults
    assert "cannot be read" in fault.message


def test_ends_that_were_added_up_in_binary_floating_point_are_taken(tmp_path: Path) -> None:
    shares = small_rollout(("on", 0, 0.1 + 0.2), ("off", 0.3, 1))
    export = read_export(*write_export(tmp_path, [small_flag(fallthrough=shares)], []))
    assert export.faults == ()
    weights = [share.weight for share in export.flags[0].flag.fallthrough.shares]
    assert weights == [30_000, 70_000]


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=100).filter(any))
def test_weights_always_add_up_and_are_off_by_less_than_one(parts: list[int]) -> None:
    total = sum(parts)
    widths = [Decimal(part) / total for part in parts]
    weights = weights_of(widths)
    assert sum(weights) == 100_000
    assert all(
        abs(weight - width * 100_000) < 1 for weight, width in zip(weights, widths, strict=True)
    )


def test_a_key_made_from_a_name_is_valid_and_not_taken() -> None:
    assert key_from_name("Beta testers (EU)", ()) == "beta-testers-eu"
    assert key_from_name("Beta", {"beta", "beta-2"}) == "beta-3"
    assert key_from_name("测试", ()) == "segment"
    assert len(key_from_name("x" * 500, {"x" * 128})) == 128


@pytest.mark.parametrize(
    ("field", "place"),
    [
        ("flags[12].display_name", "flags[12].name"),
        (
            "flags[3].flag.rules[0].conditions[1].values[9]",
            "flags[3].rules[0].conditions[1].value",
        ),
        (
            "flags[3].flag.fallthrough.shares[1].variation_id",
            "flags[3].fallthrough.variations[1].id",
        ),
        (
            "flags[0].flag.rules[2].rollout.shares[0].weight",
            "flags[0].rules[2].variations[0].rollout",
        ),
        ("flags[0].flag.targets[1].variation_id", "flags[0].targetUsers[1].variationId"),
        ("flags[0].flag.variations[1].value.json_value", "flags[0].variations[1].value"),
        (
            "segments[1].segment.rules[0].conditions[0].operator",
            "segments[1].rules[0].conditions[0].op",
        ),
    ],
)
def test_a_field_of_the_request_is_found_in_its_file(field: str, place: str) -> None:
    position = locate(field)
    assert position is not None
    assert position.file + position.path == place


def test_a_field_that_stems_from_no_file_has_no_place() -> None:
    assert locate("parent") is None
