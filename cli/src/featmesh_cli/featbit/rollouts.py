"""FeatBit's rollouts: fractions [from, to] become whole thousandths of a percent."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import ROUND_HALF_EVEN, Decimal

from featmesh.engine.model import FULL_WEIGHT
from featmesh.flag.v1 import rollout_pb2
from featmesh_cli.featbit.node import Node

TOLERANCE = Decimal("1e-9")
"""Ends that FeatBit added up in binary floating point may be off by this much."""

Interval = tuple[Decimal, Decimal]


def read_rollout(node: Node, variation_ids: Collection[str]) -> rollout_pb2.Rollout:
    """Reads a rule or a fallthrough: both carry a rollout's members.

    Args:
        node: The rule or fallthrough.
        variation_ids: Those that the flag has.
    """
    shares = node.child("variations")
    nodes = shares.objects()
    if not nodes:
        shares.fault("must list at least one variation")
    return rollout_pb2.Rollout(
        shares=_shares(nodes, variation_ids),
        dispatch_attribute=node.child("dispatchKey").optional_text(),
        in_experiment=node.child("includedInExpt").boolean(default=False),
    )


def weights_of(widths: Sequence[Decimal]) -> list[int]:
    """Rounds fractions that add up to 1 so that the weights add up to 100,000.

    Largest remainder: everyone gets the whole part, and what is left goes, one by one, to
    those who lost most; the earlier one first.
    """
    exact = [width * FULL_WEIGHT for width in widths]
    weights = [int(weight) for weight in exact]
    by_loss = sorted(range(len(exact)), key=lambda index: weights[index] - exact[index])
    for index in by_loss[: FULL_WEIGHT - sum(weights)]:
        weights[index] += 1
    return weights


def _shares(nodes: Sequence[Node], variation_ids: Collection[str]) -> list[rollout_pb2.Share]:
    ids = [_variation_id(node, variation_ids) for node in nodes]
    experiments = [_experiment_share(node.child("exptRollout")) for node in nodes]
    intervals = [_interval(node.child("rollout")) for node in nodes]
    known = [interval for interval in intervals if interval is not None]
    if len(known) < len(nodes) or not _is_contiguous(nodes, known):
        return []
    weights = weights_of([end - start for start, end in known])
    return [
        rollout_pb2.Share(variation_id=variation_id, weight=weight, experiment_share=share)
        for variation_id, weight, share in zip(ids, weights, experiments, strict=True)
    ]


def _variation_id(node: Node, variation_ids: Collection[str]) -> str:
    child = node.child("id")
    variation_id = child.text()
    if variation_id and variation_id not in variation_ids:
        child.fault(f'unknown variation "{variation_id}"')
    return variation_id


def _experiment_share(node: Node) -> int:
    fraction = node.fraction(default=Decimal(1))
    scaled = (fraction or Decimal(0)) * FULL_WEIGHT
    return int(scaled.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def _interval(node: Node) -> Interval | None:
    if not isinstance(node.value, list) or len(node.value) != 2:
        node.fault("must be a list of two numbers, from and to")
        return None
    start, end = (element.fraction() for element in node.elements())
    if start is None or end is None:
        return None
    if end < start:
        node.fault(f"must not end at {end}, before it starts at {start}")
        return None
    return start, end


def _is_contiguous(nodes: Sequence[Node], intervals: Sequence[Interval]) -> bool:
    expected, sound = Decimal(0), True
    for node, (start, end) in zip(nodes, intervals, strict=True):
        if abs(start - expected) > TOLERANCE:
            problem = "leaves a gap" if start > expected else "overlaps"
            node.child("rollout").fault(f"{problem}: starts at {start}, not at {expected}")
            sound = False
        expected = end
    if nodes and abs(expected - 1) > TOLERANCE:
        nodes[-1].child("rollout").fault(f"leaves a gap: the last one ends at {expected}, not at 1")
        sound = False
    return sound
