"""What differs between two documents, as a document; so that history keeps no copies of long lists.

An object's patch has ``set`` (fields and values), ``unset`` (fields) and ``in`` (fields and
patches). A list's has either ``at`` (index and patch of elements that are objects), or
``cut`` (start and count of runs of the old list) and ``put`` (start in the new list, values).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import bson

from services.storage.mongodb.driver.client import Document


def diff(old: Document, new: Document) -> Document:
    """The patch that makes ``new`` of ``old``, exactly, types and order included."""
    patch: Document = {}
    unset = [field for field in old if field not in new]
    if unset:
        patch["unset"] = unset
    for field, value in new.items():
        if field not in old:
            patch.setdefault("set", {})[field] = value
        elif not _same(old[field], value):
            inner = _inner(old[field], value)
            where = "set" if inner is None else "in"
            patch.setdefault(where, {})[field] = value if inner is None else inner
    return patch


def apply(old: Document, patch: Document) -> Document:
    """The new document; what is not patched is shared with the old one."""
    new = {field: value for field, value in old.items() if field not in patch.get("unset", ())}
    new |= patch.get("set", {})
    for field, inner in patch.get("in", {}).items():
        new[field] = _patched(old.get(field), inner)
    return new


def changed_fields(patch: Document) -> frozenset[str]:
    """Fields of the new document that are not as in the old one."""
    return frozenset({*patch.get("set", {}), *patch.get("in", {})})


def _patched(old: Any, patch: Document) -> Any:
    if "at" in patch:
        elements = list(old)
        for index, inner in patch["at"]:
            elements[index] = apply(elements[index], inner)
        return elements
    if "cut" in patch:
        return _spliced(old or [], patch)
    return apply(old or {}, patch)


def _same(one: Any, other: Any) -> bool:
    """Also in type, where Python takes True for 1."""
    if type(one) is not type(other) or (isinstance(one, list) and len(one) != len(other)):
        return False
    return one is other or bson.encode({"": one}) == bson.encode({"": other})


def _inner(old: Any, new: Any) -> Document | None:
    """A patch for a value that differs, None where only the whole value will do."""
    if isinstance(old, dict) and isinstance(new, dict):
        return diff(old, new)
    if not isinstance(old, list) or not isinstance(new, list):
        return None
    return _texts(old, new) or _elements(old, new)


def _texts(old: list[Any], new: list[Any]) -> Document | None:
    """Of lists of different texts whose common ones are in one order."""
    there, wanted = _set_of(old), _set_of(new)
    if there is None or wanted is None:
        return None
    if [each for each in old if each in wanted] != [each for each in new if each in there]:
        return None
    cut = _runs(index for index, each in enumerate(old) if each not in wanted)
    put = _runs(index for index, each in enumerate(new) if each not in there)
    return {"cut": cut, "put": [[start, new[start : start + count]] for start, count in put]}


def _set_of(values: list[Any]) -> set[str] | None:
    if not all(isinstance(value, str) for value in values):
        return None
    found = set(values)
    return found if len(found) == len(values) else None


def _runs(indices: Iterable[int]) -> list[list[int]]:
    """Start and length of what follows each other."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == sum(runs[-1]):
            runs[-1][1] += 1
        else:
            runs.append([index, 1])
    return runs


def _elements(old: list[Any], new: list[Any]) -> Document:
    """What lies between the elements that are alike at both ends."""
    shorter = min(len(old), len(new))
    start = _alike(old, new, shorter)
    end = _alike(old[::-1], new[::-1], shorter - start)
    before, after = old[start : len(old) - end], new[start : len(new) - end]
    if len(before) == len(after) and all(isinstance(each, dict) for each in before + after):
        pairs = enumerate(zip(before, after, strict=True), start)
        return {"at": [[n, diff(one, other)] for n, (one, other) in pairs if not _same(one, other)]}
    return {"cut": [[start, len(before)]] if before else [], "put": [[start, after]]}


def _alike(old: list[Any], new: list[Any], most: int) -> int:
    for index in range(most):
        if not _same(old[index], new[index]):
            return index
    return most


def _spliced(old: list[Any], patch: Document) -> list[Any]:
    kept: list[Any] = []
    taken = 0
    for start, count in patch["cut"]:
        kept += old[taken:start]
        taken = start + count
    kept += old[taken:]
    new: list[Any] = []
    taken = 0
    for start, values in patch["put"]:
        missing = start - len(new)
        new += kept[taken : taken + missing]
        taken += missing
        new += values
    return new + kept[taken:]
