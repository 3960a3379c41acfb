"""The rows of the record: works, metrics, units and the goals that the project has set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bench.push.sizes import Size
from bench.record import Measure

CPU_PER_PUSH: Final = "server CPU per push"
CPU_RATIO: Final = "server CPU per push, times grpc-go's"
LAST_RECEIPT: Final = "last receipt"
LAST_RATIO: Final = "last receipt, times grpc-go's"
SPREAD: Final = "first to last receipt"
REQUEST_TO_COMMIT: Final = "phase: request to commit"
COMMIT_TO_NOTICE: Final = "phase: commit to notice at a queue"
NOTICE_TO_SNAPSHOT: Final = "phase: notice to snapshot"
SNAPSHOT_TO_WRITE: Final = "phase: snapshot to first write"
WRITES: Final = "phase: first to last write"
WRITE_TO_RECEIPT: Final = "phase: last write to last receipt"
OPENING: Final = "until all are current"
MEMORY: Final = "server memory per stream"
IDLE_CPU: Final = "server CPU, share of a core"
RECEIPT_P50: Final = "commit to receipt p50"
RECEIPT_P99: Final = "commit to receipt p99"
WRITE_P50: Final = "commit to write p50"
WRITE_P99: Final = "commit to write p99"
NOT_CURRENT: Final = "streams that are not current at the end"
FRAMES: Final = "frames sent"
STALENESS_P99: Final = "staleness p99"
SENDING: Final = "time that the changes took"
SERVER_CPU: Final = "server CPU"
WORST_UNARY: Final = "worst unary latency"
UNARY_P99: Final = "unary latency p99"
WORST_UNARY_BEFORE: Final = "worst unary latency, no push"
FAILED_CALLS: Final = "failed calls"
FAILED: Final = "streams that failed for good"
REFUSED: Final = "tries that were refused"
RSS_GROWTH: Final = "server memory growth"
RESUME_BYTES: Final = "bytes received per stream"
STALLED_RATIO: Final = "receipt p99 of the others, times that without stalled readers"
STALLED_ENDED: Final = "stalled readers that learn of it when they read again"
BEYOND_SERVER: Final = "server CPU per push, beyond a server stream's"
SAME_RESULT_FRAMES: Final = "frames sent when no result differs"
SAME_RESULT_CPU: Final = "server CPU per stream when no result differs"

_UNITS: Final = {
    **dict.fromkeys((CPU_PER_PUSH, BEYOND_SERVER, SAME_RESULT_CPU), "us"),
    **dict.fromkeys((CPU_RATIO, LAST_RATIO, STALLED_RATIO), "x"),
    **dict.fromkeys((OPENING, SENDING, SERVER_CPU), "s"),
    **dict.fromkeys((NOT_CURRENT, FAILED, STALLED_ENDED), "streams"),
    **dict.fromkeys((FRAMES, SAME_RESULT_FRAMES), "frames"),
    MEMORY: "KB",
    RSS_GROWTH: "MB",
    RESUME_BYTES: "B",
    IDLE_CPU: "%",
    FAILED_CALLS: "calls",
    REFUSED: "tries",
}
"""Every other metric is a time in ms."""

_HIGHER: Final = {STALLED_ENDED}


GENERATOR: Final = "reference: load generator"
"""A subject of its own: its figures are not to be compared with a server's."""


@dataclass(frozen=True, slots=True)
class Work:
    """What is done, and the goals at full size."""

    name: str
    goals: dict[str, float]

    def measure(self, metric: str, size: Size, *, ours: bool = True) -> Measure:
        """The measure of a figure; a goal is for ours, and for the full size."""
        return Measure(
            work=self.name,
            metric=metric,
            unit=_UNITS.get(metric, "ms"),
            better="higher" if metric in _HIGHER else "lower",
            goal=self.goals.get(metric) if ours and size.has_goals else None,
        )


def fan_out(size: Size) -> Work:
    """One environment, one change."""
    name = f"{size.streams:,} server streams, one change"
    return Work(name, {CPU_RATIO: 2.0, LAST_RATIO: 2.0})


def generator_cpu(size: Size, subject: str) -> Measure:
    """The load generator's own CPU for a push from a subject."""
    sender = subject.removeprefix("reference: ")
    return _of_generator(size, f"CPU per push from {sender}", "us")


def generator_lateness(size: Size) -> Measure:
    """How long after it was due the generator itself sent a call, at worst."""
    return _of_generator(size, "worst delay of a unary call", "ms")


def _of_generator(size: Size, metric: str, unit: str) -> Measure:
    return Measure(
        work=f"the load generator, up to {size.streams:,} streams", metric=metric, unit=unit
    )


def idle(size: Size) -> Work:
    """Nothing changes."""
    return Work(f"{size.streams:,} idle server streams", {MEMORY: 40.0, IDLE_CPU: 2.0})


def environments(size: Size) -> Work:
    """Many environments."""
    each = size.streams // size.environments
    name = f"{size.streams:,} streams over {size.environments}, a change reaches {each}"
    return Work(name, {RECEIPT_P50: 6.0, RECEIPT_P99: 20.0})


def burst(size: Size) -> Work:
    """Many changes at once."""
    name = f"{size.burst} changes in one second to {size.half:,} streams"
    return Work(name, {NOT_CURRENT: 0, FRAMES: 150_000, STALENESS_P99: 500})


def unary(size: Size) -> Work:
    """Other calls beside a push."""
    name = f"Evaluate calls during a push to {size.half:,} streams"
    return Work(name, {WORST_UNARY: 25.0, FAILED_CALLS: 0})


def storm(size: Size) -> Work:
    """All connect at once."""
    name = f"{size.half:,} SDKs reconnect at once, 100 KB each"
    return Work(name, {OPENING: 4.0, FAILED: 0})


def big_set(size: Size) -> Work:
    """A large environment."""
    name = f"{size.big_flags:,} flags of 2 KB, {size.big_clients:,} clients load all"
    return Work(name, {FAILED: 0, RSS_GROWTH: 200.0})


def resume(size: Size) -> Work:
    """A large environment, of which one flag has changed."""
    return Work(f"{size.big_flags:,} flags of 2 KB, {size.big_clients:,} clients resume", {})


def stalled(size: Size) -> Work:
    """Readers that do not read."""
    name = f"{size.stalled} stalled readers of {size.half:,}, one change after another"
    return Work(name, {NOT_CURRENT: 0})


def clients(size: Size) -> Work:
    """Client SDKs."""
    name = f"{size.streams:,} client streams of different users, one change"
    return Work(name, {BEYOND_SERVER: 5.0, SAME_RESULT_FRAMES: 0})
