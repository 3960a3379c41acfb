"""Every RPC of the management API that writes, with good requests for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.field_mask_pb2 import FieldMask

from featmesh.management.v1 import access_token_service_pb2 as tokens
from featmesh.management.v1 import sdk_key_service_pb2 as sdk_keys
from services.api.registration import SERVICE_DESCRIPTORS
from services.api.rpc.methods import Method, methods_of
from tests.support.api import ApiClient, flag_resource, segment_resource
from tests.support.resources import Environment

Requests = tuple[Any, Any]

METHODS: Final[Mapping[str, Method]] = {
    name: method for service in SERVICE_DESCRIPTORS for name, method in methods_of(service).items()
}
"""All methods of all services, by their names, which are unique."""

WRITING: Final = {
    name
    for name, method in METHODS.items()
    if "options" in method.request.DESCRIPTOR.fields_by_name
}
"""Methods that take MutationOptions."""


@dataclass
class World:
    """An environment and what stands in it, each twice and at version 2.

    ``names`` are by kind; ``resting`` are archived flags and segments, and revoked keys.
    """

    api: ApiClient
    environment: Environment
    names: dict[str, tuple[str, str]]
    resting: dict[str, tuple[str, str]]
    actor_id: str

    @property
    def organization(self) -> str:
        return "/".join(self.environment.name.split("/")[:2])

    @property
    def project(self) -> str:
        return "/".join(self.environment.name.split("/")[:4])

    async def call(self, mutation: Mutation, request: Any) -> Any:
        return await self.api.call(self.api.method(mutation.method), request)

    async def refused(self, mutation: Mutation, request: Any) -> Any:
        return await self.api.refused(self.api.method(mutation.method), request)


@dataclass(frozen=True)
class Mutation:
    """An RPC, a good request for it, and another good one."""

    name: str
    requests: Callable[[World], Requests]

    @property
    def method(self) -> Method:
        return METHODS[self.name]

    @property
    def takes_version(self) -> bool:
        return "base_version" in self.method.request.DESCRIPTOR.fields_by_name

    @property
    def shows_secret(self) -> bool:
        return "secret" in self.method.response.DESCRIPTOR.fields_by_name

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Noun:
    """A kind of resource: the field that holds it, and two good new ones of a parent."""

    name: str
    kind: str
    field: str
    parent: Callable[[World], str]
    made: Callable[[World, str], dict[str, Any]]
    """Fields of a resource of this display name."""


def keyed(_world: World, name: str) -> dict[str, Any]:
    return {"key": name, "display_name": name}


def flag_of(_world: World, name: str) -> dict[str, Any]:
    resource = flag_resource(name)
    return {"flag": resource.flag, "display_name": name}


def segment_of(_world: World, name: str) -> dict[str, Any]:
    return {"segment": segment_resource(name).segment, "display_name": name}


def sdk_key_of(_world: World, name: str) -> dict[str, Any]:
    return {"kind": sdk_keys.SDK_KEY_KIND_SERVER, "display_name": name}


def token_of(world: World, name: str) -> dict[str, Any]:
    grant = tokens.Grant(role=tokens.ROLE_VIEWER, resource=world.environment.name)
    return {
        "kind": tokens.ACCESS_TOKEN_KIND_SERVICE,
        "display_name": name,
        "grants": [grant],
    }


def in_environment(world: World) -> str:
    return world.environment.name


NOUNS: Final = (
    Noun("Organization", "organization", "organization", lambda _: "", keyed),
    Noun("Project", "project", "project", lambda world: world.organization, keyed),
    Noun("Environment", "environment", "environment", lambda world: world.project, keyed),
    Noun("Tag", "tag", "tag", lambda world: world.project, keyed),
    Noun("SdkKey", "sdk_key", "sdk_key", in_environment, sdk_key_of),
    Noun("AccessToken", "access_token", "access_token", lambda world: world.organization, token_of),
    Noun("Flag", "flag", "resource", in_environment, flag_of),
    Noun("Segment", "segment", "resource", in_environment, segment_of),
)


def create(noun: Noun) -> Mutation:
    def requests(world: World) -> Requests:
        one, two = (
            METHODS[f"Create{noun.name}"].request(
                parent=noun.parent(world), **{noun.field: noun.made(world, name)}
            )
            for name in ("new", "other")
        )
        return one, two

    return Mutation(f"Create{noun.name}", requests)


def update(noun: Noun) -> Mutation:
    def requests(world: World) -> Requests:
        one, two = (
            METHODS[f"Update{noun.name}"].request(
                update_mask=FieldMask(paths=["display_name"]),
                base_version=2,
                **{noun.field: {"name": world.names[noun.kind][0], "display_name": name}},
            )
            for name in ("A", "B")
        )
        return one, two

    return Mutation(f"Update{noun.name}", requests)


def of_names(verb: str, noun: Noun, *, resting: bool = False, **fields: Any) -> Mutation:
    """An RPC that names what it is about."""

    def requests(world: World) -> Requests:
        names = (world.resting if resting else world.names)[noun.kind]
        request = METHODS[f"{verb}{noun.name}"].request
        one, two = (request(name=name, **fields) for name in names)
        return one, two

    return Mutation(f"{verb}{noun.name}", requests)


def of_definitions(noun: Noun) -> Sequence[Mutation]:
    return (
        of_names("Archive", noun),
        of_names("Restore", noun, resting=True),
        of_names("Rollback", noun, to_version=1),
    )


def imports(world: World) -> Requests:
    request = METHODS["ImportItems"].request
    one = request(
        parent=world.environment.name,
        flags=[flag_resource("in")],
        segments=[segment_resource("in")],
    )
    return one, request(parent=world.environment.name, flags=[flag_resource("out")])


_BY_KIND: Final = {noun.kind: noun for noun in NOUNS}

MUTATIONS: Final = (
    *map(create, NOUNS),
    *map(update, NOUNS),
    *(
        of_names("Delete", noun, resting=noun.kind == "sdk_key")
        for noun in NOUNS
        if noun.kind != "access_token"
    ),
    *of_definitions(_BY_KIND["flag"]),
    *of_definitions(_BY_KIND["segment"]),
    of_names("Toggle", _BY_KIND["flag"], enabled=False),
    of_names("Revoke", _BY_KIND["sdk_key"]),
    of_names("Revoke", _BY_KIND["access_token"]),
    of_names("Rotate", _BY_KIND["access_token"]),
    Mutation("ImportItems", imports),
)

VERSIONED: Final = tuple(each for each in MUTATIONS if each.takes_version)
