"""Flags and segments as an operator would send them, reduced to what a test is about."""

from __future__ import annotations

from collections.abc import Sequence

from featmesh.flag.v1 import flag_pb2, rollout_pb2, segment_pb2, value_pb2
from featmesh.management.v1 import flag_service_pb2, segment_service_pb2


def boolean_flag(
    key: str, *, enabled: bool = True, rules: Sequence[flag_pb2.Rule] = ()
) -> flag_service_pb2.FlagResource:
    """Serves variation ``on`` (true) when enabled, ``off`` (false) otherwise."""
    variations = [
        flag_pb2.Variation(id="on", name="On", value=value_pb2.Value(bool_value=True)),
        flag_pb2.Variation(id="off", name="Off", value=value_pb2.Value(bool_value=False)),
    ]
    flag = flag_pb2.Flag(
        key=key,
        value_type=value_pb2.VALUE_TYPE_BOOLEAN,
        variations=variations,
        enabled=enabled,
        off_variation_id="off",
        rules=rules,
    )
    flag.fallthrough.CopyFrom(serve("on"))
    return flag_service_pb2.FlagResource(flag=flag, display_name=key)


def serve(variation_id: str) -> rollout_pb2.Rollout:
    """A rollout of one variation."""
    share = rollout_pb2.Share(variation_id=variation_id, weight=100_000, experiment_share=100_000)
    return rollout_pb2.Rollout(shares=[share])


def segment(key: str, *, included: Sequence[str] = ()) -> segment_service_pb2.SegmentResource:
    """Members are listed; the server gives the id."""
    return segment_service_pb2.SegmentResource(
        segment=segment_pb2.Segment(key=key, included=included), display_name=key
    )
