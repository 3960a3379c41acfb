"""FeatBit's own SDK and ours serve the same variations, but for what is documented."""

from __future__ import annotations

import json
import random
from copy import deepcopy
from pathlib import Path

import pytest

# The exports are shared with the command line's tests; these folders are no installed package.
from cli.tests.exports import REAL, SHOP
from featmesh.engine import Attribute, Context, Reason

from .comparison import Comparison, Tally
from .divergences import COMPARED_OPERATORS, CONDITIONS
from .generated import Generator
from .sides import FeatBit, FeatMesh, Json

pytestmark = pytest.mark.long(10)

SEED = 20_261_123
FLAGS, USERS_PER_FLAG, SEGMENTS = 2_000, 10, 40
ENOUGH = 200
"""At least so many comparisons of each feature, in 20,000 of a flag with a user."""

RARE_ROLLOUTS = {"weight resolution", "topmost bucket"}
"""Too rare for chance: each has a test of its own in test_divergences.py."""

# The shop asks whether `company` is not the empty text, and many users have none.
EXPORTS = [pytest.param(SHOP, {"missing text"}, id="shop")]
if REAL.is_dir():  # data that lies beside the repository, not in it
    EXPORTS.append(pytest.param(REAL, set(), id="real-installation"))


@pytest.fixture(scope="module")
def tally(tmp_path_factory: pytest.TempPathFactory) -> Tally:
    generator = Generator(random.Random(SEED))
    segments = generator.segments(SEGMENTS)
    flags = generator.flags(FLAGS, segments)
    comparison = Comparison(
        FeatBit(flags, segments), FeatMesh(flags, segments, tmp_path_factory.mktemp("export"))
    )
    for flag in flags:
        for _ in range(USERS_PER_FLAG):
            comparison.compare(flag["key"], generator.user())
    return comparison.tally


def test_every_difference_over_random_flags_and_users_is_documented(tally: Tally) -> None:
    print(f"seed {SEED}: {tally.compared['result']} results, {dict(tally.explained)}")  # noqa: T201 - shown when it fails
    assert not tally.unexplained, "\n".join([f"seed {SEED}", *tally.unexplained])
    assert tally.compared["result"] == FLAGS * USERS_PER_FLAG


@pytest.mark.parametrize(
    "feature",
    [
        *sorted(COMPARED_OPERATORS),
        "User is in segment",
        "User is not in segment",
        "rollout of one",
        "rollout by key",
        "rollout by attribute",
        *(f"reason {each}" for each in Reason if each is not Reason.PREREQUISITE_FAILED),
    ],
)
def test_enough_comparisons_reach_each_feature(tally: Tally, feature: str) -> None:
    assert tally.compared[feature] >= ENOUGH


@pytest.mark.parametrize("divergence", [*CONDITIONS])
def test_random_input_reaches_each_divergence_of_conditions(tally: Tally, divergence: str) -> None:
    assert tally.explained[divergence] >= 10


def test_differences_stay_the_exception(tally: Tally) -> None:
    assert 0 < tally.differing_results < 0.1 * tally.compared["result"]


@pytest.mark.parametrize(("folder", "divergences"), EXPORTS)
def test_an_imported_export_serves_every_user_the_same_variation(
    folder: Path, divergences: set[str], tmp_path: Path
) -> None:
    flags, segments = _read(folder)
    comparison = Comparison(FeatBit(flags, segments), FeatMesh(flags, segments, tmp_path))
    source = random.Random(SEED)
    users = [_user_of(source, flags + segments, number) for number in range(500)]
    for flag in flags:
        for user in users:
            comparison.compare(flag["key"], user)
    assert not comparison.tally.unexplained, "\n".join(comparison.tally.unexplained)
    assert set(comparison.tally.explained) == divergences
    assert comparison.tally.compared["result"] == 500 * len(flags)
    assert comparison.tally.compared["reason RULE_MATCH"] >= ENOUGH


@pytest.mark.parametrize("fault", ["operator", "weights", "target", "off", "segment"])
def test_a_planted_fault_is_found(fault: str, tmp_path: Path) -> None:
    generator = Generator(random.Random(SEED))
    segments = generator.segments(SEGMENTS)
    flags = generator.flags(200, segments)
    other_flags, other_segments = deepcopy(flags), deepcopy(segments)
    for flag in other_flags:
        _plant(fault, flag)
    if fault == "segment":
        for segment in other_segments:
            segment["included"], segment["excluded"] = segment["excluded"], segment["included"]
    comparison = Comparison(
        FeatBit(flags, segments), FeatMesh(other_flags, other_segments, tmp_path)
    )
    for flag in flags:
        for _ in range(10):
            comparison.compare(flag["key"], generator.user())
    assert comparison.tally.unexplained


def _plant(fault: str, flag: Json) -> None:
    variations = [each["id"] for each in flag["variations"]]
    if fault == "operator":
        for rule in flag["rules"]:
            for condition in rule["conditions"]:
                condition["op"] = {"Equal": "NotEqual"}.get(condition["op"], condition["op"])
    elif fault == "weights" and len(flag["fallthrough"]["variations"]) == 2:
        first, second = flag["fallthrough"]["variations"]
        first["id"], second["id"] = second["id"], first["id"]
    elif fault == "target":
        for target in flag["targetUsers"]:
            target["variationId"] = variations[target["variationId"] == variations[0]]
    elif fault == "off":
        flag["disabledVariationId"] = variations[0]


def _read(folder: Path) -> tuple[list[Json], list[Json]]:
    flags = json.loads((folder / "flags.json").read_text(encoding="utf-8"))
    segments = json.loads((folder / "segments.json").read_text(encoding="utf-8"))
    return flags, segments


def _user_of(source: random.Random, items: list[Json], number: int) -> Context:
    """Someone who is listed, or has attributes that the export's conditions ask for."""
    listed = [key for item in items for key in item.get("included", [])]
    listed += [
        key for item in items for each in item.get("targetUsers", []) for key in each["keyIds"]
    ]
    key = source.choice(listed) if listed and number % 3 == 0 else f"user-{number}"
    attributes: dict[str, Attribute] = {}
    for item in items:
        for rule in item["rules"]:
            for condition in rule["conditions"]:
                if condition["op"] and source.random() < 0.8:
                    attributes[condition["property"]] = _operand(source, condition)
    name = str(attributes.pop("name", "Ada")) or "Ada"
    attributes.pop("keyId", None)
    return Context(key, name, attributes)


def _operand(source: random.Random, condition: Json) -> str:
    """A text that the condition may or may not hold for."""
    text = str(condition["value"])
    if condition["op"] in {"IsOneOf", "NotOneOf"}:
        return str(source.choice([*json.loads(text), "elsewhere"]))
    if condition["op"] in {"IsTrue", "IsFalse"}:
        return source.choice(["true", "false"])
    if "Than" in condition["op"]:
        return str(float(text) + source.choice([-1, 0, 1]))
    return source.choice([text, "a" + text, text + "a", "a"])
