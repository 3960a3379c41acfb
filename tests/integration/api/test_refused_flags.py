from __future__ import annotations

import grpc

from featmesh.management.v1 import flag_service_pb2
from tests.support.api import ApiClient
from tests.support.api import flag_resource as resource_of
from tests.support.resources import Environment
from tests.support.statuses import error_info, violations


async def test_all_faults_of_a_flag_reach_the_caller_at_once(
    api: ApiClient, environment: Environment
) -> None:
    resource = flag_service_pb2.FlagResource()
    resource.flag.key = "f"
    request = flag_service_pb2.CreateFlagRequest(parent=environment.name, resource=resource)
    request.options.comment = "c" * 1_025

    error = await api.refused(api.flags.CreateFlag, request)
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert error_info(error).reason == "INVALID_ARGUMENT"
    assert set(violations(error)) == {
        "resource.display_name",
        "resource.flag.value_type",
        "resource.flag.variations",
        "resource.flag.off_variation_id",
        "resource.flag.fallthrough",
        "options.comment",
    }


async def test_a_very_malformed_flag_still_gets_a_readable_answer(
    api: ApiClient, environment: Environment
) -> None:
    resource = resource_of("f")
    for _ in range(200):
        resource.flag.rules.add(name="x" * 300)
    request = flag_service_pb2.CreateFlagRequest(parent=environment.name, resource=resource)
    error = await api.refused(api.flags.CreateFlag, request)
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert violations(error)[""].endswith("more")
