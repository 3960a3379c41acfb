from __future__ import annotations

from typing import Any

import bson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.storage.mongodb.resources.deltas import apply, diff

VALUES = st.one_of(st.booleans(), st.integers(-2, 2), st.floats(-1, 1), st.text("ab", max_size=2))
TEXTS = st.lists(st.sampled_from("abcdefgh"), max_size=10)
OBJECTS = st.dictionaries(st.sampled_from("xyz"), VALUES | TEXTS, max_size=3)
DOCUMENTS = st.dictionaries(
    st.sampled_from("pqrst"),
    st.one_of(VALUES, TEXTS, OBJECTS, st.lists(OBJECTS, max_size=4)),
    max_size=5,
)


def exact(document: dict[str, Any]) -> dict[str, bytes]:
    """Each field as it is stored: types and the order of lists are told apart."""
    return {name: bson.encode({"": value}) for name, value in document.items()}


def sorted_fields(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: sorted_fields(value[name]) for name in sorted(value)}
    return [sorted_fields(each) for each in value] if isinstance(value, list) else value


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(DOCUMENTS, DOCUMENTS)
def test_a_patch_makes_exactly_the_new_document_of_the_old_one(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    before = exact(sorted_fields(old))
    stored = bson.decode(bson.encode(diff(old, new)))
    assert exact(sorted_fields(apply(old, stored))) == exact(sorted_fields(new))
    assert exact(sorted_fields(old)) == before, "the old one is as it was"


def test_a_few_keys_of_a_long_list_make_a_small_patch() -> None:
    keys = [f"user-{number}" for number in range(10_000)]
    old = {"targets": [{"variation_id": "on", "keys": keys}], "enabled": True}
    changed = ["new", *keys[:50], *keys[51:7_000], "other", *keys[7_000:]]
    new = {"targets": [{"variation_id": "on", "keys": changed}], "enabled": False}
    patch = diff(old, new)
    assert len(bson.encode(patch)) < 500
    assert apply(old, patch) == new
