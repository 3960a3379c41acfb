"""Contexts that were seen: how what is new is merged into what is known.

Each merge is one update pipeline, so MongoDB does it atomically in any order of arrival.
An attribute's name may hold dots and dollars; so names are values here, never field names,
and everything that a user sent stands behind ``$literal``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pymongo import UpdateOne

from featmesh.engine.model import Attribute, Context
from services.storage.model import EndUser
from services.storage.mongodb.connection import Document

MAX_ATTRIBUTES = 200
"""Of one user; those that were seen last stay."""

MAX_SEEN_VALUES = 100
"""Of one property; the first ones stay, so that the list settles."""

MAX_SEEN_VALUE_CHARACTERS = 256
"""Longer texts are no choices to offer an operator."""


def user_merge(environment_id: str, user: Context, seen_at: datetime) -> UpdateOne:
    """Merge one sighting into its user; what was seen later stays, whatever comes first."""
    merged: Document = {
        "environment": _literal(environment_id),
        "key": _literal(user.key),
        "first_seen": {"$min": ["$first_seen", seen_at]},
        "last_seen": {"$max": ["$last_seen", seen_at]},
        "attributes": _merged_attributes(user, seen_at),
    }
    if user.name:
        newer_known = {"$gt": ["$name_seen", seen_at]}
        merged["name"] = {"$cond": [newer_known, "$name", _literal(user.name)]}
        merged["name_seen"] = {"$max": ["$name_seen", seen_at]}
    return UpdateOne({"_id": f"{environment_id}/{user.key}"}, [{"$set": merged}], upsert=True)


def property_merges(environment_id: str, users: Sequence[Context]) -> list[UpdateOne]:
    """Learn the names, types and some values of all attributes of ``users``."""
    types: dict[str, str] = {}
    values: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for user in users:
        for name, attribute in user.attributes.items():
            types[name] = _type_of(attribute)
            values[name].update(dict.fromkeys(_seen_values(attribute)))
    return [
        _property_merge(environment_id, name, types[name], list(values[name])) for name in types
    ]


def end_user_of(document: Document) -> EndUser:
    """The user that a document holds."""
    attributes = {one["name"]: _attribute_of(one["value"]) for one in document["attributes"]}
    context = Context(document["key"], document.get("name", ""), attributes)
    return EndUser(context, document["first_seen"], document["last_seen"])


def _merged_attributes(user: Context, seen_at: datetime) -> Document:
    names = _literal(list(user.attributes))
    incoming = _literal(
        [
            {"name": name, "value": _stored(value), "seen": seen_at}
            for name, value in user.attributes.items()
        ]
    )
    known = {"$ifNull": ["$attributes", []]}
    is_newer = {"$gt": ["$$known.seen", seen_at]}
    newer = {"$filter": {"input": known, "as": "known", "cond": is_newer}}
    kept = {
        "$filter": {
            "input": known,
            "as": "known",
            "cond": {"$or": [is_newer, {"$not": {"$in": ["$$known.name", names]}}]},
        }
    }
    taken = {
        "$filter": {
            "input": incoming,
            "as": "new",
            "cond": {
                "$not": {"$in": ["$$new.name", {"$map": {"input": newer, "in": "$$this.name"}}]}
            },
        }
    }
    by_age = {"$sortArray": {"input": {"$concatArrays": [kept, taken]}, "sortBy": {"seen": -1}}}
    return {"$slice": [by_age, MAX_ATTRIBUTES]}


def _property_merge(environment_id: str, name: str, kind: str, values: list[str]) -> UpdateOne:
    known = {"$ifNull": ["$values", []]}
    unknown = {"$filter": {"input": _literal(values), "cond": {"$not": {"$in": ["$$this", known]}}}}
    merged = {
        "environment": _literal(environment_id),
        "name": _literal(name),
        "type": kind,
        "values": {"$slice": [{"$concatArrays": [known, unknown]}, MAX_SEEN_VALUES]},
    }
    return UpdateOne({"_id": f"{environment_id}/{name}"}, [{"$set": merged}], upsert=True)


def _type_of(attribute: Attribute) -> str:
    if isinstance(attribute, bool):
        return "BOOLEAN"
    if isinstance(attribute, str):
        return "STRING"
    return "LIST" if isinstance(attribute, tuple) else "NUMBER"


def _seen_values(attribute: Attribute) -> list[str]:
    texts = [attribute] if isinstance(attribute, str) else attribute
    if not isinstance(texts, list | tuple):
        return []
    return [text for text in texts if len(text) <= MAX_SEEN_VALUE_CHARACTERS][:MAX_SEEN_VALUES]


def _stored(attribute: Attribute) -> Any:
    if isinstance(attribute, tuple):
        return list(attribute)
    if isinstance(attribute, bool | str):
        return attribute
    return float(attribute)


def _attribute_of(stored: Any) -> Attribute:
    attribute: Attribute = tuple(stored) if isinstance(stored, list) else stored
    return attribute


def _literal(value: Any) -> Document:
    return {"$literal": value}
