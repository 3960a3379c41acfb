from __future__ import annotations

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from featmesh.management.v1 import organization_service_pb2 as pb
from featmesh.management.v1.page_pb2 import PageRequest
from tests.support.api import ACTOR, ApiClient
from tests.support.resources import Environment
from tests.support.statuses import error_info, violations


async def create(api: ApiClient, key: str, display_name: str = "Shop") -> pb.Organization:
    organization = pb.Organization(key=key, display_name=display_name)
    request = pb.CreateOrganizationRequest(organization=organization)
    answer: pb.CreateOrganizationResponse = await api.call(
        api.organizations.CreateOrganization, request
    )
    return answer.organization


async def test_an_organization_is_read_back_and_listed_by_its_name(api: ApiClient) -> None:
    made = await create(api, "shop")
    assert made.name == "organizations/shop"
    assert (made.meta.version, made.meta.created_by.display_name) == (1, ACTOR)

    for name in (made.name, f"organizations/{made.meta.id}"):
        get = pb.GetOrganizationRequest(name=name)
        assert (await api.call(api.organizations.GetOrganization, get)).organization == made
    listing = pb.ListOrganizationsRequest()
    listed = await api.call(api.organizations.ListOrganizations, listing)
    assert (list(listed.organizations), listed.total_size) == ([made], 1)


async def test_an_organization_is_renamed_and_keeps_its_key(api: ApiClient) -> None:
    made = await create(api, "shop")
    request = pb.UpdateOrganizationRequest(
        organization=pb.Organization(name=made.name, display_name="Store", key="other"),
        update_mask=FieldMask(paths=["display_name"]),
        base_version=1,
    )
    error = await api.refused(api.organizations.UpdateOrganization, request)
    assert set(violations(error)) == {"organization.key"}

    request.organization.key = "shop"
    updated = (await api.call(api.organizations.UpdateOrganization, request)).organization
    assert (updated.display_name, updated.key, updated.meta.version) == ("Store", "shop", 2)


async def test_a_taken_key_already_exists(api: ApiClient) -> None:
    await create(api, "shop")
    request = pb.CreateOrganizationRequest(
        organization=pb.Organization(key="shop", display_name="Shop")
    )
    error = await api.refused(api.organizations.CreateOrganization, request)
    assert error.code() == grpc.StatusCode.ALREADY_EXISTS


async def test_names_hold_no_control_characters_and_are_counted_in_bytes(api: ApiClient) -> None:
    for name in ("two\nlines", "é" * 129):
        request = pb.CreateOrganizationRequest(
            organization=pb.Organization(key="shop", display_name=name)
        )
        error = await api.refused(api.organizations.CreateOrganization, request)
        assert set(violations(error)) == {"organization.display_name"}


async def test_an_empty_organization_is_deleted_and_one_with_projects_is_not(
    api: ApiClient, environment: Environment
) -> None:
    full = pb.DeleteOrganizationRequest(name="organizations/acme")
    error = await api.refused(api.organizations.DeleteOrganization, full)
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION

    empty = pb.DeleteOrganizationRequest(name=(await create(api, "shop")).name)
    await api.call(api.organizations.DeleteOrganization, empty)
    gone = await api.refused(api.organizations.DeleteOrganization, empty)
    assert gone.code() == grpc.StatusCode.NOT_FOUND


async def test_organizations_are_filtered_sorted_and_paged(api: ApiClient) -> None:
    for key, name in (("a", "Shop one"), ("b", "Bank"), ("c", "Shop two")):
        await create(api, key, name)
    request = pb.ListOrganizationsRequest(
        filter="display_name:shop*", order_by="key desc", page=PageRequest(size=1)
    )
    first = await api.call(api.organizations.ListOrganizations, request)
    request.page.token = first.next_token
    second = await api.call(api.organizations.ListOrganizations, request)
    pages = [[each.key for each in page.organizations] for page in (first, second)]
    assert pages == [["c"], ["a"]]
    assert first.total_size == 2

    request.filter = ""
    error = await api.refused(api.organizations.ListOrganizations, request)
    assert set(violations(error)) == {"page.token"}


async def test_a_page_has_a_size_within_its_limits(api: ApiClient) -> None:
    request = pb.ListOrganizationsRequest(page=PageRequest(size=501, token="?"))
    error = await api.refused(api.organizations.ListOrganizations, request)
    assert set(violations(error)) == {"page.size"}


async def test_an_oversized_message_is_an_invalid_argument(api: ApiClient) -> None:
    organization = pb.Organization(key="k", display_name="x" * (1024 * 1024))
    request = pb.CreateOrganizationRequest(organization=organization)
    error = await api.refused(api.organizations.CreateOrganization, request)
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert set(violations(error)) == {"request"}


async def test_a_name_of_another_shape_is_refused_with_the_right_one(api: ApiClient) -> None:
    for name in ("shop", "organizations/", "projects/shop", "organizations/a b"):
        request = pb.GetOrganizationRequest(name=name)
        error = await api.refused(api.organizations.GetOrganization, request)
        assert error_info(error).reason == "INVALID_ARGUMENT"
        assert "organizations/<key>" in violations(error)["name"]
