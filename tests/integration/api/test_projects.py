from __future__ import annotations

import grpc

from featmesh.management.v1 import project_service_pb2 as pb
from services.storage.mongodb import MongoStore
from tests.support.api import ApiClient
from tests.support.resources import Environment, make_organization
from tests.support.statuses import error_info, violations

ACME = "organizations/acme"


async def create(api: ApiClient, key: str, parent: str = ACME) -> pb.Project:
    project = pb.Project(key=key, display_name=key.title())
    request = pb.CreateProjectRequest(parent=parent, project=project)
    answer: pb.CreateProjectResponse = await api.call(api.projects.CreateProject, request)
    return answer.project


async def test_projects_are_made_listed_and_renamed(
    api: ApiClient, environment: Environment
) -> None:
    made = await create(api, "web")
    assert made.name == f"{ACME}/projects/web"
    get = pb.GetProjectRequest(name=made.name)
    assert (await api.call(api.projects.GetProject, get)).project == made
    listed = await api.call(api.projects.ListProjects, pb.ListProjectsRequest(parent=ACME))
    assert [each.key for each in listed.projects] == ["shop", "web"]
    assert listed.total_size == 2

    request = pb.UpdateProjectRequest(
        project=pb.Project(name=made.name, display_name="Site"), base_version=1
    )
    updated = (await api.call(api.projects.UpdateProject, request)).project
    assert (updated.display_name, updated.meta.version) == ("Site", 2)


async def test_a_key_is_taken_in_one_organization_alone(
    api: ApiClient, environment: Environment, store: MongoStore
) -> None:
    await make_organization(store, "rival")
    assert (await create(api, "shop", "organizations/rival")).key == "shop"
    request = pb.CreateProjectRequest(
        parent=ACME, project=pb.Project(key="shop", display_name="Shop")
    )
    error = await api.refused(api.projects.CreateProject, request)
    assert error.code() == grpc.StatusCode.ALREADY_EXISTS


async def test_all_broken_fields_are_listed(api: ApiClient) -> None:
    request = pb.CreateProjectRequest(project=pb.Project(key="no spaces", display_name="x" * 257))
    error = await api.refused(api.projects.CreateProject, request)
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert error_info(error).reason == "INVALID_ARGUMENT"
    assert error_info(error).domain == "featmesh"
    assert set(violations(error)) == {"parent", "project.key", "project.display_name"}


async def test_an_empty_project_is_deleted_and_one_with_environments_is_not(
    api: ApiClient, environment: Environment
) -> None:
    full = pb.DeleteProjectRequest(name=f"{ACME}/projects/shop")
    error = await api.refused(api.projects.DeleteProject, full)
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
    empty = pb.DeleteProjectRequest(name=(await create(api, "web")).name)
    await api.call(api.projects.DeleteProject, empty)
    get = pb.GetProjectRequest(name=empty.name)
    gone = await api.refused(api.projects.GetProject, get)
    assert gone.code() == grpc.StatusCode.NOT_FOUND
