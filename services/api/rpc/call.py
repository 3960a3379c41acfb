"""What a method's code is told of the call beside the request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from google.protobuf.message import Message

from services.access.names import ResourceName
from services.access.principal import Principal
from services.storage.model.actor import Actor
from services.storage.model.changes import DEFAULT_OPTIONS, WriteOptions
from services.storage.model.resource import INSTALLATION_ID, Ancestry, AnyKind, Scope


@dataclass(frozen=True, slots=True)
class Mutation:
    """Who writes, why, and how; the same for all resources of one call."""

    actor: Actor
    comment: str = ""
    options: WriteOptions = DEFAULT_OPTIONS


@dataclass(frozen=True, slots=True)
class Target:
    """A resource: the scope that it lives in, and its key or id there."""

    scope_id: str
    key: str


@dataclass(frozen=True, slots=True)
class Call:
    """Who calls, and the place that the request names: it exists, and the caller may act there.

    ``text`` is the name as the caller wrote it.
    """

    principal: Principal
    place: Ancestry
    name: ResourceName
    text: str

    @property
    def scope_id(self) -> str:
        """The id of the place: of the parent of what is made or listed."""
        return self.place.scope_id

    def target(self, kind: AnyKind) -> Target:
        """Returns the resource of ``kind`` that the request names."""
        if kind.opens is None:
            return Target(self.place.scope_id, self.name.key)
        if self.place.level is not kind.opens:  # it was deleted by an earlier call
            return Target(self.place.scope_id, self.name.last)
        return Target(_parent_id(self.place), self.place.scope_id)

    def mutation(self, request: Any) -> Mutation:
        """Returns how a write is asked for; the request has `MutationOptions`."""
        options = request.options
        digest = self._digest(request) if options.request_id else ""
        asked = WriteOptions(options.request_id, digest, options.validate_only)
        return Mutation(self.principal.actor, options.comment, asked)

    def _digest(self, request: Message) -> str:
        """Returns the same for all that ask for the same as this caller, whatever the options."""
        asked = type(request)()
        asked.CopyFrom(request)
        asked.ClearField("options")
        head = f"{self.principal.actor.id}\n{request.DESCRIPTOR.full_name}\n"
        return sha256(head.encode() + asked.SerializeToString(deterministic=True)).hexdigest()


def with_note(mutation: Mutation, note: str) -> Mutation:
    """Returns the mutation with a comment that begins with ``note``, for the audit log."""
    why = f": {mutation.comment}" if mutation.comment else ""
    return replace(mutation, comment=f"{note}{why}")


def _parent_id(place: Ancestry) -> str:
    match place.level:
        case Scope.ENVIRONMENT:
            return place.project_id
        case Scope.PROJECT:
            return place.organization_id
        case _:
            return INSTALLATION_ID
