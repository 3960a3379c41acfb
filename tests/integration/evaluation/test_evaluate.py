from __future__ import annotations

import grpc
import pytest
from grpc import aio

from featmesh.engine.model import Condition, Rollout, Rule, Share
from featmesh.evaluation.v1 import evaluation_pb2
from tests.integration.evaluation.conftest import Operator
from tests.integration.storage.records import flag
from tests.support.evaluation import EvaluationClient
from tests.support.statuses import violations

RULE = Rule(
    "r-1", "Ada's rule", (Condition("key", "EQUAL", ("ada",)),), Rollout((Share("off", 100_000),))
)


async def test_a_server_key_sees_the_rule_and_a_client_key_does_not(
    server_sdk: EvaluationClient, client_sdk: EvaluationClient, operator: Operator
) -> None:
    committed = await operator.create(flag("a", rules=(RULE,)))
    for sdk, rule in ((server_sdk, ("r-1", "Ada's rule")), (client_sdk, ("", ""))):
        response = await sdk.evaluate("ada", "a")
        result = response.results[0]
        assert response.revision == committed.revision
        assert result.reason == evaluation_pb2.REASON_RULE_MATCH
        assert (result.variation_id, result.value.bool_value) == ("off", False)
        assert (result.rule_id, result.rule_name) == rule
        assert result.flag_revision == committed.revision


async def test_results_come_in_the_order_asked_and_an_unknown_flag_is_one_of_them(
    server_sdk: EvaluationClient, operator: Operator
) -> None:
    await operator.create(flag("a"), flag("b"), flag("old", archived=True))
    response = await server_sdk.evaluate("ada", "b", "nope", "old", "a")
    assert [result.flag_key for result in response.results] == ["b", "nope", "old", "a"]
    not_found = evaluation_pb2.ERROR_KIND_FLAG_NOT_FOUND
    assert [result.error_kind for result in response.results] == [0, not_found, not_found, 0]
    assert not response.results[1].HasField("value")


async def test_no_keys_mean_every_flag_that_is_not_archived_by_key(
    server_sdk: EvaluationClient, operator: Operator
) -> None:
    await operator.create(flag("b"), flag("a"), flag("old", archived=True))
    response = await server_sdk.evaluate("ada")
    assert [result.flag_key for result in response.results] == ["a", "b"]


async def test_keys_beyond_their_limits_are_refused(server_sdk: EvaluationClient) -> None:
    with pytest.raises(aio.AioRpcError) as many:
        await server_sdk.evaluate("ada", *(f"f{number}" for number in range(1_001)))
    assert many.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert violations(many.value) == {"flag_keys": "has 1001 keys; at most 1000"}
    with pytest.raises(aio.AioRpcError) as broken:
        await server_sdk.evaluate("ada", "fine", "", "k" * 129)
    assert set(violations(broken.value)) == {"flag_keys[1]", "flag_keys[2]"}
