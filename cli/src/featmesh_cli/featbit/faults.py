"""What is wrong with a file, each fault with its place."""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_FAULTS = 1_000
"""No more than this many are kept; the rest are only counted."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. ``path`` is a JSON path in the file, or empty."""

    file: str
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}: {self.path}" if self.path else self.file
        return f"{place}: {self.message}"


@dataclass(slots=True)
class Faults:
    """All faults of one file."""

    file: str
    found: dict[Fault, None] = field(default_factory=dict)
    more: int = 0

    def add(self, path: str, message: str) -> None:
        """Notes a fault at a JSON path; the same one twice counts once."""
        fault = Fault(self.file, path, message)
        if len(self.found) < MAX_FAULTS:
            self.found[fault] = None
        elif fault not in self.found:
            self.more += 1

    def all(self) -> tuple[Fault, ...]:
        """The faults in the order found, with a last line for those not kept."""
        if not self.more:
            return tuple(self.found)
        return (*self.found, Fault(self.file, "", f"and {self.more} more faults"))
