"""An operator finds what could not be stored."""

from __future__ import annotations

import asyncio

import pytest

from services.messaging.ports import Topic
from services.messaging.rabbitmq import RabbitMqBus
from tests.e2e.command_line import operator_of
from tests.support.mesh import Mesh
from tests.support.messaging import message
from tests.support.waiting import eventually

pytestmark = pytest.mark.parametrize("mesh", ["three-services"], indirect=True)


def publish_nonsense(amqp_url: str) -> str:
    """What no version of `ingest` can store; its id."""
    nonsense = message(payload=b"\xff\xff")

    async def publish() -> None:
        bus = RabbitMqBus.open(amqp_url)
        await bus.publish(Topic.USERS, nonsense)
        await bus.close()

    asyncio.run(publish())
    return nonsense.id


def test_a_dead_letter_is_listed_replayed_comes_back_and_is_dropped(
    mesh: Mesh, amqp_url: str
) -> None:
    operator, name = operator_of(mesh), publish_nonsense(amqp_url)

    def there() -> list[str]:
        letters = operator.json("dead-letters", "list", "--topic", "users", "--json")
        return [letter["reason"] for letter in letters if letter["message_id"] == name]

    assert "not a valid message" in eventually(there)[0]
    assert name in operator.run("dead-letters", "list")
    assert operator.run("dead-letters", "replay", name) == "Replayed: 1.\n"
    eventually(there)
    assert operator.run("dead-letters", "drop", name) == "Dropped: 1.\n"
    assert there() == []


def test_nothing_is_replayed_or_dropped_without_a_choice(mesh: Mesh) -> None:
    for command in ("replay", "drop"):
        assert "which ones?" in operator_of(mesh).refused("dead-letters", command)
