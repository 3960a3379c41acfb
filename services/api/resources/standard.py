"""Get, List, Create, Update, Delete: the same for every kind of resource.

A kind says how its content becomes a message and back; all else follows from the protos'
shapes, which are the same for all.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message

from services.access.decisions import may_reach
from services.api.changes.commit import Changes, only
from services.api.changes.versions import VersionChanges
from services.api.rpc.call import Call
from services.api.rpc.dispatch import Behaviour
from services.api.rpc.filters import parse_filter, parse_order
from services.api.rpc.messages import meta_message
from services.api.rpc.methods import NO_CHECKS, Checks, methods_of
from services.api.rpc.requests import masked_paths, merged, page_size
from services.api.rpc.scopes import Names, below
from services.runtime.errors import InvalidArgument
from services.runtime.violations import Violations
from services.storage.model.changes import ItemChange
from services.storage.model.queries import Query
from services.storage.model.resource import Kind, R, Stored
from services.storage.ports.resources import Resources


@dataclass(frozen=True, slots=True)
class ResourceType(Generic[R]):
    """A kind of resource as the API shows it.

    ``field`` and ``plural`` are the names of the fields that hold one and several in requests
    and responses. ``write`` puts content into an empty message, ``read`` takes it out, given
    what is there now. ``check`` looks at what the rules of fields cannot say.
    """

    kind: Kind[R]
    service: ServiceDescriptor
    message: type[Message]
    field: str
    plural: str
    write: Callable[[Any, Stored[R]], None]
    read: Callable[[Any, Stored[R] | None], R]
    check: Callable[[Violations, str, Any], None] | None = None
    has_tags: bool = False

    @property
    def noun(self) -> str:
        """The kind in the names of methods: `Flag` of `GetFlag`."""
        return self.service.name.removesuffix("Service")

    def checks(self) -> Checks:
        """Returns what looks at the requests that write, beyond the rules of their fields."""
        if self.check is None:
            return NO_CHECKS
        return {
            f"Create{self.noun}": self._check_creation,
            f"Update{self.noun}": self._check_update,
        }

    def _check_creation(self, violations: Violations, request: Any) -> None:
        if self.check is not None:
            self.check(violations, self.field, getattr(request, self.field))

    def _check_update(self, violations: Violations, request: Any) -> None:
        """Looks at what the update writes; a wrong mask was found already."""
        sent = getattr(request, self.field)
        with suppress(InvalidArgument):
            paths = masked_paths(sent, request.update_mask.paths)
            if self.check is not None:
                self.check(violations, self.field, merged(type(sent)(), sent, paths))


@dataclass(frozen=True, slots=True)
class Deps:
    """What the code of resources needs."""

    resources: Resources
    changes: Changes
    versions: VersionChanges
    names: Names


class Standard(Generic[R]):
    """The standard methods of one type of resource."""

    def __init__(self, type_: ResourceType[R], deps: Deps) -> None:
        self.type = type_
        self.deps = deps
        self._methods = methods_of(type_.service)
        self._list_name = next(
            name
            for name, method in self._methods.items()
            if type_.plural in method.response.DESCRIPTOR.fields_by_name
        )

    def methods(self) -> dict[str, Behaviour]:
        """Returns those of the standard methods that the service has."""
        noun = self.type.noun
        found: dict[str, Behaviour] = {
            f"Get{noun}": self.get,
            self._list_name: self.list,
            f"Create{noun}": self.create,
            f"Update{noun}": self.update,
            f"Delete{noun}": self.delete,
        }
        return {name: code for name, code in found.items() if name in self._methods}

    async def get(self, request: Any, call: Call) -> Message:
        """Answers with one."""
        target = call.target(self.type.kind)
        stored = await self.deps.resources.get(self.type.kind, target.scope_id, target.key)
        return await self.answer("Get", stored)

    async def list(self, request: Any, call: Call) -> Message:
        """Answers with a page; of a filtered list with what the caller may see."""
        query = self._query(request)
        page = await self.deps.resources.list(self.type.kind, call.scope_id, query)
        items = [each for each in page.items if await self._is_visible(each, call)]
        parent = call.place.path
        messages = [await self.message(each, below(parent, each.kind, each.key)) for each in items]
        response: Any = self._methods[self._list_name].response(
            next_token=page.next_token, total_size=page.total or 0
        )
        getattr(response, self.type.plural).extend(messages)
        if len(items) < len(page.items):
            response.total_size = 0  # how many there are that the caller may not see is not told
        answer: Message = response
        return answer

    async def create(self, request: Any, call: Call) -> Message:
        """Makes version 1."""
        content = self.type.read(getattr(request, self.type.field), None)
        return await self.answer("Create", await self.commit_new(content, request, call))

    async def commit_new(self, content: R, request: Any, call: Call) -> Stored[R]:
        """Stores new content in the place that the request names."""

        async def plan() -> list[ItemChange[R]]:
            return [ItemChange(self.type.kind, "create", None, content, path=self.type.field)]

        changes, mutation = self.deps.changes, call.mutation(request)
        return only(await changes.commit(call.scope_id, plan, mutation))

    async def update(self, request: Any, call: Call) -> Message:
        """Replaces what the mask names."""
        target, sent = call.target(self.type.kind), getattr(request, self.type.field)
        paths = masked_paths(sent, request.update_mask.paths)

        async def plan() -> list[ItemChange[R]]:
            current = await self.deps.resources.get(self.type.kind, target.scope_id, target.key)
            after = await self.replaced(current, sent, paths, call)
            return [
                ItemChange(
                    self.type.kind,
                    "update",
                    current,
                    after,
                    expected_version=request.base_version,
                    path=self.type.field,
                )
            ]

        changes, mutation = self.deps.changes, call.mutation(request)
        stored = only(await changes.commit(target.scope_id, plan, mutation))
        return await self.answer("Update", stored)

    async def delete(self, request: Any, call: Call) -> Message:
        """Deletes; answers with the tombstone's revision where there is one."""
        revision = await self.deps.versions.delete(
            self.type.kind,
            call.target(self.type.kind),
            self.check_deletion,
            mutation=call.mutation(request),
            version=request.base_version,
        )
        response = self._methods[f"Delete{self.type.noun}"].response
        if "revision" in response.DESCRIPTOR.fields_by_name:
            return response(revision=revision)
        return response()

    def check_deletion(self, content: R) -> None:
        """Raises `FailedPrecondition` for what must not be deleted yet."""

    async def answer(self, verb: str, stored: Stored[R], **more: Any) -> Message:
        """Returns the response of ``verb`` with the resource, and what else it has."""
        message = await self.message(stored, await self.deps.names.of(stored))
        return self._methods[f"{verb}{self.type.noun}"].response(
            **{self.type.field: message}, **more
        )

    async def message(self, stored: Stored[R], name: str) -> Any:
        """Returns the resource as the API shows it."""
        message: Any = self.type.message()
        self.type.write(message, stored)
        message.name = name
        message.meta.CopyFrom(meta_message(stored))
        return message

    async def replaced(self, current: Stored[R], sent: Any, paths: frozenset[str], call: Call) -> R:
        """Returns the content with the fields at ``paths`` as they were sent."""
        message = merged(await self.message(current, sent.name), sent, paths)
        _check_key(self.type.field, sent, current)
        return self.type.read(message, current)

    def _query(self, request: Any) -> Query:
        order_by, descending = parse_order(request.order_by)
        return Query(
            size=page_size(request.page),
            token=request.page.token,
            where=parse_filter(request.filter, self.type.kind, has_tags=self.type.has_tags),
            order_by=order_by,
            descending=descending,
            include_archived=getattr(request, "include_archived", False),
            is_basic=getattr(request, "view", 0) == 1,
        )

    async def _is_visible(self, stored: Stored[R], call: Call) -> bool:
        access = self._methods[self._list_name].access
        if not access.filtered or call.principal.may(access.permission, call.place):
            return True
        resources = self.deps.resources
        place = await resources.ancestry(stored.meta.id)
        return await may_reach(resources, call.principal, access.permission, place)


def _check_key(field: str, sent: Any, current: Stored[Any]) -> None:
    """A key that is sent along must be the resource's: it never changes."""
    key = getattr(sent, "key", "")
    if key and key != current.key:
        raise InvalidArgument.of(f"{field}.key", f"never changes; it is '{current.key}'")
