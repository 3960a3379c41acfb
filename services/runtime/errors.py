"""The errors that a service answers with; `services.runtime.status` maps them to gRPC.

Adapters translate their drivers' errors into these; nothing else may reach a servicer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken field: its path (``flag.rules[0].id``) and the limit that it breaks."""

    field: str
    description: str


class MeshError(Exception):
    """An answer to a caller. ``reason`` is stable and machine-readable (UPPER_SNAKE)."""

    reason: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = metadata


class InvalidArgument(MeshError):
    """The request breaks limits; every broken field is listed."""

    reason = "INVALID_ARGUMENT"

    def __init__(self, violations: list[Violation]) -> None:
        first = violations[0]
        more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        super().__init__(f"{first.field}: {first.description}{more}")
        self.violations = tuple(violations)

    @classmethod
    def of(cls, field: str, description: str) -> InvalidArgument:
        """An error with a single violation."""
        return cls([Violation(field, description)])


class NotFound(MeshError):
    """What the request names is not there."""

    reason = "NOT_FOUND"


class AlreadyExists(MeshError):
    """The key is taken."""

    reason = "ALREADY_EXISTS"


class StaleVersion(MeshError):
    """The resource changed since the version that the write is based on."""

    reason = "STALE_VERSION"


class FailedPrecondition(MeshError):
    """The state of other resources forbids the write; the message names them."""

    reason = "FAILED_PRECONDITION"


class Unauthenticated(MeshError):
    """The key or token is missing, unknown or revoked."""

    reason = "UNAUTHENTICATED"


class PermissionDenied(MeshError):
    """The key or token is good, but not for this."""

    reason = "PERMISSION_DENIED"


class ResourceExhausted(MeshError):
    """A bound is reached; the caller holds its data and tries again after ``pushback_ms``."""

    reason = "RESOURCE_EXHAUSTED"

    def __init__(self, message: str, *, pushback_ms: int = 1_000, **metadata: str) -> None:
        super().__init__(message, **metadata)
        self.pushback_ms = pushback_ms


class DeadlineExceeded(MeshError):
    """What the caller waits for did not come within the longest time allowed."""

    reason = "DEADLINE_EXCEEDED"


class Unavailable(MeshError):
    """A part that this service needs is away; the same call may succeed later."""

    reason = "UNAVAILABLE"


class StoreUnavailable(Unavailable):
    """MongoDB does not answer."""

    reason = "STORE_UNAVAILABLE"


class BrokerUnavailable(Unavailable):
    """RabbitMQ does not answer or did not confirm."""

    reason = "BROKER_UNAVAILABLE"
