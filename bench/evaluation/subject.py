"""What the benchmark asks of an SDK, and which SDKs it asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from bench.evaluation.workload import FlagSpec, User
from bench.model import OWN

Call = tuple[Callable[..., Any], tuple[Any, ...]]
"""An SDK's own function and its arguments, so that a loop adds the same to every SDK."""

Calls = Callable[[str, Sequence[User]], list[Call]]
"""Makes the calls that evaluate a flag for each of these users."""

PEERS = (
    "launchdarkly-server-sdk",
    "fb-python-sdk",
    "growthbook",
    "openfeature-flagd-core",
    "UnleashClient",
)
ENGINE = "reference: featmesh.engine alone"
SUBJECTS = (OWN, *PEERS)


class Subject(Protocol):
    """An SDK as the benchmark sees it; nothing here reaches a network but the sink."""

    has_segments: bool
    has_switchable_events: bool
    """Whether its events are on or off; else it has none, or only one way."""
    events: bool
    """What it does when they cannot be switched."""
    has_patterns: bool
    is_native: bool
    """Whether flags are held outside of Python's memory."""

    def open(
        self, flags: Sequence[FlagSpec], folder: Path, *, sink: str | None
    ) -> AbstractContextManager[Calls]:
        """A client that holds these flags; with a sink's URL its events go there."""

    def value(self, answer: Any) -> object:
        """The flag's value in what a call returns."""

    def loader(self, flags: Sequence[FlagSpec]) -> Callable[[], object]:
        """Makes what decodes and prepares flags from the form in which they are received."""
