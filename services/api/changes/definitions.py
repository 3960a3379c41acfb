"""What the server fills in where an operator's flag or segment leaves it out."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from featmesh.engine.model import Flag, Segment


def flag_with_defaults(flag: Flag, current: Flag | None = None) -> Flag:
    """Returns the flag with ids of rules, and a salt that stays as it is."""
    rules = tuple(rule if rule.id else replace(rule, id=str(uuid4())) for rule in flag.rules)
    salt = flag.salt or (current.salt if current else "") or flag.key
    return replace(flag, rules=rules, salt=salt)


def segment_with_defaults(segment: Segment, current: Segment | None = None) -> Segment:
    """Returns the segment with ids of rules, and an id that stays as it is."""
    rules = tuple(rule if rule.id else replace(rule, id=str(uuid4())) for rule in segment.rules)
    segment_id = segment.id or (current.id if current else str(uuid4()))
    return replace(segment, id=segment_id, rules=rules)
