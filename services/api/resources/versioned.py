"""What flags and segments have beside the standard methods: archive, restore, history, rollback."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from google.protobuf.message import Message

from services.api.resources.standard import Deps, ResourceType, Standard
from services.api.rpc.call import Call
from services.api.rpc.dispatch import Behaviour
from services.api.rpc.requests import page_size
from services.storage.model.resource import R, Version


class DefinitionMethods(Standard[R]):
    """Methods of a kind whose resources have a definition that SDKs read."""

    def __init__(self, type_: ResourceType[R], deps: Deps, version: type[Message]) -> None:
        super().__init__(type_, deps)
        self._version: Any = version

    def methods(self) -> dict[str, Behaviour]:
        """Returns all of them."""
        noun = self.type.noun
        return {
            **super().methods(),
            f"Archive{noun}": self.archive,
            f"Restore{noun}": self.restore,
            f"List{noun}Versions": self.list_versions,
            f"Rollback{noun}": self.roll_back,
        }

    async def archive(self, request: Any, call: Call) -> Message:
        """Hides it from SDKs; doing what is already so writes nothing."""
        return await self.edited("Archive", "archive", _with_archived(True), request, call)

    async def restore(self, request: Any, call: Call) -> Message:
        """Brings an archived one back; doing what is already so writes nothing."""
        return await self.edited("Restore", "restore", _with_archived(False), request, call)

    async def list_versions(self, request: Any, call: Call) -> Message:
        """Answers with a page of the history."""
        target = call.target(self.type.kind)
        page = await self.deps.resources.history(
            self.type.kind,
            target.scope_id,
            target.key,
            page_size(request.page),
            request.page.token,
        )
        response: Any = self._methods[f"List{self.type.noun}Versions"].response
        versions = [await self._version_message(each) for each in page.items]
        answer: Message = response(versions=versions, next_token=page.next_token)
        return answer

    async def roll_back(self, request: Any, call: Call) -> Message:
        """Stores an earlier version again."""
        stored = await self.deps.versions.roll_back(
            self.type.kind,
            call.target(self.type.kind),
            request.to_version,
            mutation=call.mutation(request),
            version=request.base_version,
        )
        return await self.answer("Rollback", stored)

    async def edited(
        self, verb: str, operation: str, edit: Callable[[R], R], request: Any, call: Call
    ) -> Message:
        """Stores what ``edit`` makes of the resource, and answers with it."""
        stored = await self.deps.versions.edit(
            self.type.kind,
            call.target(self.type.kind),
            operation,
            edit,
            mutation=call.mutation(request),
            version=request.base_version,
        )
        return await self.answer(verb, stored)

    async def _version_message(self, version: Version[R]) -> Any:
        message = self._version(version=version.version, revision=version.revision)
        if version.stored is not None:
            name = await self.deps.names.of(version.stored)
            message.resource.CopyFrom(await self.message(version.stored, name))
        return message


def _with_archived(archived: bool) -> Callable[[Any], Any]:
    def edit(record: Any) -> Any:
        if record.definition.archived == archived:
            return record
        return replace(record, definition=replace(record.definition, archived=archived))

    return edit
