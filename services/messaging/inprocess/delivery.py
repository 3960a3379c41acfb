"""A message between its publisher and its handler."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from services.messaging.ports import Message
from services.runtime.errors import BrokerUnavailable

MAX_LENGTH: Final = 10_000
"""Messages that wait for a consumer, per topic, and notices that wait in one watch."""


@dataclass(eq=False, slots=True)
class Delivery:
    """A message on its way; ``kept`` is done when its publisher may be answered."""

    message: Message
    kept: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    failures: int = 0

    def settle(self) -> None:
        if not self.kept.done():
            self.kept.set_result(None)

    def lose(self) -> None:
        """The bus ends with the message unhandled: its publisher must not believe otherwise."""
        if not self.kept.done():
            self.kept.set_exception(BrokerUnavailable("The bus is closed."))
            self.kept.exception()  # the publisher may be gone; then nobody needs to know
