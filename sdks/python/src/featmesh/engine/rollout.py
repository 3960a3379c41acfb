"""Rollouts: the hash that spreads contexts over variations, in integers only."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import md5
from itertools import accumulate
from typing import Protocol

from featmesh.engine.attributes import dispatch_bytes
from featmesh.engine.model import FULL_WEIGHT, Context, Result, Rollout, Share

BUCKETS = 1 << 31
"""A bucket is a whole number from 0 to this one, both included."""

_NOBODY = 0
_EVERYBODY = BUCKETS + 1


class Outcome(Protocol):
    """Makes the finished result of serving one variation."""

    def __call__(self, variation_id: str, *, bucketed: bool, in_experiment: bool) -> Result:
        """An id that the flag does not have gives a malformed flag's result."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What a rule or the fallthrough serves."""

    serve: Callable[[Context], Result]
    constant: Result | None = None
    """The result where every context gets the same one."""


@dataclass(frozen=True, slots=True)
class _Served:
    outside: Result
    inside: Result
    experiment_edge: int
    """Experiment buckets below this one are inside."""


def bucket(salted: bytes) -> int:
    """The bucket of salt and value together, 0 to 2^31; FeatBit's hash."""
    digest = md5(salted, usedforsecurity=False).digest()
    return abs(int.from_bytes(digest[:4], "little", signed=True))


def salted_value(salt: str, attribute: str, context: Context) -> bytes:
    """What is hashed for a context: the salt and the dispatch attribute's text."""
    return salt.encode("utf-8", "surrogatepass") + dispatch_bytes(attribute)(context)


def compile_rollout(rollout: Rollout, *, salt: str, include_all: bool, outcome: Outcome) -> Serving:
    """Prepares a rollout: edges as integers, every possible result ready to hand out.

    ``include_all`` puts everybody in the experiment. A share whose experiment share is
    not below its weight is in the experiment as a whole and is not hashed again. A
    rollout that has no shares or names an unknown variation, be it with a weight of 0, is
    malformed as a whole: everybody it would serve gets a malformed flag's result.
    """
    shares = rollout.shares or (Share("", FULL_WEIGHT),)
    bucketed = not (len(shares) == 1 and shares[0].weight == FULL_WEIGHT)
    served = tuple(_compile_share(each, rollout, include_all, bucketed, outcome) for each in shares)
    malformed = next((each.outside for each in served if each.outside.error_kind), None)
    if malformed is not None:
        return Serving(lambda _context: malformed, malformed)
    if len(served) == 1 and not _NOBODY < served[0].experiment_edge <= BUCKETS:
        result = served[0].inside if served[0].experiment_edge else served[0].outside
        return Serving(lambda _context: result, result)
    return Serving(_dispatch(served, share_edges(shares), salt, rollout.dispatch_attribute))


def _compile_share(
    share: Share,
    rollout: Rollout,
    include_all: bool,
    bucketed: bool,
    outcome: Outcome,
) -> _Served:
    if include_all:
        edge = _EVERYBODY
    elif not rollout.in_experiment or share.experiment_share <= 0:
        edge = _NOBODY
    elif share.experiment_share >= share.weight:
        edge = _EVERYBODY
    else:
        edge = _round_up(share.experiment_share * BUCKETS, share.weight)
    first = outcome(share.variation_id, bucketed=bucketed, in_experiment=edge == _EVERYBODY)
    if edge in {_NOBODY, _EVERYBODY}:  # nobody ever gets the other one
        return _Served(first, first, edge)
    inside = outcome(share.variation_id, bucketed=bucketed, in_experiment=True)
    return _Served(first, inside, edge)


def share_edges(shares: Iterable[Share]) -> tuple[int, ...]:
    """The first bucket beyond each share; the last share has none.

    ``n * 100000 < cumulative * 2^31`` is ``n < edge``. The running maximum keeps "the
    first share that is large enough" true even for weights below zero.
    """
    cumulative = accumulate(share.weight for share in shares)
    edges = accumulate((_round_up(each * BUCKETS, FULL_WEIGHT) for each in cumulative), max)
    return tuple(edges)[:-1]


def _dispatch(
    served: tuple[_Served, ...], edges: tuple[int, ...], salt: str, attribute: str
) -> Callable[[Context], Result]:
    read = dispatch_bytes(attribute)
    prefix = salt.encode("utf-8", "surrogatepass")
    experiment_prefix = b"expt" + prefix

    def serve(context: Context) -> Result:
        value = read(context)
        share = served[bisect_right(edges, bucket(prefix + value))] if edges else served[0]
        edge = share.experiment_edge
        if edge == _NOBODY:
            return share.outside
        if edge > BUCKETS or bucket(experiment_prefix + value) < edge:
            return share.inside
        return share.outside

    return serve


def _round_up(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)
