"""The MongoDB adapter: the only place that imports the driver."""

from __future__ import annotations

import os

# Motor reads this when it is imported, below. Each call under way takes a thread; with the
# default of five for each core, a handful of slow calls would hold up all the others.
os.environ.setdefault("MOTOR_MAX_WORKERS", "64")

from services.storage.mongodb.driver.replica_set import REPLICA_SET, ReplicaSetError, ensure_primary
from services.storage.mongodb.store import MongoStore

__all__ = ["REPLICA_SET", "MongoStore", "ReplicaSetError", "ensure_primary"]
