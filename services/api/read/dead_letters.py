"""DeadLetterService: messages that could not be stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from featmesh.management.v1 import dead_letter_service_pb2 as pb
from services.api.rpc.call import Call
from services.api.rpc.dispatch import Behaviour
from services.messaging.ports import DeadLetterFilter, DeadLetterInfo, DeadLetters, Topic

SERVICE: Final = pb.DESCRIPTOR.services_by_name["DeadLetterService"]

LETTERS: Final = 100
"""Number of letters of a request that does not say how many."""

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


class DeadLetterMethods:
    """Shows letters, publishes them again, drops them."""

    def __init__(self, dead_letters: DeadLetters) -> None:
        self._dead_letters = dead_letters

    def methods(self) -> dict[str, Behaviour]:
        """Returns all of them."""
        return {
            "ListDeadLetters": self.list,
            "ReplayDeadLetters": self.replay,
            "DropDeadLetters": self.drop,
        }

    async def list(
        self, request: pb.ListDeadLettersRequest, call: Call
    ) -> pb.ListDeadLettersResponse:
        """Answers with the oldest; they stay where they are."""
        letters = await self._dead_letters.list_dead_letters(*_asked(request))
        return pb.ListDeadLettersResponse(dead_letters=map(_message, letters))

    async def replay(
        self, request: pb.ReplayDeadLettersRequest, call: Call
    ) -> pb.ReplayDeadLettersResponse:
        """Publishes them again."""
        replayed = await self._dead_letters.replay_dead_letters(*_asked(request))
        return pb.ReplayDeadLettersResponse(replayed=replayed)

    async def drop(
        self, request: pb.DropDeadLettersRequest, call: Call
    ) -> pb.DropDeadLettersResponse:
        """Removes them for good."""
        dropped = await self._dead_letters.drop_dead_letters(*_asked(request))
        return pb.DropDeadLettersResponse(dropped=dropped)


def _asked(request: _Request) -> tuple[int, DeadLetterFilter]:
    """How many, and which."""
    wanted = request.filter
    letters = DeadLetterFilter(_TOPICS[wanted.topic], frozenset(wanted.message_ids))
    return request.limit or LETTERS, letters


def _message(letter: DeadLetterInfo) -> pb.DeadLetter:
    return pb.DeadLetter(
        message_id=letter.message_id,
        topic=_NUMBERS[letter.topic],
        environment_id=letter.environment_id,
        reason=letter.reason,
        payload_bytes=letter.payload_bytes,
    )
