"""The RabbitMQ adapter: the only folder that imports aio-pika."""

from __future__ import annotations

from services.messaging.rabbitmq.bus import RabbitMqBus

__all__ = ["RabbitMqBus"]
