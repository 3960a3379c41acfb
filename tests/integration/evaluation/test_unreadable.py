from __future__ import annotations

from services.evaluation.replica.follower import Follower
from services.evaluation.replica.replica import Replicas
from services.storage.mongodb import MongoStore
from tests.integration.storage.records import change, create, flag
from tests.support.resources import Environment, make_environment


async def test_an_environment_that_cannot_be_read_stops_no_poll_of_the_others(
    store: MongoStore, environment: Environment
) -> None:
    """As when a newer version of `api` wrote something that this one does not know."""
    other = await make_environment(store, environment.project_id, "other")
    replicas = Replicas(store.definitions)
    follower = Follower(replicas, store.definitions)
    broken, sound = await replicas.get(environment.id), await replicas.get(other.id)

    await store.resources.commit(change(environment.id, *create(flag("a"))))
    unknown = {"$set": {"value_type": "FUTURE"}}
    await store._connection["flags"].update_one({"environment": environment.id}, unknown)
    kept = {"$set": {"document.value_type": "FUTURE"}}
    await store._connection["item_history"].update_one({"environment": environment.id}, kept)
    committed = await store.resources.commit(change(other.id, *create(flag("b"))))

    await follower.poll()
    assert sound.view.revision == committed.revision
    assert broken.view.revision == environment.revision
    assert follower.last_poll > 0
