"""The queue of dead letters: looking, counting, replaying, dropping."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue

from services.messaging.ports import DeadLetter, LetterFilter
from services.messaging.rabbitmq.codec import decode_dead_letter, encode
from services.messaging.rabbitmq.failures import translated
from services.messaging.rabbitmq.session import RPC_TIMEOUT, Session

MAX_LOOKED_AT: Final = 1_000
"""Letters that are taken, and given back, by one operation at the most."""

Letter = tuple[DeadLetter, AbstractIncomingMessage]
Settle = Callable[[Session, Letter], Awaitable[None]]


async def look(
    session: Session, channel: AbstractChannel, wanted: LetterFilter, limit: int
) -> list[DeadLetter]:
    """The oldest that are wanted; all stay."""
    found: list[DeadLetter] = []
    async with _taken(session, channel, wanted) as letters:
        async for letter, _ in letters:
            found.append(letter)
            if len(found) == limit:
                break
    return found


async def count(session: Session, channel: AbstractChannel) -> int:
    """All that are there, however many."""
    return (await _declared(session, channel)).declaration_result.message_count or 0


async def settle(
    session: Session, channel: AbstractChannel, wanted: LetterFilter, limit: int, how: Settle
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


@asynccontextmanager
async def _taken(
    session: Session, channel: AbstractChannel, wanted: LetterFilter
) -> AsyncIterator[AsyncIterator[Letter]]:
    """Letters that are wanted, of those there are now; what is not acknowledged goes back."""
    topology = session.topology
    held: AbstractIncomingMessage | None = None
    last: AbstractIncomingMessage | None = None

    async def letters() -> AsyncIterator[Letter]:
        nonlocal held, last
        declared = await _declared(session, channel)
        waiting = declared.declaration_result.message_count or 0
        for _ in range(min(waiting, MAX_LOOKED_AT)):  # what dies meanwhile is not for this time
            with translated():
                incoming = await declared.get(fail=False, timeout=RPC_TIMEOUT)
            if incoming is None:
                return
            held, last = _later_held(held, last), incoming
            letter = decode_dead_letter(incoming, topology)
            if letter is not None and wanted.covers(letter):
                yield letter, incoming

    try:
        yield letters()
    finally:
        held = _later_held(held, last)
        if held is not None and not channel.is_closed:
            with translated():
                await held.nack(multiple=True, requeue=True)


def _later_held(
    earlier: AbstractIncomingMessage | None, later: AbstractIncomingMessage | None
) -> AbstractIncomingMessage | None:
    """The last one that is not settled: giving it back gives back all before it."""
    return earlier if later is None or later.processed else later
