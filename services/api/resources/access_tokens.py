"""AccessTokenService."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from google.protobuf.message import Message

from featmesh.management.v1 import access_token_service_pb2 as pb
from services.access.decisions import place_of, require_sight
from services.access.names import parse_name
from services.access.roles import Role
from services.api.resources.standard import Deps, ResourceType, Standard
from services.api.rpc.call import Call
from services.api.rpc.dispatch import Behaviour
from services.api.rpc.messages import actor_message, time_of, timestamp
from services.runtime.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    StaleVersion,
)
from services.runtime.secrets import ACCESS_TOKEN, hash_secret, last_characters, new_secret
from services.storage.model.credentials import AccessToken, AccessTokenKind, RoleGrant
from services.storage.model.kinds import ACCESS_TOKEN as KIND
from services.storage.model.resource import Stored

DEFAULT_LIFE: Final = timedelta(days=90)
MAX_LIFE: Final = timedelta(days=3_650)

_KIND: Final = "ACCESS_TOKEN_KIND_"
_ROLE: Final = "ROLE_"
_PLACES: Final = ("installation", "organization", "project", "environment")


def _write(message: pb.AccessToken, stored: Stored[AccessToken]) -> None:
    """Writes all but the grants, whose names have to be looked up."""
    token = stored.content
    message.display_name, message.last_characters = token.display_name, token.last_characters
    message.kind = pb.AccessTokenKind.Value(f"{_KIND}{token.kind}")
    message.owner.CopyFrom(actor_message(stored.meta.created_by))
    for field in ("expires_at", "last_used_at", "revoked_at"):
        time = getattr(token, field)
        if time is not None:
            getattr(message, field).FromDatetime(time)


def _read(message: pb.AccessToken, current: Stored[AccessToken] | None) -> AccessToken:
    """Reads all but the grants."""
    expires_at = time_of(message.expires_at) if message.HasField("expires_at") else None
    if current is not None:  # its kind and secret never change
        return replace(current.content, display_name=message.display_name, expires_at=expires_at)
    kind = AccessTokenKind(pb.AccessTokenKind.Name(message.kind).removeprefix(_KIND))
    return AccessToken(message.display_name, kind, secret_hash="", expires_at=expires_at)


ACCESS_TOKENS: Final = ResourceType(
    kind=KIND,
    service=pb.DESCRIPTOR.services_by_name["AccessTokenService"],
    message=pb.AccessToken,
    field="access_token",
    plural="access_tokens",
    write=_write,
    read=_read,
)


class AccessTokenMethods(Standard[AccessToken]):
    """The standard ones, with secrets that are shown once, and what tokens may be given."""

    def __init__(self, deps: Deps) -> None:
        super().__init__(ACCESS_TOKENS, deps)

    def methods(self) -> dict[str, Behaviour]:
        """Returns all of them."""
        return {
            **super().methods(),
            "RotateAccessToken": self.rotate,
            "RevokeAccessToken": self.revoke,
            "GetCaller": self.get_caller,
        }

    async def create(self, request: Any, call: Call) -> Message:
        """Makes a token; the secret is empty unless this call has made it."""
        sent, secret = request.access_token, new_secret(ACCESS_TOKEN)
        content = replace(
            _read(sent, None),
            secret_hash=hash_secret(secret),
            last_characters=last_characters(secret),
            owner=call.principal.actor.id,
            grants=await self._grants(sent.grants, call),
            expires_at=_end(sent),
        )
        made = await self.commit_new(content, request, call)
        return await self._show_once("Create", made, secret, request)

    async def replaced(
        self, current: Stored[AccessToken], sent: Any, paths: frozenset[str], call: Call
    ) -> AccessToken:
        """Returns it with what was sent; expiry and grants are checked as those of a new one."""
        content = await super().replaced(current, sent, paths, call)
        if "expires_at" in paths:
            content = replace(content, expires_at=_end(sent))
        if "grants" in paths:
            content = replace(content, grants=await self._grants(sent.grants, call))
        return content

    async def rotate(self, request: Any, call: Call) -> Message:
        """Gives it a new secret, to a caller who holds what the token gives."""
        secret, end = new_secret(ACCESS_TOKEN), _end(request)
        target = call.target(KIND)
        current = await self.deps.resources.get(KIND, target.scope_id, target.key)
        await self._require_held(current.content.grants, call)

        def rotated(token: AccessToken) -> AccessToken:
            if token.grants != current.content.grants:
                raise StaleVersion("the access token's grants have just changed; try again")
            if token.revoked_at is not None:
                raise FailedPrecondition("the access token is revoked; make another one")
            return replace(
                token,
                secret_hash=hash_secret(secret),
                last_characters=last_characters(secret),
                expires_at=end,
            )

        stored = await self._edit("rotate", rotated, request, call)
        return await self._show_once("Rotate", stored, secret, request)

    async def revoke(self, request: Any, call: Call) -> Message:
        """Revokes; the first time of revocation is kept."""
        now = datetime.now(UTC)
        stored = await self._edit(
            "revoke",
            lambda token: token if token.revoked_at else replace(token, revoked_at=now),
            request,
            call,
        )
        return await self.answer("Revoke", stored)

    async def get_caller(self, request: Any, call: Call) -> Message:
        """Answers with who calls."""
        principal = call.principal
        return pb.GetCallerResponse(
            caller=actor_message(principal.actor),
            grants=[
                await self._grant_message(grant.role, grant.scope_id) for grant in principal.grants
            ],
            expires_at=timestamp(principal.expires_at),
        )

    async def message(self, stored: Stored[AccessToken], name: str) -> Any:
        """Returns the token with the names of its grants' places."""
        message = await super().message(stored, name)
        for grant in stored.content.grants:
            message.grants.append(await self._grant_message(grant.role, grant.scope_id))
        return message

    async def _edit(
        self, operation: str, edit: Any, request: Any, call: Call
    ) -> Stored[AccessToken]:
        return await self.deps.versions.edit(
            KIND,
            call.target(KIND),
            operation,
            edit,
            mutation=call.mutation(request),
            version=request.base_version,
        )

    async def _show_once(
        self, verb: str, stored: Stored[AccessToken], secret: str, request: Any
    ) -> Message:
        is_made = stored.content.secret_hash == hash_secret(secret)
        shown = secret if is_made and not request.options.validate_only else ""
        return await self.answer(verb, stored, secret=shown)

    async def _require_held(self, grants: Iterable[RoleGrant], call: Call) -> None:
        """Raises `PermissionDenied` unless the caller could grant these: a secret is a grant."""
        for grant in grants:
            try:
                place = await self.deps.resources.ancestry(grant.scope_id)
            except NotFound:  # it was deleted: the grant is good for nothing
                continue
            if not call.principal.may_grant(Role(grant.role), place):
                text = f"this token is {grant.role} on {place.path or 'the installation'}"
                raise PermissionDenied(f"{text}, which you are not", permission="tokens.rotate")

    async def _grants(self, sent: Iterable[pb.Grant], call: Call) -> tuple[RoleGrant, ...]:
        return tuple([await self._grant(i, each, call) for i, each in enumerate(sent)])

    async def _grant(self, index: int, sent: pb.Grant, call: Call) -> RoleGrant:
        """Raises `PermissionDenied` for what the caller does not hold."""
        field = f"access_token.grants[{index}].resource"
        name = parse_name(field, sent.resource, _PLACES)
        place = await place_of(self.deps.resources, name, sent.resource)
        require_sight(call.principal, place, sent.resource)
        owner = call.place.organization_id
        if owner and place.organization_id != owner:
            raise InvalidArgument.of(field, f"is beyond {call.place.path}, whose token this is")
        role = Role(pb.Role.Name(sent.role).removeprefix(_ROLE))
        if not call.principal.may_grant(role, place):
            text = f"you do not hold {role} on {sent.resource or 'the installation'}"
            raise PermissionDenied(f"{text}, so you cannot grant it", permission="tokens.create")
        return RoleGrant(role, place.level, place.scope_id)

    async def _grant_message(self, role: str, scope_id: str) -> pb.Grant:
        try:
            resource = await self.deps.names.of_scope(scope_id)
        except NotFound:  # it was deleted: the grant is good for nothing
            resource = scope_id
        return pb.Grant(role=pb.Role.Value(f"{_ROLE}{role}"), resource=resource)


def _end(sent: Any) -> datetime:
    """Returns when a secret ends; raises `InvalidArgument`."""
    now = datetime.now(UTC)
    if not sent.HasField("expires_at"):
        return now + DEFAULT_LIFE
    end = time_of(sent.expires_at)
    if not now < end <= now + MAX_LIFE:
        field = "access_token.expires_at" if isinstance(sent, pb.AccessToken) else "expires_at"
        raise InvalidArgument.of(field, f"must be within {MAX_LIFE.days} days from now")
    return end
