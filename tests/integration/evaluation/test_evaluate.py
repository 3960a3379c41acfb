from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import grpc
import pytest
from grpc import aio

from featmesh.engine.model import Condition, Rollout, Rule, Share
from featmesh.evaluation.v1 import evaluation_pb2
from services.runtime.secrets import ACCESS_TOKEN, hash_secret, new_secret
from services.storage.model.credentials import RoleGrant
from services.storage.model.resource import Scope
from services.storage.mongodb import MongoStore
from tests.integration.evaluation.conftest import Operator
from tests.integration.storage.records import flag
from tests.support.evaluation import EvaluationClient, RunningEvaluation
from tests.support.resources import (
    NOWHERE,
    Environment,
    make_access_token,
    make_environment,
)
from tests.support.statuses import violations


async def new_token(store: MongoStore, *grants: RoleGrant) -> str:
    """The secret of a new access token."""
    secret = new_secret(ACCESS_TOKEN)
    await make_access_token(store, "ada", hash_secret(secret), *grants)
    return secret


async def refused(call: Awaitable[Any]) -> aio.AioRpcError:
    with pytest.raises(aio.AioRpcError) as caught:
        await call
    return caught.value


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
    assert violations(many.value) == {"flag_keys": "has 1001 entries; the limit is 1000"}
    with pytest.raises(aio.AioRpcError) as broken:
        await server_sdk.evaluate("ada", "fine", "", "k" * 129)
    assert set(violations(broken.value)) == {"flag_keys[1]", "flag_keys[2]"}


async def test_an_explanation_shows_what_each_condition_compared(
    server_sdk: EvaluationClient, operator: Operator
) -> None:
    await operator.create(flag("a", rules=(RULE,)))
    response = await server_sdk.evaluate("bob", "a", explain=True)
    (explanation,) = response.explanations
    (rule,) = explanation.rules
    (condition,) = rule.conditions
    assert (rule.rule_id, rule.holds, condition.holds) == ("r-1", False, False)
    assert (list(condition.condition.values), list(condition.actual)) == (["ada"], ["bob"])
    assert explanation.rollout.shares[0].served
    assert explanation.why == "nothing else matched: the fallthrough serves"


async def test_a_client_key_is_told_no_explanation(client_sdk: EvaluationClient) -> None:
    with pytest.raises(aio.AioRpcError) as caught:
        await client_sdk.evaluate("ada", "a", explain=True)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_an_operator_evaluates_in_the_environment_that_the_request_names(
    service: RunningEvaluation, store: MongoStore, operator: Operator, environment: Environment
) -> None:
    await operator.create(flag("a", rules=(RULE,)))
    client = service.client(await new_token(store))
    for name in (environment.name, environment.id):
        response = await client.evaluate("ada", "a", explain=True, environment=name)
        assert response.explanations[0].rules[0].holds
    for nameless in ("", "organizations/acme", "a b"):
        error = await refused(client.evaluate("ada", "a", environment=nameless))
        assert list(violations(error)) == ["environment"]


async def test_an_operator_needs_a_role_in_the_environment(
    service: RunningEvaluation, store: MongoStore, operator: Operator, environment: Environment
) -> None:
    await operator.create(flag("a"))
    other = await make_environment(store, environment.project_id, "staging")
    viewer = RoleGrant("VIEWER", Scope.ENVIRONMENT, environment.id)
    client = service.client(await new_token(store, viewer))
    response = await client.evaluate("ada", "a", environment=environment.name)
    assert response.results[0].variation_id == "on"
    for name in (other.name, other.id, NOWHERE, "nowhere", environment.project_id):
        error = await refused(client.evaluate("ada", "a", environment=name))
        assert error.code() is grpc.StatusCode.NOT_FOUND, name


async def test_an_sdk_key_opens_its_own_environment_and_no_other(
    server_sdk: EvaluationClient, store: MongoStore, environment: Environment
) -> None:
    other = await make_environment(store, environment.project_id, "staging")
    for own in (environment.name, environment.id):
        await server_sdk.evaluate("ada", "a", environment=own)
    for name in (other.name, other.id, NOWHERE, "elsewhere"):
        error = await refused(server_sdk.evaluate("ada", "a", environment=name))
        assert list(violations(error)) == ["environment"]


async def test_an_unknown_token_is_unauthenticated(service: RunningEvaluation) -> None:
    with pytest.raises(aio.AioRpcError) as caught:
        await service.client(new_secret(ACCESS_TOKEN)).evaluate("ada", "a", environment="e")
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
