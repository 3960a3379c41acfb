"""DeadLetterService: messages that could not be stored."""

# ruff: noqa: N802 -- the methods have the names that the protos give them
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from featmesh.management.v1 import dead_letter_service_pb2 as pb
from featmesh.management.v1 import dead_letter_service_pb2_grpc
from services.api.rpc import limits
from services.api.rpc.validation.faults import Faults
from services.messaging.ports import DeadLetterFilter, DeadLetterInfo, DeadLetters, Topic

_TOPICS: Final[Mapping[int, Topic | None]] = {
    pb.MESSAGE_TOPIC_UNSPECIFIED: None,
    pb.MESSAGE_TOPIC_USERS: Topic.USERS,
    pb.MESSAGE_TOPIC_INSIGHTS: Topic.INSIGHTS,
}
_NUMBERS: Final = {
    Topic.USERS: pb.MESSAGE_TOPIC_USERS,
    Topic.INSIGHTS: pb.MESSAGE_TOPIC_INSIGHTS,
}


class _Request(Protocol):
    """What the three requests have in common."""

    @property
    def filter(self) -> pb.DeadLetterFilter: ...

    @property
    def limit(self) -> int: ...


class DeadLetterServicer(dead_letter_service_pb2_grpc.DeadLetterServiceServicer):
    """Checks, asks the bus, answers."""

    def __init__(self, dead_letters: DeadLetters) -> None:
        self._dead_letters = dead_letters

    async def ListDeadLetters(
        self, request: pb.ListDeadLettersRequest, context: Any
    ) -> pb.ListDeadLettersResponse:
        letters = await self._dead_letters.list_dead_letters(*_checked(request))
        return pb.ListDeadLettersResponse(dead_letters=map(_message, letters))

    async def ReplayDeadLetters(
        self, request: pb.ReplayDeadLettersRequest, context: Any
    ) -> pb.ReplayDeadLettersResponse:
        replayed = await self._dead_letters.replay_dead_letters(*_checked(request))
        return pb.ReplayDeadLettersResponse(replayed=replayed)

    async def DropDeadLetters(
        self, request: pb.DropDeadLettersRequest, context: Any
    ) -> pb.DropDeadLettersResponse:
        dropped = await self._dead_letters.drop_dead_letters(*_checked(request))
        return pb.DropDeadLettersResponse(dropped=dropped)


def _checked(request: _Request) -> tuple[int, DeadLetterFilter]:
    """How many, and which; raises `InvalidArgument`."""
    faults, asked = Faults(), request.filter
    faults.range("limit", request.limit, limits.DEAD_LETTERS)
    if asked.topic not in _TOPICS:
        faults.add("filter.topic", f"is {asked.topic}, which is unknown")
    faults.count("filter.message_ids", len(asked.message_ids), limits.DEAD_LETTERS)
    for index, each in enumerate(asked.message_ids[: limits.DEAD_LETTERS]):
        faults.text(f"filter.message_ids[{index}]", each, limits.MESSAGE_ID_BYTES, low=1)
    faults.finish()
    wanted = DeadLetterFilter(_TOPICS[asked.topic], frozenset(asked.message_ids))
    return request.limit or limits.PAGE_SIZE, wanted


def _message(letter: DeadLetterInfo) -> pb.DeadLetter:
    return pb.DeadLetter(
        message_id=letter.message_id,
        topic=_NUMBERS[letter.topic],
        environment_id=letter.environment_id,
        reason=letter.reason,
        payload_bytes=letter.payload_bytes,
    )
