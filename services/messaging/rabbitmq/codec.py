"""Messages of the port to and from AMQP messages."""

from __future__ import annotations

from aio_pika import DeliveryMode
from aio_pika import Message as AmqpMessage
from aio_pika.abc import AbstractIncomingMessage, HeadersType

from services.messaging.ports import DeadLetter, Message
from services.messaging.topology import (
    BROKER_HEADERS,
    CONTENT_TYPE,
    HEADER_DELIVERIES,
    HEADER_ENVIRONMENT,
    HEADER_FIRST_DEATH,
    HEADER_REASON,
    HEADER_TOPIC,
    Topology,
)


def encode(message: Message) -> AmqpMessage:
    """A persistent AMQP message."""
    headers: HeadersType = {**message.headers, HEADER_ENVIRONMENT: message.environment_id}
    return _amqp(message, headers)


def encode_dead_letter(letter: DeadLetter) -> AmqpMessage:
    """The message as it was published, with where it came from and why it is here."""
    message = letter.message
    headers: HeadersType = {
        **message.headers,
        HEADER_ENVIRONMENT: message.environment_id,
        HEADER_TOPIC: letter.topic.value,
        HEADER_REASON: letter.reason,
    }
    return _amqp(message, headers)


def decode(incoming: AbstractIncomingMessage) -> Message:
    """Never fails: what a stranger published is the handler's to refuse."""
    environment = incoming.headers.get(HEADER_ENVIRONMENT, incoming.routing_key)
    headers = {
        name: value
        for name, value in incoming.headers.items()
        if isinstance(value, str) and not name.startswith(BROKER_HEADERS)
    }
    return Message(
        id=incoming.message_id or "",
        environment_id=str(environment or ""),
        payload=incoming.body,
        headers=headers,
    )


def decode_dead_letter(incoming: AbstractIncomingMessage, topology: Topology) -> DeadLetter | None:
    """None for a message that did not come from one of our queues."""
    topic = topology.topic_of(incoming.routing_key or "")
    if topic is None:
        return None
    reason = incoming.headers.get(HEADER_REASON) or incoming.headers.get(HEADER_FIRST_DEATH)
    return DeadLetter(message=decode(incoming), topic=topic, reason=str(reason or ""))


def deliveries(incoming: AbstractIncomingMessage) -> int:
    """How often the message has been delivered, this time included."""
    earlier = incoming.headers.get(HEADER_DELIVERIES)
    return 1 + (earlier if isinstance(earlier, int) else 0)


def _amqp(message: Message, headers: HeadersType) -> AmqpMessage:
    return AmqpMessage(
        message.payload,
        headers=headers,
        content_type=CONTENT_TYPE,
        delivery_mode=DeliveryMode.PERSISTENT,
        message_id=message.id,
    )
