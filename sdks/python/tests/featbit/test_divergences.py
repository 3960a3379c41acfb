"""Each documented divergence by itself, and that the document names exactly these."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from featmesh.engine import Attribute, Context, ErrorKind

from .comparison import Comparison, Tally
from .divergences import CONDITIONS, ROLLOUTS, USERS
from .generated import STAMP
from .sides import NO_VARIATION, FeatBit, FeatMesh, Json

DOCUMENT = Path(__file__).parents[4] / "docs" / "protocol" / "featbit.md"

FINE_END_KEY = "user-408154"
"""Its bucket for the flag "fine-end" is 0.5000026 of all."""

Compare = Callable[[Json, Context], Tally]


@pytest.fixture
def compare(tmp_path: Path) -> Compare:
    def compare_one(flag: Json, user: Context) -> Tally:
        comparison = Comparison(FeatBit([flag], []), FeatMesh([flag], [], tmp_path))
        comparison.compare(flag["key"], user)
        return comparison.tally

    return compare_one


@pytest.mark.parametrize(
    ("divergence", "condition", "attributes"),
    [
        ("built-in names", ("KEYID", "Equal", "ada"), {}),
        ("missing text", ("company", "NotEqual", ""), {}),
        ("missing text", ("company", "IsOneOf", '["", "acme"]'), {}),
        ("list attribute", ("groups", "IsOneOf", '["staff"]'), {"groups": ("beta", "staff")}),
        ("text form", ("member", "Equal", "true"), {"member": True}),
        ("text form", ("score", "Equal", "10.0"), {"score": 10.0}),
        ("number syntax", ("age", "BiggerThan", "18"), {"age": "1_000"}),
        ("number syntax", ("age", "LessThan", "inf"), {"age": "18"}),
        ("number rounding", ("age", "BiggerEqualThan", "21"), {"age": "20.999999"}),
        ("pattern dialect", ("city", "MatchRegex", "n$"), {"city": "Berlin\n"}),
        ("pattern dialect", ("city", "NotMatchRegex", r"^\w+$"), {"city": "München"}),
        ("pattern dialect", ("city", "MatchRegex", r"^\pL+$"), {"city": "München"}),
    ],
)
def test_a_condition_differs_as_documented(
    compare: Compare,
    divergence: str,
    condition: tuple[str, str, str],
    attributes: dict[str, Attribute],
) -> None:
    tally = compare(flag_with_rule(condition), Context("ada", "Ada", attributes))
    assert not tally.unexplained
    assert (tally.differing_results, dict(tally.explained)) == (1, {divergence: 1})


@pytest.mark.parametrize(
    ("condition", "attributes"),
    [
        (("company", "NotEqual", "acme"), {}),
        (("groups", "NotOneOf", '["acme"]'), {"groups": ("staff",)}),
        (("member", "IsTrue", ""), {"member": True}),
        (("score", "BiggerThan", "9.5"), {"score": 10.0}),
        (("age", "BiggerThan", "18"), {"age": " 21 "}),
        (("age", "BiggerThan", "20.99999"), {"age": "21"}),
        (("city", "MatchRegex", "^B.*n$"), {"city": "Berlin"}),
    ],
)
def test_what_lies_beside_a_divergence_is_the_same(
    compare: Compare, condition: tuple[str, str, str], attributes: dict[str, Attribute]
) -> None:
    tally = compare(flag_with_rule(condition), Context("ada", "Ada", attributes))
    assert not tally.unexplained
    assert not tally.explained


def test_an_end_between_two_weights_differs_for_the_bucket_between_them(compare: Compare) -> None:
    # This key's bucket lies between 0.500004, FeatBit's end, and our 0.5.
    flag = flag_of("fine-end", (0, 0.500004, 1))
    tally = compare(flag, Context(FINE_END_KEY, "Ada"))
    assert not tally.unexplained
    assert dict(tally.explained) == {"weight resolution": 1}


def test_the_topmost_bucket_is_the_last_shares(compare: Compare) -> None:
    # Found by trying some six thousand million keys: bucket("top-bucketuser-…") is 2^31.
    tally = compare(flag_of("top-bucket", (0, 0.5, 1)), Context("user-1770bd565", "Ada"))
    assert not tally.unexplained
    assert dict(tally.explained) == {"topmost bucket": 1}


def test_what_a_rollout_hashes_differs_in_its_text_alone(compare: Compare) -> None:
    flag = flag_of("by-score", (0, 0.5, 1), dispatch="score")
    differing = [
        compare(flag, Context("ada", "Ada", {"score": float(number)})) for number in range(20)
    ]
    same = [compare(flag, Context("ada", "Ada", {"score": str(number)})) for number in range(20)]
    assert not any(each.unexplained for each in differing + same)
    assert sum(each.explained["text form"] for each in differing) > 2
    assert not any(each.explained for each in same)


@pytest.mark.parametrize("user", [Context("ada"), Context("ada", " "), Context(" ", "Ada")])
def test_featbit_refuses_users_whom_we_serve(user: Context, tmp_path: Path) -> None:
    flag = flag_of("static", (0, 1))
    assert FeatBit([flag], []).variation_id("static", user) == NO_VARIATION
    assert FeatMesh([flag], [], tmp_path).result("static", user).variation_id == "v0"


def test_a_key_above_512_bytes_is_served_by_featbit_alone(tmp_path: Path) -> None:
    flag, user = flag_of("static", (0, 1)), Context("k" * 513, "Ada")
    assert FeatBit([flag], []).variation_id("static", user) == "v0"
    result = FeatMesh([flag], [], tmp_path).result("static", user)
    assert result.error_kind is ErrorKind.INVALID_CONTEXT


def test_the_document_explains_exactly_these_divergences() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    explained = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert explained == {*CONDITIONS, *ROLLOUTS, *USERS}


def flag_of(key: str, ends: tuple[float, ...], dispatch: str | None = None) -> Json:
    """A flag whose fallthrough has a share between each two ends."""
    return {
        "id": key,
        "key": key,
        "name": key,
        "updatedAt": STAMP,
        "variationType": "string",
        "variations": [{"id": f"v{each}", "name": "", "value": ""} for each in range(len(ends))],
        "targetUsers": [],
        "rules": [],
        "isEnabled": True,
        "disabledVariationId": "v0",
        "fallthrough": {
            "dispatchKey": dispatch,
            "includedInExpt": False,
            "variations": [
                {"id": f"v{number}", "rollout": list(interval), "exptRollout": 1}
                for number, interval in enumerate(pairwise(ends))
            ],
        },
        "exptIncludeAllTargets": False,
        "isArchived": False,
    }


def flag_with_rule(condition: tuple[str, str, str]) -> Json:
    """A flag that serves v1 where the condition holds, else v0."""
    flag = flag_of("ruled", (0, 1))
    rule = dict(zip(("property", "op", "value"), condition, strict=True))
    shares = [{"id": "v1", "rollout": [0, 1], "exptRollout": 1}]
    flag["rules"] = [
        {
            "id": "rule",
            "name": "",
            "conditions": [rule],
            "dispatchKey": None,
            "includedInExpt": False,
            "variations": shares,
        }
    ]
    return flag
