"""Every RPC of the management API that writes, with good requests for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from featmesh.management.v1 import flag_service_pb2 as flags
from featmesh.management.v1 import import_service_pb2 as imports
from featmesh.management.v1 import segment_service_pb2 as segments
from featmesh.management.v1 import tenancy_pb2 as tenancy
from tests.support.api import ApiClient, flag_resource, segment_resource
from tests.support.resources import Environment


@dataclass
class World:
    """An environment with a flag `f` and a segment `s` at version 2, a deleted flag and a key."""

    api: ApiClient
    environment: Environment
    organization_id: str
    another_environment_id: str
    sdk_key_ids: tuple[str, str]

    async def call(self, mutation: Mutation, request: Any) -> Any:
        return await self.api.call(getattr(mutation.stub(self.api), mutation.name), request)

    async def refused(self, mutation: Mutation, request: Any) -> Any:
        return await self.api.refused(getattr(mutation.stub(self.api), mutation.name), request)


@dataclass(frozen=True)
class Mutation:
    """An RPC, a good request for it, and another good one."""

    name: str
    service: str
    requests: Callable[[World], tuple[Any, Any]]
    stale: Callable[[Any], None] | None = None
    """Bases a request on version 1, which is not the current one."""

    def stub(self, api: ApiClient) -> Any:
        return getattr(api, self.service)

    def __str__(self) -> str:
        return self.name


def items(kind: Any, *fields: dict[str, Any]) -> Callable[[World], tuple[Any, Any]]:
    """Two requests for items of the environment."""

    def make(world: World) -> tuple[Any, Any]:
        first, second = (kind(environment_id=world.environment.id, **each) for each in fields)
        return first, second

    return make


def version_of(request: Any) -> None:
    request.version = 1


def version_of_flag(request: Any) -> None:
    request.resource.flag.version = 1


def version_of_segment(request: Any) -> None:
    request.resource.segment.version = 1


def updated_flag(name: str) -> dict[str, Any]:
    resource = flag_resource("f", version=2)
    resource.name = name
    return {"resource": resource}


def updated_segment(name: str) -> dict[str, Any]:
    resource = segment_resource("s", version=2)
    resource.name = name
    return {"resource": resource}


def named(kind: Any, parent: str, of: Callable[[World], str]) -> Any:
    def make(world: World) -> tuple[Any, Any]:
        first, second = (
            kind(key=key, name=key, **({parent: of(world)} if parent else {}))
            for key in ("first", "second")
        )
        return first, second

    return make


def revoked_keys(world: World) -> tuple[Any, Any]:
    first, second = (
        tenancy.RevokeSdkKeyRequest(environment_id=world.environment.id, sdk_key_id=each)
        for each in world.sdk_key_ids
    )
    return first, second


MUTATIONS: Final = (
    Mutation(
        "CreateFlag",
        "flags",
        items(
            flags.CreateFlagRequest,
            {"resource": flag_resource("new")},
            {"resource": flag_resource("other")},
        ),
    ),
    Mutation(
        "UpdateFlag",
        "flags",
        items(flags.UpdateFlagRequest, updated_flag("A"), updated_flag("B")),
        version_of_flag,
    ),
    Mutation(
        "ToggleFlag",
        "flags",
        items(
            flags.ToggleFlagRequest, {"key": "f", "enabled": False}, {"key": "f", "enabled": True}
        ),
        version_of,
    ),
    Mutation(
        "ArchiveFlag",
        "flags",
        items(
            flags.ArchiveFlagRequest,
            {"key": "f", "archived": True},
            {"key": "f", "archived": False},
        ),
        version_of,
    ),
    Mutation(
        "RollbackFlag",
        "flags",
        items(
            flags.RollbackFlagRequest,
            {"key": "f", "to_version": 1},
            {"key": "f", "to_version": 2},
        ),
        version_of,
    ),
    Mutation(
        "DeleteFlag",
        "flags",
        items(flags.DeleteFlagRequest, {"key": "f"}, {"key": "g"}),
        version_of,
    ),
    Mutation(
        "CreateSegment",
        "segments",
        items(
            segments.CreateSegmentRequest,
            {"resource": segment_resource("new")},
            {"resource": segment_resource("other")},
        ),
    ),
    Mutation(
        "UpdateSegment",
        "segments",
        items(segments.UpdateSegmentRequest, updated_segment("A"), updated_segment("B")),
        version_of_segment,
    ),
    Mutation(
        "ArchiveSegment",
        "segments",
        items(
            segments.ArchiveSegmentRequest,
            {"key": "s", "archived": True},
            {"key": "s", "archived": False},
        ),
        version_of,
    ),
    Mutation(
        "RollbackSegment",
        "segments",
        items(
            segments.RollbackSegmentRequest,
            {"key": "s", "to_version": 1},
            {"key": "s", "to_version": 2},
        ),
        version_of,
    ),
    Mutation(
        "DeleteSegment",
        "segments",
        items(segments.DeleteSegmentRequest, {"key": "s"}, {"key": "t"}),
        version_of,
    ),
    Mutation(
        "ImportItems",
        "imports",
        items(
            imports.ImportItemsRequest,
            {"flags": [flag_resource("in")], "segments": [segment_resource("in")]},
            {"flags": [flag_resource("out")]},
        ),
    ),
    Mutation(
        "CreateOrganization",
        "tenancy",
        named(tenancy.CreateOrganizationRequest, "", lambda world: ""),
    ),
    Mutation(
        "CreateProject",
        "tenancy",
        named(tenancy.CreateProjectRequest, "organization_id", lambda world: world.organization_id),
    ),
    Mutation(
        "CreateEnvironment",
        "tenancy",
        named(
            tenancy.CreateEnvironmentRequest,
            "project_id",
            lambda world: world.environment.project_id,
        ),
    ),
    Mutation(
        "UpdateEnvironment",
        "tenancy",
        items(tenancy.UpdateEnvironmentRequest, {"retention_days": 7}, {"name": "Live"}),
    ),
    Mutation(
        "DeleteEnvironment",
        "tenancy",
        lambda world: (
            tenancy.DeleteEnvironmentRequest(environment_id=world.environment.id),
            tenancy.DeleteEnvironmentRequest(environment_id=world.another_environment_id),
        ),
    ),
    Mutation(
        "CreateSdkKey",
        "tenancy",
        items(
            tenancy.CreateSdkKeyRequest,
            {"kind": tenancy.SDK_KEY_KIND_SERVER, "name": "first"},
            {"kind": tenancy.SDK_KEY_KIND_CLIENT, "name": "first"},
        ),
    ),
    Mutation(
        "RevokeSdkKey",
        "tenancy",
        revoked_keys,
    ),
)
VERSIONED: Final = tuple(each for each in MUTATIONS if each.stale)
