from __future__ import annotations

from featmesh.client import batches, reporter
from featmesh.engine import attributes
from featmesh.evaluation.v1 import evaluation_pb2
from featmesh.wire.limits import rule_of


def test_the_engine_has_the_limit_of_the_contract() -> None:
    assert rule_of(evaluation_pb2.Context, "key").max_bytes == attributes.MAX_KEY_BYTES


def test_what_the_client_cuts_batches_by_is_what_the_server_takes() -> None:
    found = (batches.MAX_USERS, batches.MAX_EVENTS, batches.MAX_COUNT, reporter.MAX_EVENT_NAME)
    assert found == (1_000, 10_000, 1_000_000_000, 128)
