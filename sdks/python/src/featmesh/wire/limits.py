"""What fields may hold, as the protos' options say."""

from __future__ import annotations

from google.protobuf.message import Message

from featmesh.options.v1.options_pb2 import FieldRule, rule


def rule_of(message: type[Message], field: str) -> FieldRule:
    """Returns the rule of a message's field; an empty one if it has none."""
    found: FieldRule = message.DESCRIPTOR.fields_by_name[field].GetOptions().Extensions[rule]
    return found
