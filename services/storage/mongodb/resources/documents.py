"""What operators set of flags and segments as documents and back, field by field.

Reading is tolerant: a field that an older version did not write has the model's default.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from featmesh.engine.model import (
    FULL_WEIGHT,
    Condition,
    Flag,
    Prerequisite,
    Rollout,
    Rule,
    Segment,
    SegmentRule,
    Share,
    Target,
    Value,
    ValueType,
    Variation,
)
from services.storage.model.items import FlagRecord, SegmentRecord
from services.storage.mongodb.driver.client import Document


def flag_document(record: FlagRecord) -> Document:
    """A flag's fields; the envelope is added by the writer."""
    flag = record.definition
    return {
        "key": flag.key,
        **_texts_document(record),
        "value_type": flag.value_type.value,
        "variations": [
            {"id": one.id, "name": one.name, "value": _stored_value(one.value)}
            for one in flag.variations
        ],
        "salt": flag.salt,
        "enabled": flag.enabled,
        "off_variation_id": flag.off_variation_id,
        "prerequisites": [
            {"flag_key": one.flag_key, "variation_id": one.variation_id}
            for one in flag.prerequisites
        ],
        "targets": [
            {"variation_id": one.variation_id, "keys": list(one.keys)} for one in flag.targets
        ],
        "rules": [
            {
                "id": rule.id,
                "name": rule.name,
                "conditions": _condition_documents(rule.conditions),
                "rollout": _rollout_document(rule.rollout),
            }
            for rule in flag.rules
        ],
        "fallthrough": _rollout_document(flag.fallthrough),
        "include_all_targets": flag.include_all_targets,
        "archived": flag.archived,
    }


def flag_of(document: Document) -> Flag:
    """The definition that a document holds."""
    return Flag(
        key=document["key"],
        value_type=ValueType(document["value_type"]),
        variations=tuple(
            Variation(one["id"], one.get("name", ""), one["value"])
            for one in document.get("variations", ())
        ),
        off_variation_id=document.get("off_variation_id", ""),
        fallthrough=_rollout_of(document.get("fallthrough", {})),
        enabled=document.get("enabled", False),
        salt=document.get("salt", ""),
        prerequisites=tuple(
            Prerequisite(one["flag_key"], one["variation_id"])
            for one in document.get("prerequisites", ())
        ),
        targets=tuple(
            Target(one["variation_id"], tuple(one.get("keys", ())))
            for one in document.get("targets", ())
        ),
        rules=tuple(
            Rule(
                rule["id"],
                rule.get("name", ""),
                _conditions_of(rule.get("conditions", ())),
                _rollout_of(rule.get("rollout", {})),
            )
            for rule in document.get("rules", ())
        ),
        include_all_targets=document.get("include_all_targets", False),
        archived=document.get("archived", False),
        version=document["version"],
        revision=document["revision"],
    )


def flag_record(document: Document) -> FlagRecord:
    """A flag with what operators see."""
    return FlagRecord(flag_of(document), *_texts_of(document))


def segment_document(record: SegmentRecord) -> Document:
    """A segment's fields; the envelope is added by the writer."""
    segment = record.definition
    return {
        "id": segment.id,
        "key": segment.key,
        **_texts_document(record),
        "included": list(segment.included),
        "excluded": list(segment.excluded),
        "rules": [
            {
                "id": rule.id,
                "name": rule.name,
                "conditions": _condition_documents(rule.conditions),
            }
            for rule in segment.rules
        ],
        "archived": segment.archived,
    }


def segment_of(document: Document) -> Segment:
    """The definition that a document holds."""
    return Segment(
        id=document["id"],
        key=document["key"],
        included=tuple(document.get("included", ())),
        excluded=tuple(document.get("excluded", ())),
        rules=tuple(
            SegmentRule(
                rule["id"], rule.get("name", ""), _conditions_of(rule.get("conditions", ()))
            )
            for rule in document.get("rules", ())
        ),
        archived=document.get("archived", False),
        version=document["version"],
        revision=document["revision"],
    )


def segment_record(document: Document) -> SegmentRecord:
    """A segment with what operators see."""
    return SegmentRecord(segment_of(document), *_texts_of(document))


def _texts_document(record: FlagRecord | SegmentRecord) -> Document:
    return {
        "display_name": record.display_name,
        "description": record.description,
        "tags": list(record.tags),
    }


def _texts_of(document: Document) -> tuple[str, str, tuple[str, ...]]:
    return (
        display_name_of(document),
        document.get("description", ""),
        tuple(document.get("tags", ())),
    )


def display_name_of(document: Document) -> str:
    """Until version 5 of the schema, and in history since, it was called ``name``."""
    return str(document.get("display_name", document.get("name", "")))


def _stored_value(value: Value) -> Value:
    return value if isinstance(value, bool | str) else float(value)


def _rollout_document(rollout: Rollout) -> Document:
    return {
        "shares": [
            {
                "variation_id": share.variation_id,
                "weight": share.weight,
                "experiment_share": share.experiment_share,
            }
            for share in rollout.shares
        ],
        "dispatch_attribute": rollout.dispatch_attribute,
        "in_experiment": rollout.in_experiment,
    }


def _rollout_of(document: Document) -> Rollout:
    return Rollout(
        shares=tuple(
            Share(one["variation_id"], one["weight"], one.get("experiment_share", FULL_WEIGHT))
            for one in document.get("shares", ())
        ),
        dispatch_attribute=document.get("dispatch_attribute", ""),
        in_experiment=document.get("in_experiment", False),
    )


def _condition_documents(conditions: Iterable[Condition]) -> list[Document]:
    return [
        {"attribute": one.attribute, "operator": str(one.operator), "values": list(one.values)}
        for one in conditions
    ]


def _conditions_of(documents: Iterable[Any]) -> tuple[Condition, ...]:
    return tuple(
        Condition(one["attribute"], one["operator"], tuple(one.get("values", ())))
        for one in documents
    )
