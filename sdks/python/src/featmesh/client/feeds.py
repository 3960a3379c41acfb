"""The two kinds of stream: definitions for servers, results for one user."""

from __future__ import annotations

from collections.abc import Collection

from featmesh.client.connection import Connection
from featmesh.client.store import DefinitionStore, EvaluationStore
from featmesh.client.stream import SyncCall
from featmesh.engine.model import Context
from featmesh.sync.v1 import sync_pb2
from featmesh.wire import context_to_proto
from featmesh.wire.changes import DefinitionAssembler, EvaluationAssembler


class DefinitionFeed:
    """Streams an environment's definitions into a store."""

    def __init__(self, connection: Connection, store: DefinitionStore) -> None:
        self._connection = connection
        self._store = store
        self._assembler = DefinitionAssembler()

    @property
    def revision(self) -> int:
        """Revision that the store holds."""
        return self._store.revision

    def open(self, *, from_nothing: bool) -> SyncCall[sync_pb2.SyncDefinitionsResponse]:
        """Opens a stream from what the store holds on, or from nothing."""
        self._assembler = DefinitionAssembler()
        return self._connection.sync.SyncDefinitions(
            sync_pb2.SyncDefinitionsRequest(
                resume=None if from_nothing else self._store.resume, sdk=self._connection.sdk
            ),
            metadata=self._connection.metadata,
        )

    def take(self, frame: sync_pb2.SyncDefinitionsResponse) -> frozenset[str] | None:
        """Takes a frame with a change set; see `Feed`."""
        changes = self._assembler.add(frame.change_set)
        return None if changes is None else self._store.apply(changes)


class EvaluationFeed:
    """Streams one context's results into a store."""

    def __init__(
        self,
        connection: Connection,
        store: EvaluationStore,
        context: Context,
        *,
        private: Collection[str] = (),
    ) -> None:
        self._connection = connection
        self._store = store
        self._context = context_to_proto(context, private=private)
        self._assembler = EvaluationAssembler()

    @property
    def revision(self) -> int:
        """Revision that the store holds for this context."""
        return self._store.revision

    def open(self, *, from_nothing: bool) -> SyncCall[sync_pb2.SyncEvaluationsResponse]:
        """Opens a stream from what the store holds on, or from nothing."""
        self._assembler = EvaluationAssembler()
        return self._connection.sync.SyncEvaluations(
            sync_pb2.SyncEvaluationsRequest(
                resume=None if from_nothing else self._store.resume,
                sdk=self._connection.sdk,
                context=self._context,
            ),
            metadata=self._connection.metadata,
        )

    def take(self, frame: sync_pb2.SyncEvaluationsResponse) -> frozenset[str] | None:
        """Takes a frame with a change set; see `Feed`."""
        changes = self._assembler.add(frame.change_set)
        return None if changes is None else self._store.apply(changes)
