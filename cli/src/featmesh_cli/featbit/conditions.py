"""FeatBit's conditions: property, operator and value become ours."""

from __future__ import annotations

import json
from collections.abc import Collection

from featmesh.engine import valid_pattern
from featmesh.flag.v1 import condition_pb2
from featmesh_cli.featbit.node import Node

Operator = condition_pb2.Operator

SEGMENT_PROPERTIES = {
    "User is in segment": Operator.OPERATOR_IN_SEGMENT,
    "User is not in segment": Operator.OPERATOR_NOT_IN_SEGMENT,
}
"""A condition on segments is told by its property; its operator is null."""

SINGLE_VALUE = {
    "LessThan": Operator.OPERATOR_LESS_THAN,
    "LessEqualThan": Operator.OPERATOR_LESS_OR_EQUAL,
    "BiggerThan": Operator.OPERATOR_GREATER_THAN,
    "BiggerEqualThan": Operator.OPERATOR_GREATER_OR_EQUAL,
    "Equal": Operator.OPERATOR_EQUAL,
    "NotEqual": Operator.OPERATOR_NOT_EQUAL,
    "Contains": Operator.OPERATOR_CONTAINS,
    "NotContain": Operator.OPERATOR_NOT_CONTAINS,
    "StartsWith": Operator.OPERATOR_STARTS_WITH,
    "EndsWith": Operator.OPERATOR_ENDS_WITH,
    "MatchRegex": Operator.OPERATOR_MATCHES,
    "NotMatchRegex": Operator.OPERATOR_NOT_MATCHES,
}
VALUE_LIST = {
    "IsOneOf": Operator.OPERATOR_IN,
    "NotOneOf": Operator.OPERATOR_NOT_IN,
}
NO_VALUE = {
    "IsTrue": Operator.OPERATOR_IS_TRUE,
    "IsFalse": Operator.OPERATOR_IS_FALSE,
}
OPERATORS = SINGLE_VALUE | VALUE_LIST | NO_VALUE
PATTERNS = ("MatchRegex", "NotMatchRegex")


def read_condition(node: Node, segment_ids: Collection[str]) -> condition_pb2.Condition:
    """Reads one condition of a rule.

    Args:
        node: The condition.
        segment_ids: Segments that it may name.
    """
    name = node.child("property").text()
    if name in SEGMENT_PROPERTIES:
        return condition_pb2.Condition(
            operator=SEGMENT_PROPERTIES[name], values=_segments(node.child("value"), segment_ids)
        )
    operator = _operator(node.child("op"))
    return condition_pb2.Condition(
        attribute=name,
        operator=OPERATORS.get(operator, Operator.OPERATOR_UNSPECIFIED),
        values=_values(node.child("value"), operator),
    )


def _operator(node: Node) -> str:
    if isinstance(node.value, str) and node.value in OPERATORS:
        return node.value
    node.fault(f"unknown operator {json.dumps(node.value, default=str)}")
    return ""


def _values(node: Node, operator: str) -> list[str]:
    if operator in VALUE_LIST:
        return _value_list(node)
    if operator not in SINGLE_VALUE:
        return []
    value = node.text()
    if operator in PATTERNS and not valid_pattern(value):
        node.fault(f"is not a pattern in RE2's syntax: {json.dumps(value)}")
    return [value]


def _segments(node: Node, segment_ids: Collection[str]) -> list[str]:
    ids = _value_list(node)
    for segment_id in ids:
        if segment_id not in segment_ids:
            node.fault(f'unknown segment "{segment_id}"')
    return ids


def _value_list(node: Node) -> list[str]:
    """A JSON list of texts inside a text, as FeatBit keeps them."""
    text = node.text()
    if not text:
        return []
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        node.fault("must be a JSON list of texts, written as a text")
        return []
    if not values:
        node.fault("must list at least one value")
    return values
