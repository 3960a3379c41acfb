"""Who asks for an evaluation: an application with an SDK key, or an operator with a token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.access.decisions import place_of, require_permission
from services.access.names import ANY, parse_name
from services.access.tokens import Tokens
from services.evaluation.auth.sdk_keys import Metadata, SdkKeys
from services.runtime.errors import InvalidArgument, NotFound
from services.runtime.secrets import ACCESS_TOKEN, bearer_secret
from services.storage.model.credentials import SdkKeyKind
from services.storage.model.resource import Ancestry
from services.storage.ports.resources import Resources

EVALUATE: Final = "flags.evaluate"
"""Permission that an operator needs in the environment."""

_FIELD: Final = "environment"

_BY_ID: Final = f"organizations/{ANY}/projects/{ANY}/environments/{{}}"


@dataclass(frozen=True, slots=True)
class Caller:
    """What a call may see. An operator's question about a user is no visit of that user."""

    environment_id: str
    sees_rules: bool
    is_application: bool


class Callers:
    """Finds the caller of an `Evaluate` call."""

    def __init__(self, keys: SdkKeys, tokens: Tokens, resources: Resources) -> None:
        self._keys = keys
        self._tokens = tokens
        self._resources = resources

    async def find(self, metadata: Metadata, environment: str) -> Caller:
        """Returns who asks, and in which environment.

        ``environment`` is what the request says, a name or an id; an SDK key may leave it
        empty. Raises `Unauthenticated`; `InvalidArgument` for a name that is none, or of
        another environment than the SDK key's; of an operator `NotFound` and
        `PermissionDenied`.
        """
        secret = bearer_secret(metadata)
        if secret.startswith(f"{ACCESS_TOKEN}_"):
            return await self._operator(secret, environment)
        key = await self._keys.any_key(metadata)
        own_id = key.meta.scope_id
        if environment not in {"", own_id} and await self._id_of(environment) != own_id:
            raise InvalidArgument.of(_FIELD, "is not the environment of the SDK key")
        return Caller(own_id, key.content.kind is SdkKeyKind.SERVER, is_application=True)

    async def _operator(self, secret: str, environment: str) -> Caller:
        principal = await self._tokens.find(secret)
        if not environment:
            raise InvalidArgument.of(_FIELD, "is required with an access token")
        place = await self._place(environment)
        require_permission(principal, EVALUATE, place, environment)
        return Caller(place.scope_id, sees_rules=True, is_application=False)

    async def _id_of(self, environment: str) -> str:
        try:
            return (await self._place(environment)).scope_id
        except NotFound:
            return ""

    async def _place(self, environment: str) -> Ancestry:
        text = environment if "/" in environment else _BY_ID.format(environment)
        name = parse_name(_FIELD, text, ("environment",))
        return await place_of(self._resources, name, environment)
