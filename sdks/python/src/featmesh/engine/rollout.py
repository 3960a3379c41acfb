"""Rollouts: the hash that spreads contexts over variations, in integers only."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from itertools import accumulate
from struct import Struct
from typing import Protocol

from featmesh.engine.attributes import KEY_NAMES, dispatch_bytes
from featmesh.engine.digest import md5
from featmesh.engine.model import FULL_WEIGHT, Context, Result, Rollout, Share
from featmesh.engine.records import record

BUCKETS = 1 << 31
"""A bucket is a whole number from 0 to this one, both included."""

_NOBODY = 0
_EVERYBODY = BUCKETS + 1

_read_int32 = Struct("<i").unpack_from


class Outcome(Protocol):
    """Makes the finished result of serving one variation."""

    def __call__(self, variation_id: str, *, bucketed: bool, in_experiment: bool) -> Result:
        """An id that the flag does not have gives a malformed flag's result."""


@record(frozen=True, slots=True, eq=False)
class Experiment:
    """Who of a share's contexts is in the experiment.

    ``edge`` is the first experiment bucket beyond them, ``inside`` what they get.
    """

    edge: int
    inside: Result


@record(frozen=True, slots=True, eq=False)
class Split:
    """A rollout that a hash decides.

    ``read`` gives what is hashed after ``prefix``, the salt; None stands for the key.
    ``edges`` are those of `share_edges`, ``results`` what each share serves, and
    ``experiments`` has an entry per share where a second hash may be needed.
    """

    prefix: bytes
    read: Callable[[Context], bytes] | None
    edges: tuple[int, ...]
    results: tuple[Result, ...]
    experiments: tuple[Experiment, ...] | None

    def serve(self, context: Context) -> Result:
        """What the context gets."""
        read = self.read
        value = context.key.encode() if read is None else read(context)
        # `bucket`, written out: this line is most of what a rollout costs.
        number: int = _read_int32(md5(self.prefix + value).digest())[0]
        index = bisect_right(self.edges, number if number >= 0 else -number)
        if self.experiments is None:
            return self.results[index]
        experiment = self.experiments[index]
        if experiment.edge > BUCKETS or (
            experiment.edge and bucket(b"expt" + self.prefix + value) < experiment.edge
        ):
            return experiment.inside
        return self.results[index]


Serving = Result | Split
"""What a rule or the fallthrough serves: one result for everybody, or what a hash says."""


def bucket(salted: bytes) -> int:
    """The bucket of salt and value together, 0 to 2^31; FeatBit's hash."""
    number: int = _read_int32(md5(salted).digest())[0]
    return abs(number)


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
    ends = [_experiment_edge(share, rollout, include_all) for share in shares]
    results = tuple(
        outcome(share.variation_id, bucketed=bucketed, in_experiment=end == _EVERYBODY)
        for share, end in zip(shares, ends, strict=True)
    )
    for result in results:
        if result.error_kind is not None:
            return result
    hashed_again = any(_NOBODY < end < _EVERYBODY for end in ends)
    if len(shares) == 1 and not hashed_again:
        return results[0]
    experiments = None
    if hashed_again:
        inside = (
            outcome(each.variation_id, bucketed=bucketed, in_experiment=True) for each in shares
        )
        experiments = tuple(map(Experiment, ends, inside))
    attribute = rollout.dispatch_attribute
    read = dispatch_bytes(attribute) if attribute not in KEY_NAMES else None
    prefix = salt.encode("utf-8", "surrogatepass")
    return Split(prefix, read, share_edges(shares), results, experiments)


def share_edges(shares: Iterable[Share]) -> tuple[int, ...]:
    """The first bucket beyond each share; the last share has none.

    ``n * 100000 < cumulative * 2^31`` is ``n < edge``. The running maximum keeps "the
    first share that is large enough" true even for weights below zero.
    """
    cumulative = accumulate(share.weight for share in shares)
    edges = accumulate((_round_up(each * BUCKETS, FULL_WEIGHT) for each in cumulative), max)
    return tuple(edges)[:-1]


def _experiment_edge(share: Share, rollout: Rollout, include_all: bool) -> int:
    if include_all:
        return _EVERYBODY
    if not rollout.in_experiment or share.experiment_share <= 0:
        return _NOBODY
    if share.experiment_share >= share.weight:
        return _EVERYBODY
    return _round_up(share.experiment_share * BUCKETS, share.weight)


def _round_up(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)
