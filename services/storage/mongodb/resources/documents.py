"""Flags and segments as documents and back, field by field.

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
from services.storage.model.items import FlagRecord, ItemMeta, SegmentRecord
from services.storage.mongodb.driver.client import Document, whole_milliseconds


def flag_document(record: FlagRecord) -> Document:
    """A flag's fields; identity and environment are added by the writer."""
    flag = record.item
    return {
        "key": flag.key,
        **_meta_document(record.meta),
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
        "version": flag.version,
        "revision": flag.revision,
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
    return FlagRecord(flag_of(document), _meta_of(document))


def segment_document(record: SegmentRecord) -> Document:
    """A segment's fields; identity and environment are added by the writer."""
    segment = record.item
    return {
        "id": segment.id,
        "key": segment.key,
        **_meta_document(record.meta),
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
        "version": segment.version,
        "revision": segment.revision,
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
    return SegmentRecord(segment_of(document), _meta_of(document))


def _meta_document(meta: ItemMeta) -> Document:
    return {
        "name": meta.name,
        "description": meta.description,
        "tags": list(meta.tags),
        "created_at": whole_milliseconds(meta.created_at),
        "created_by": meta.created_by,
        "updated_at": whole_milliseconds(meta.updated_at),
        "updated_by": meta.updated_by,
    }


def _meta_of(document: Document) -> ItemMeta:
    return ItemMeta(
        name=document.get("name", ""),
        description=document.get("description", ""),
        tags=tuple(document.get("tags", ())),
        created_at=document["created_at"],
        created_by=document.get("created_by", ""),
        updated_at=document["updated_at"],
        updated_by=document.get("updated_by", ""),
    )


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
