"""Real parts for all tests: one mongod and one RabbitMQ node per run, started on first use."""

from __future__ import annotations

pytest_plugins = [
    "tests.support.mongodb",
    "tests.support.rabbitmq",
    "tests.support.run",
]
