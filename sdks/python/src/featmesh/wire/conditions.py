"""Conditions and rollouts, between the engine's model and the wire."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import cast

from featmesh.engine.model import Condition, Operator, Rollout, Share
from featmesh.flag.v1 import condition_pb2, rollout_pb2

_PREFIX = "OPERATOR_"
_UNKNOWN = re.compile(rf"{_PREFIX}([0-9]{{1,10}})")
_MAX_NUMBER = 2**31 - 1

_NAMES = {
    number: str(Operator(name.removeprefix(_PREFIX)))
    for name, number in condition_pb2.Operator.items()
    if number != condition_pb2.OPERATOR_UNSPECIFIED
}
_NUMBERS = {name: number for number, name in _NAMES.items()}


def condition_to_proto(condition: Condition) -> condition_pb2.Condition:
    """The message of a condition.

    The text ``OPERATOR_<n>`` is sent as the number n, any other unknown one as unspecified.
    """
    return condition_pb2.Condition(
        attribute=condition.attribute,
        operator=_operator_number(condition.operator),
        values=condition.values,
    )


def condition_from_proto(message: condition_pb2.Condition) -> Condition:
    """A condition; an operator number n unknown to this build is named ``OPERATOR_<n>``."""
    return Condition(
        attribute=message.attribute,
        operator=_NAMES.get(number := message.operator) or f"{_PREFIX}{int(number)}",
        values=tuple(message.values[:]),
    )


def conditions_from_proto(
    messages: Sequence[condition_pb2.Condition],
) -> tuple[Condition, ...]:
    """A rule's conditions, in order."""
    return tuple([condition_from_proto(each) for each in messages[:]])


def rollout_to_proto(rollout: Rollout) -> rollout_pb2.Rollout:
    """The message of a rollout."""
    return rollout_pb2.Rollout(
        shares=[
            rollout_pb2.Share(
                variation_id=share.variation_id,
                weight=share.weight,
                experiment_share=share.experiment_share,
            )
            for share in rollout.shares
        ],
        dispatch_attribute=rollout.dispatch_attribute,
        in_experiment=rollout.in_experiment,
    )


def rollout_from_proto(message: rollout_pb2.Rollout) -> Rollout:
    """A rollout; one that is not set has no shares, which the engine calls malformed."""
    return Rollout(
        shares=tuple(
            [
                Share(share.variation_id, share.weight, share.experiment_share)
                for share in message.shares[:]
            ]
        ),
        dispatch_attribute=message.dispatch_attribute,
        in_experiment=message.in_experiment,
    )


def _operator_number(name: str) -> condition_pb2.Operator.ValueType:
    known = _NUMBERS.get(name)
    if known is not None:
        return known
    found = _UNKNOWN.fullmatch(name)
    number = int(found[1]) if found else 0
    # The enum is open: a number that a newer build knows passes through this one.
    return cast("condition_pb2.Operator.ValueType", number if number <= _MAX_NUMBER else 0)
