"""The permission table: every method, by every role, from everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import grpc
import pytest

from featmesh.management.v1 import access_token_service_pb2 as tokens
from featmesh.management.v1 import organization_service_pb2 as organizations
from services.access.principal import Grant, Principal
from services.access.roles import Role, has_permission
from services.access.tokens import Tokens
from services.api.rpc.dispatch import Dispatcher
from services.api.rpc.methods import Method
from services.runtime.errors import NotFound, PermissionDenied
from services.runtime.secrets import ACCESS_TOKEN, hash_secret, new_secret
from services.storage.model.actor import Actor, ActorKind
from services.storage.model.credentials import RoleGrant
from services.storage.model.kinds import KINDS
from services.storage.model.resource import INSTALLATION_ID, Scope
from services.storage.mongodb import MongoStore
from tests.integration.api.mutations import METHODS
from tests.integration.api.requests import least_request
from tests.support.api import ApiClient
from tests.support.resources import (
    Environment,
    make_access_token,
    make_environment,
    make_organization,
    make_project,
)
from tests.support.statuses import error_info, violations

SCOPES: Final = ("installation", "organization", "project", "environment")
"""Levels from the top; a grant at one covers those after it."""

ELSEWHERE: Final = "another organization"

ABSENT: Final = "00000000-0000-4000-8000-000000000000"
"""Key or id of nothing: access is judged before what is named is looked at."""


@dataclass(frozen=True)
class Case:
    """A method on a place of tenant A."""

    method: Method
    level: str
    name: str

    def __str__(self) -> str:
        return f"{self.method.path.rpartition('/')[2]} on {self.name or 'the installation'}"


def cases(environment: Environment) -> Iterator[Case]:
    """Every method on every kind of place that it can be called on."""
    for method in METHODS.values():
        for kind in method.kinds:
            if kind in SCOPES:
                yield Case(method, kind, place_name(environment, kind))
                continue
            for scope in KINDS[kind].scopes:
                above = place_name(environment, scope.lower())
                own = f"{KINDS[kind].plural}/{ABSENT}"
                yield Case(method, scope.lower(), f"{above}/{own}" if above else own)


def place_name(environment: Environment, level: str) -> str:
    return "/".join(environment.name.split("/")[: 2 * SCOPES.index(level)])


def expected(case: Case, role: Role, scope: str) -> str:
    """What must come of a call with ``role`` at ``scope``: `OK`, or the reason of the refusal."""
    access = case.method.access
    level = SCOPES.index(case.level)
    covers = scope in SCOPES[: level + 1]
    reaches = scope in SCOPES[level:] or level == 0
    has = has_permission(role, access.permission)
    if access.any_caller or (has and (covers or (access.filtered and reaches))):
        return "OK"
    return "PERMISSION_DENIED" if covers or level == 0 else "NOT_FOUND"


@pytest.fixture
async def other(store: MongoStore, environment: Environment) -> Environment:
    """An environment of another organization; both tenants use the same keys below it."""
    organization = await make_organization(store, "rival")
    project = await make_project(store, organization.meta.id)
    return await make_environment(store, project.meta.id)


def grant_at(scope: str, environment: Environment, other: Environment) -> tuple[Scope, str]:
    return {
        "installation": (Scope.INSTALLATION, INSTALLATION_ID),
        "organization": (Scope.ORGANIZATION, environment.organization_id),
        "project": (Scope.PROJECT, environment.project_id),
        "environment": (Scope.ENVIRONMENT, environment.id),
        ELSEWHERE: (Scope.ORGANIZATION, other.organization_id),
    }[scope]


@pytest.mark.parametrize("scope", [*SCOPES, ELSEWHERE])
async def test_every_role_may_call_what_its_permissions_say_and_where(
    scope: str, store: MongoStore, environment: Environment, other: Environment
) -> None:
    dispatcher = Dispatcher(Tokens(store.credentials), store.resources, lambda: True)
    wrong = []
    for case in cases(environment):
        data = least_request(case.method, case.name).SerializeToString()
        for role in Role:
            grant = Grant(role, *grant_at(scope, environment, other))
            principal = Principal(Actor(ActorKind.TOKEN, "t", "t"), (grant,))
            outcome = await admitted(dispatcher, case.method, data, principal)
            if outcome != expected(case, role, scope):
                wrong.append(f"{role}: {case}: {outcome}, not {expected(case, role, scope)}")
    assert wrong == []


async def admitted(
    dispatcher: Dispatcher, method: Method, data: bytes, principal: Principal
) -> str:
    """What comes of it; a denial must name the permission that is missing."""
    try:
        await dispatcher.admit(method, data, principal)
    except PermissionDenied as error:
        wanted = {"permission": method.access.permission}
        return error.reason if error.metadata == wanted else f"denied with {error.metadata}"
    except NotFound as error:
        return error.reason
    return "OK"


async def token(store: MongoStore, role: Role, level: Scope, scope_id: str, name: str = "t") -> str:
    """A new token's secret."""
    secret = new_secret(ACCESS_TOKEN)
    await make_access_token(store, name, hash_secret(secret), RoleGrant(role, level, scope_id))
    return secret


async def reply(client: ApiClient, method: Method, request: Any) -> Any:
    """What a call of any shape ends with: the first answer, or the error."""
    try:
        if method.client_streaming:
            call = client.channel.stream_unary(
                method.path, method.request.SerializeToString, method.response.FromString
            )
            return await call(iter([request]), metadata=client.metadata)
        if method.server_streaming:
            stream = client.channel.unary_stream(
                method.path, method.request.SerializeToString, method.response.FromString
            )(request, metadata=client.metadata)
            try:
                return await stream.read()
            finally:
                stream.cancel()
        return await client.call(client.method(method), request)
    except grpc.aio.AioRpcError as error:
        return error


def by_ids(environment: Environment) -> Environment:
    """The same by its ids."""
    ids = (environment.organization_id, environment.project_id, environment.id)
    name = "organizations/{}/projects/{}/environments/{}".format(*ids)
    return renamed(environment, name)


def by_wildcards(environment: Environment) -> Environment:
    return renamed(environment, f"organizations/-/projects/-/environments/{environment.id}")


def renamed(environment: Environment, name: str) -> Environment:
    return Environment(
        environment.id,
        environment.key,
        environment.organization_id,
        environment.project_id,
        environment.revision,
        name,
    )


@pytest.mark.parametrize("naming", [renamed, by_ids, by_wildcards], ids=["keys", "ids", "-"])
async def test_no_method_lets_an_owner_into_another_organization(
    naming: Any, api: ApiClient, store: MongoStore, environment: Environment, other: Environment
) -> None:
    secret = await token(store, Role.OWNER, Scope.ORGANIZATION, other.organization_id)
    rival = api.with_secret(secret)
    place = environment if naming is renamed else naming(environment)
    let_in = []
    for case in cases(place):
        access = case.method.access
        if access.any_caller or (access.filtered and case.level == SCOPES[0]):
            continue  # they tell a caller about itself, as tests below show
        if "-" in case.name.split("/") and case.level in {"organization", "project"}:
            continue  # `-` stands above an id only; the environment's are what is tried
        answer = await reply(rival, case.method, least_request(case.method, case.name))
        refusal = "PERMISSION_DENIED" if case.level == SCOPES[0] else "NOT_FOUND"
        if not isinstance(answer, grpc.aio.AioRpcError) or answer.code().name != refusal:
            let_in.append(f"{case}: {answer}")
    assert let_in == []


async def test_a_name_of_ones_own_organization_does_not_lead_into_another(
    api: ApiClient, store: MongoStore, environment: Environment, other: Environment
) -> None:
    secret = await token(store, Role.OWNER, Scope.ORGANIZATION, other.organization_id)
    rival = api.with_secret(secret)
    mixed = [
        f"organizations/rival/projects/{environment.project_id}/environments/{environment.id}",
        f"organizations/rival/projects/shop/environments/{environment.id}",
        f"organizations/-/projects/shop/environments/{environment.id}",
        f"organizations/{other.organization_id}/projects/-/environments/{environment.id}",
    ]
    method = METHODS["GetEnvironment"]
    for name in mixed:
        error = await rival.refused(rival.method(method), least_request(method, name))
        assert error.code() == grpc.StatusCode.NOT_FOUND, name


async def test_real_calls_are_judged_as_the_table_says(
    api: ApiClient, store: MongoStore, environment: Environment, other: Environment
) -> None:
    wrong = []
    for role, scope in (
        (Role.VIEWER, "environment"),
        (Role.ADMIN, "project"),
        (Role.OPERATOR, "organization"),
    ):
        level, scope_id = grant_at(scope, environment, other)
        client = api.with_secret(await token(store, role, level, scope_id))
        for case in cases(environment):
            answer = await reply(client, case.method, least_request(case.method, case.name))
            wanted = expected(case, role, scope)
            if wanted != "OK" and not is_refused(answer, wanted):
                wrong.append(f"{role}: {case}: {answer!r}, not {wanted}")
            if wanted == "OK" and is_refused(answer, "PERMISSION_DENIED"):
                wrong.append(f"{role}: {case}: {answer!r}")
    assert wrong == []


def is_refused(answer: Any, reason: str) -> bool:
    return isinstance(answer, grpc.aio.AioRpcError) and error_info(answer).reason == reason


async def test_a_list_of_places_holds_what_the_caller_may_see(
    api: ApiClient, store: MongoStore, environment: Environment, other: Environment
) -> None:
    client = api.with_secret(await token(store, Role.VIEWER, Scope.ENVIRONMENT, other.id))
    listing = organizations.ListOrganizationsRequest()
    seen = await client.call(client.organizations.ListOrganizations, listing)
    assert [each.key for each in seen.organizations] == ["rival"]
    assert seen.total_size == 0, "how many others there are is not told"
    everything = await api.call(api.organizations.ListOrganizations, listing)
    assert [each.key for each in everything.organizations] == ["acme", "rival"]


def new_token(
    parent: str, role: tokens.Role.ValueType, resource: str
) -> tokens.CreateAccessTokenRequest:
    grant = tokens.Grant(role=role, resource=resource)
    kind = tokens.ACCESS_TOKEN_KIND_SERVICE
    return tokens.CreateAccessTokenRequest(
        parent=parent,
        access_token=tokens.AccessToken(display_name="new", kind=kind, grants=[grant]),
    )


ACME: Final = "organizations/acme"


async def test_a_new_token_does_what_it_was_granted_and_no_more(
    api: ApiClient, environment: Environment
) -> None:
    request = new_token(ACME, tokens.ROLE_VIEWER, environment.name)
    made = await api.call(api.tokens.CreateAccessToken, request)
    assert made.access_token.name.startswith(f"{ACME}/")
    assert made.access_token.last_characters == made.secret[-4:]

    viewer = api.with_secret(made.secret)
    get, delete = METHODS["GetEnvironment"], METHODS["DeleteEnvironment"]
    assert await viewer.call(viewer.method(get), least_request(get, environment.name))
    error = await viewer.refused(viewer.method(delete), least_request(delete, environment.name))
    assert error.code() == grpc.StatusCode.PERMISSION_DENIED
    assert error_info(error).metadata["permission"] == "environments.delete"
    caller = await viewer.call(viewer.tokens.GetCaller, tokens.GetCallerRequest())
    assert caller.caller.id == made.access_token.meta.id
    assert list(caller.grants) == [tokens.Grant(role=tokens.ROLE_VIEWER, resource=environment.name)]


@pytest.mark.parametrize("update", [False, True])
async def test_nobody_grants_what_they_do_not_hold(
    update: bool, api: ApiClient, store: MongoStore, environment: Environment
) -> None:
    secret = await token(store, Role.ADMIN, Scope.ORGANIZATION, environment.organization_id)
    admin = api.with_secret(secret)
    good = new_token(ACME, tokens.ROLE_ADMIN, environment.name)
    made = (await admin.call(admin.tokens.CreateAccessToken, good)).access_token

    bad = new_token(ACME, tokens.ROLE_OWNER, environment.name)
    method: Any = admin.tokens.CreateAccessToken
    request: Any = bad
    if update:
        method = admin.tokens.UpdateAccessToken
        request = tokens.UpdateAccessTokenRequest(
            access_token=tokens.AccessToken(name=made.name, grants=bad.access_token.grants),
            base_version=1,
        )
    error = await admin.refused(method, request)
    assert error.code() == grpc.StatusCode.PERMISSION_DENIED
    assert "OWNER" in (error.details() or "")


async def test_a_token_of_an_organization_is_granted_nothing_beyond_it(
    api: ApiClient, store: MongoStore, environment: Environment, other: Environment
) -> None:
    field = "access_token.grants[0].resource"
    for resource in ("", "organizations/rival", other.name):
        request = new_token(ACME, tokens.ROLE_VIEWER, resource)
        error = await api.refused(api.tokens.CreateAccessToken, request)
        assert set(violations(error)) == {field}, resource


async def test_a_grant_does_not_tell_which_other_organizations_there_are(
    api: ApiClient, store: MongoStore, environment: Environment, other: Environment
) -> None:
    secret = await token(store, Role.OWNER, Scope.ORGANIZATION, environment.organization_id)
    owner = api.with_secret(secret)
    for resource in ("organizations/rival", "organizations/nobody"):
        request = new_token(ACME, tokens.ROLE_VIEWER, resource)
        error = await owner.refused(owner.tokens.CreateAccessToken, request)
        assert error.code() == grpc.StatusCode.NOT_FOUND, resource


async def test_a_stronger_token_cannot_be_taken_over_by_rotating_it(
    api: ApiClient, store: MongoStore, environment: Environment
) -> None:
    strong = new_token(ACME, tokens.ROLE_OWNER, ACME)
    made = (await api.call(api.tokens.CreateAccessToken, strong)).access_token
    secret = await token(store, Role.ADMIN, Scope.ORGANIZATION, environment.organization_id)
    admin = api.with_secret(secret)

    rotate = tokens.RotateAccessTokenRequest(name=made.name)
    error = await admin.refused(admin.tokens.RotateAccessToken, rotate)
    assert error.code() == grpc.StatusCode.PERMISSION_DENIED
    rotated = await api.call(api.tokens.RotateAccessToken, rotate)
    caller = api.with_secret(rotated.secret)
    answer = await caller.call(caller.tokens.GetCaller, tokens.GetCallerRequest())
    assert answer.caller.id == made.meta.id


async def test_a_caller_who_is_nobody_is_told_nothing(
    api: ApiClient, environment: Environment
) -> None:
    nobody = api.with_secret(new_secret(ACCESS_TOKEN))
    for method in METHODS.values():
        answer = await reply(nobody, method, method.request())
        assert isinstance(answer, grpc.aio.AioRpcError), method.path
        assert answer.code() == grpc.StatusCode.UNAUTHENTICATED, method.path
