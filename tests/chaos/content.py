"""Random definitions: small, all different, and each marked with its environment."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from featmesh.engine.model import Flag, Segment
from featmesh.flag.v1 import condition_pb2, flag_pb2, rollout_pb2, segment_pb2, value_pb2
from featmesh.management.v1 import flag_service_pb2, segment_service_pb2
from tests.support.flags import serve

USERS: Final = tuple(f"user-{number}" for number in range(40))
PLANS: Final = ("free", "gold", "team")

_LONG: Final = 30_000
"""Bytes of a long text: a few of them make a change set of several frames."""


def text_flag(key: str, text: str) -> flag_service_pb2.FlagResource:
    """A flag that serves one text."""
    variation = flag_pb2.Variation(id="a", name="a", value=value_pb2.Value(string_value=text))
    flag = flag_pb2.Flag(
        key=key,
        value_type=value_pb2.VALUE_TYPE_STRING,
        variations=[variation],
        salt=key,
        off_variation_id="a",
        fallthrough=serve("a"),
    )
    return flag_service_pb2.FlagResource(flag=flag, display_name=key)


class Contents:
    """What the flags and segments of one writer shall be.

    ``environment`` stands in every text, so that content that leaked shows where it is from.
    """

    def __init__(self, dice: random.Random, environment: str) -> None:
        self._dice = dice
        self._environment = environment
        self._count = 0

    def flag(
        self, key: str, *, segments: Sequence[Segment], prerequisites: Sequence[Flag]
    ) -> flag_service_pb2.FlagResource:
        """A text flag of two variations that may use these."""
        dice = self._dice
        rules = [self._rule(number, segments) for number in range(dice.randint(0, 2))]
        flag = flag_pb2.Flag(
            key=key,
            value_type=value_pb2.VALUE_TYPE_STRING,
            variations=[self._variation("a"), self._variation("b")],
            salt=key,
            enabled=dice.random() < 0.8,
            off_variation_id="b",
            rules=rules,
        )
        if prerequisites and dice.random() < 0.3:
            needed = dice.choice(prerequisites)
            flag.prerequisites.add(flag_key=needed.key, variation_id=dice.choice("ab"))
        if dice.random() < 0.3:
            flag.targets.add(variation_id="b", keys=dice.sample(USERS, 3))
        flag.fallthrough.CopyFrom(self._rollout())
        return flag_service_pb2.FlagResource(flag=flag, display_name=key)

    def segment(self, key: str, segment_id: str) -> segment_service_pb2.SegmentResource:
        """A segment of some users and one plan."""
        dice = self._dice
        segment = segment_pb2.Segment(id=segment_id, key=key, included=dice.sample(USERS, 5))
        segment.excluded.append(self._text())
        rule = segment.rules.add(id="plan", name=self._text())
        rule.conditions.add(
            attribute="plan", operator=condition_pb2.OPERATOR_IN, values=[dice.choice(PLANS)]
        )
        return segment_service_pb2.SegmentResource(segment=segment, display_name=key)

    def _text(self) -> str:
        self._count += 1
        return f"{self._environment}-{self._count}"

    def _variation(self, variation_id: str) -> flag_pb2.Variation:
        text = self._text()
        if self._dice.random() < 0.02:
            text = text.ljust(_LONG, ".")
        value = value_pb2.Value(string_value=text)
        return flag_pb2.Variation(id=variation_id, name=variation_id, value=value)

    def _rule(self, number: int, segments: Sequence[Segment]) -> flag_pb2.Rule:
        rule = flag_pb2.Rule(id=f"rule-{number}", name=self._text(), rollout=self._rollout())
        if segments and self._dice.random() < 0.7:
            used = self._dice.choice(segments)
            rule.conditions.add(operator=condition_pb2.OPERATOR_IN_SEGMENT, values=[used.id])
        else:
            plan = self._dice.choice(PLANS)
            rule.conditions.add(
                attribute="plan", operator=condition_pb2.OPERATOR_EQUAL, values=[plan]
            )
        return rule

    def _rollout(self) -> rollout_pb2.Rollout:
        weight = self._dice.choice((0, 20_000, 50_000, 100_000))
        share = rollout_pb2.Share
        return rollout_pb2.Rollout(
            shares=[
                share(variation_id="a", weight=weight, experiment_share=0),
                share(variation_id="b", weight=100_000 - weight, experiment_share=0),
            ]
        )
