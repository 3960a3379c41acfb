"""The driver's errors, translated."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aio_pika.exceptions import AMQPError, ChannelInvalidStateError, DeliveryError, PublishError
from pamqp.exceptions import PAMQPException

from services.runtime.errors import BrokerUnavailable, ResourceExhausted

_DRIVER_ERRORS = (
    AMQPError,
    ChannelInvalidStateError,
    PAMQPException,
    OSError,
    EOFError,
    StopAsyncIteration,
)
"""`OSError` covers refused and reset connections, and `TimeoutError`; `StopAsyncIteration` is
what the driver raises when the broker hangs up before its first frame."""


@contextmanager
def translated() -> Iterator[None]:
    """Let `BrokerUnavailable` and `ResourceExhausted` out, and nothing of the driver."""
    try:
        yield
    except PublishError as error:
        raise BrokerUnavailable("The broker has no queue for the message.") from error
    except DeliveryError as error:
        raise ResourceExhausted("The broker's queue is at its limit.") from error
    except _DRIVER_ERRORS as error:
        raise BrokerUnavailable(f"RabbitMQ failed: {_text(error)}") from error
    except asyncio.CancelledError as error:
        # The driver rejects what waits on a closing connection with CancelledError, which
        # must not be taken for the cancellation of the task that waits.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise BrokerUnavailable("The connection to RabbitMQ was closed.") from error


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__
