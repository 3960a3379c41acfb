"""EndUserService: who was seen, what they are served, and users from and to files."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Final

from featmesh.management.v1 import end_user_service_pb2 as pb
from services.api.changes.end_users import UserImport
from services.api.read.end_user_messages import (
    end_user_message,
    import_message,
    membership_message,
    property_message,
    served_flag_message,
)
from services.api.read.served import Snapshots, memberships, served_flags
from services.api.rpc.call import Call
from services.api.rpc.dispatch import Behaviour
from services.api.rpc.requests import page_size
from services.api.rpc.validation.end_users import read_filter
from services.runtime.errors import InvalidArgument
from services.storage.ports.end_users import EndUserStore

SERVICE: Final = pb.DESCRIPTOR.services_by_name["EndUserService"]

EXPORT_USERS: Final = 500
"""Largest number of users in a chunk of an export."""

EXPORT_BYTES: Final = 1024 * 1024
"""Size in bytes at which a chunk of an export ends; its last user may go beyond it."""


class EndUserMethods:
    """Finds users, shows what they are served, brings them in and out."""

    def __init__(self, users: EndUserStore, snapshots: Snapshots) -> None:
        self._users = users
        self._snapshots = snapshots

    def methods(self) -> dict[str, Behaviour]:
        """Returns all of them."""
        return {
            "SearchEndUsers": self.search,
            "GetEndUser": self.get,
            "ListServedFlags": self.list_served_flags,
            "ListUserSegments": self.list_segments,
            "ListUserProperties": self.list_properties,
            "ImportEndUsers": self.import_users,
            "ExportEndUsers": self.export,
        }

    async def search(
        self, request: pb.SearchEndUsersRequest, call: Call
    ) -> pb.SearchEndUsersResponse:
        """Answers with a page of those that the filter lets through."""
        page = await self._users.search_end_users(
            call.scope_id,
            page_size(request.page),
            request.page.token,
            user_filter=read_filter(request.filter),
        )
        return pb.SearchEndUsersResponse(
            end_users=map(end_user_message, page.items), next_token=page.next_token
        )

    async def get(self, request: pb.GetEndUserRequest, call: Call) -> pb.GetEndUserResponse:
        """Answers with one."""
        user = await self._users.get_end_user(call.scope_id, request.key)
        return pb.GetEndUserResponse(end_user=end_user_message(user))

    async def list_served_flags(
        self, request: pb.ListServedFlagsRequest, call: Call
    ) -> pb.ListServedFlagsResponse:
        """Evaluates a page of flags for a user."""
        user = await self._users.get_end_user(call.scope_id, request.key)
        snapshot = await self._snapshots.read(call.scope_id)
        now_ms, size = time.time_ns() // 1_000_000, page_size(request.page)
        page = served_flags(snapshot, user.context, size, request.page.token, now_ms)
        shown = [each.flag_key for each in page.items]
        last = await self._users.find_last_served(call.scope_id, request.key, shown)
        flags = [served_flag_message(each, last.get(each.flag_key)) for each in page.items]
        return pb.ListServedFlagsResponse(
            flags=flags, next_token=page.next_token, revision=snapshot.revision
        )

    async def list_segments(
        self, request: pb.ListUserSegmentsRequest, call: Call
    ) -> pb.ListUserSegmentsResponse:
        """Answers with a page of the segments that a user is in."""
        user = await self._users.get_end_user(call.scope_id, request.key)
        snapshot = await self._snapshots.read(call.scope_id)
        page = memberships(snapshot, user.context, page_size(request.page), request.page.token)
        return pb.ListUserSegmentsResponse(
            segments=map(membership_message, page.items),
            next_token=page.next_token,
            revision=snapshot.revision,
        )

    async def list_properties(
        self, request: pb.ListUserPropertiesRequest, call: Call
    ) -> pb.ListUserPropertiesResponse:
        """Answers with a page of the attributes that users had."""
        page = await self._users.list_user_properties(
            call.scope_id, page_size(request.page), request.page.token
        )
        return pb.ListUserPropertiesResponse(
            properties=map(property_message, page.items), next_token=page.next_token
        )

    async def import_users(
        self, requests: AsyncIterator[pb.ImportEndUsersRequest], call: Call
    ) -> pb.ImportEndUsersResponse:
        """Takes chunk by chunk; what came in before an error stays."""
        done: UserImport | None = None
        async for request in requests:
            if done is None:
                is_trial = request.validate_only
                done = UserImport(self._users, call.scope_id, validate_only=is_trial)
            elif request.parent not in {"", call.text}:
                raise InvalidArgument.of("parent", "is not that of the first chunk")
            await done.take(request.users)
        if done is None:
            raise InvalidArgument.of("parent", "is required")
        return import_message(done)

    async def export(
        self, request: pb.ExportEndUsersRequest, call: Call
    ) -> AsyncIterator[pb.ExportEndUsersResponse]:
        """Answers with all that the filter lets through."""
        wanted = read_filter(request.filter)
        token, more = "", True
        while more:
            page = await self._users.search_end_users(
                call.scope_id, EXPORT_USERS, token, user_filter=wanted
            )
            for chunk in _chunks(map(end_user_message, page.items)):
                yield pb.ExportEndUsersResponse(end_users=chunk)
            token, more = page.next_token, bool(page.next_token)


def _chunks(users: Iterable[pb.EndUser]) -> Iterator[list[pb.EndUser]]:
    chunk: list[pb.EndUser] = []
    size = 0
    for user in users:
        chunk.append(user)
        size += user.ByteSize()
        if size >= EXPORT_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
