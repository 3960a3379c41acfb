"""The queue of dead letters: looking, counting, replaying, dropping."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue

from services.messaging.ports import DeadLetter, DeadLetterFilter, DeadLetterInfo
from services.messaging.rabbitmq.codec import decode_dead_letter, encode
from services.messaging.rabbitmq.failures import translated
from services.messaging.rabbitmq.session import RPC_TIMEOUT, Session
from services.runtime.errors import BrokerUnavailable

MAX_LOOKED_AT: Final = 1_000
"""Letters that are taken, and given back, by one operation at the most."""

_LOOK_SECONDS: Final = 0.02

Letter = tuple[DeadLetter, AbstractIncomingMessage]
Settle = Callable[[Session, Letter], Awaitable[None]]


async def peek(
    session: Session, channel: AbstractChannel, wanted: DeadLetterFilter, limit: int
) -> list[DeadLetterInfo]:
    """The oldest that are wanted; all stay."""
    found: list[DeadLetterInfo] = []
    async with _taken(session, channel, wanted) as letters:
        async for letter, _ in letters:
            found.append(DeadLetterInfo.of(letter))
            if len(found) == limit:
                break
    return found


async def count(session: Session, channel: AbstractChannel) -> int:
    """All that are there, however many."""
    return (await _declared(session, channel)).declaration_result.message_count or 0


async def settle(
    session: Session, channel: AbstractChannel, wanted: DeadLetterFilter, limit: int, how: Settle
) -> int:
    """Does away with the oldest that are wanted; how many."""
    settled = 0
    async with _taken(session, channel, wanted) as letters:
        async for letter in letters:
            await how(session, letter)
            settled += 1
            if settled == limit:
                break
    return settled


async def replay(session: Session, letter: Letter) -> None:
    """Back to where it came from; it is removed only when it is safe there."""
    dead, incoming = letter
    message = dead.message
    exchange = session.topology.exchange(dead.topic)
    await session.publish(exchange, message.environment_id, encode(message), mandatory=True)
    with translated():
        await incoming.ack()


async def drop(_session: Session, letter: Letter) -> None:
    """Gone for good."""
    with translated():
        await letter[1].ack()


async def _declared(session: Session, channel: AbstractChannel) -> AbstractQueue:
    name = session.topology.dead_letters
    with translated():
        return await channel.declare_queue(name, passive=True, timeout=RPC_TIMEOUT)


class _Taken:
    """What one operation took, one by one, and which of it is not settled."""

    def __init__(self) -> None:
        self.waiting = 0
        """Letters that there were at first."""
        self.settled = 0
        self.newest: AbstractIncomingMessage | None = None
        """The last one that is not settled: giving it back gives back all before it."""
        self._last: AbstractIncomingMessage | None = None

    def next(self, incoming: AbstractIncomingMessage | None) -> None:
        """The operation is through with the one before this."""
        if self._last is not None:
            if self._last.processed:
                self.settled += 1
            else:
                self.newest = self._last
        self._last = incoming


@asynccontextmanager
async def _taken(
    session: Session, channel: AbstractChannel, wanted: DeadLetterFilter
) -> AsyncIterator[AsyncIterator[Letter]]:
    """Letters that are wanted, of those there are now; what is not acknowledged goes back."""
    taken = _Taken()

    async def letters() -> AsyncIterator[Letter]:
        declared = await _declared(session, channel)
        taken.waiting = declared.declaration_result.message_count or 0
        for _ in range(min(taken.waiting, MAX_LOOKED_AT)):  # who dies meanwhile has to wait
            with translated():
                incoming = await declared.get(fail=False, timeout=RPC_TIMEOUT)
            if incoming is None:
                return
            taken.next(incoming)
            letter = decode_dead_letter(incoming, session.topology)
            if letter is not None and wanted.covers(letter):
                yield letter, incoming

    try:
        yield letters()
    finally:
        taken.next(None)
        if taken.newest is not None and not channel.is_closed:
            with translated():
                await taken.newest.nack(multiple=True, requeue=True)
    if taken.newest is not None:  # after a failure the connection may be going: nobody waits
        await _until_back(session, channel, taken.waiting - taken.settled)


async def _until_back(session: Session, channel: AbstractChannel, expected: int) -> None:
    """A quorum queue has back what it was given back a moment later: the next look sees it.

    Where another operator holds letters, or settles them, this waits `RPC_TIMEOUT` in vain.
    """
    with suppress(BrokerUnavailable, TimeoutError):
        async with asyncio.timeout(RPC_TIMEOUT):
            while await count(session, channel) < expected:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(_LOOK_SECONDS)
