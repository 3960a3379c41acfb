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
from services.storage.model.end_users import EndUser, ImportedUser, UserProperty
from services.storage.mongodb.driver.client import Document

MAX_ATTRIBUTES = 200
"""Of one user; those that were seen last stay."""

MAX_SEEN_VALUES = 100
"""Of one property; the first ones stay, so that the list settles."""

MAX_SEEN_VALUE_CHARACTERS = 256
"""Longer texts are no choices to offer an operator."""


def user_merge(environment_id: str, user: Context, seen_at: datetime) -> UpdateOne:
    """Merge one sighting into its user; what was seen later stays, whatever comes first."""
    seen = {
        "first_seen": {"$min": ["$first_seen", seen_at]},
        "last_seen": {"$max": ["$last_seen", seen_at]},
    }
    return _merge(environment_id, user, seen_at, seen)


def import_merge(environment_id: str, user: ImportedUser, now: datetime) -> UpdateOne:
    """Merge what a file says of a user; without its times a known one was not seen by this."""
    first, last = user.first_seen or user.last_seen, user.last_seen
    seen = {
        "first_seen": {"$min": ["$first_seen", first]}
        if first
        else {"$ifNull": ["$first_seen", now]},
        "last_seen": {"$max": ["$last_seen", last]} if last else {"$ifNull": ["$last_seen", now]},
    }
    return _merge(environment_id, user.context, last or now, seen)


def says_nothing_new(document: Document, user: ImportedUser, now: datetime) -> bool:
    """Whether `import_merge` would leave the user that the document holds as it is."""
    first, last = user.first_seen or user.last_seen, user.last_seen
    as_of = last or now
    if (first and first < document["first_seen"]) or (last and last > document["last_seen"]):
        return False
    name, known_name = user.context.name, document.get("name", "")
    if name not in {"", known_name} and document.get("name_seen", as_of) <= as_of:
        return False
    known = {one["name"]: one for one in document["attributes"]}
    return all(
        attribute in known and _stays(known[attribute], value, as_of)
        for attribute, value in user.context.attributes.items()
    )


def folded(name: str) -> str:
    """A name as it is searched for: in whichever capitals."""
    return name.casefold()


def user_id(environment_id: str, key: str) -> str:
    """The user's ``_id``."""
    return f"{environment_id}/{key}"


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


def property_of(document: Document) -> UserProperty:
    """The property that a document holds."""
    return UserProperty(document["name"], document["type"], tuple(document["values"]))


def _merge(environment_id: str, user: Context, as_of: datetime, seen: Document) -> UpdateOne:
    merged: Document = {
        "environment": _literal(environment_id),
        "key": _literal(user.key),
        **seen,
        "attributes": _merged_attributes(user, as_of),
    }
    if user.name:
        newer_known = {"$gt": ["$name_seen", as_of]}
        merged["name"] = {"$cond": [newer_known, "$name", _literal(user.name)]}
        in_capitals_or_not = _literal(folded(user.name))
        merged["folded_name"] = {"$cond": [newer_known, "$folded_name", in_capitals_or_not]}
        merged["name_seen"] = {"$max": ["$name_seen", as_of]}
    return UpdateOne({"_id": user_id(environment_id, user.key)}, [{"$set": merged}], upsert=True)


def _stays(known: Document, value: Attribute, as_of: datetime) -> bool:
    """Whether an attribute stays as it is known when it is told to be ``value`` since then."""
    told, kept = stored_attribute(value), known["value"]
    same = type(told) is type(kept) and told == kept  # True == 1.0 in Python
    return bool(same or known["seen"] > as_of)


def _merged_attributes(user: Context, seen_at: datetime) -> Document:
    names = _literal(list(user.attributes))
    incoming = _literal(
        [
            {"name": name, "value": stored_attribute(value), "seen": seen_at}
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


def stored_attribute(attribute: Attribute) -> Any:
    """As it stands in a document."""
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
