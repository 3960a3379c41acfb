"""EndUserService: who was seen, what they are served, and users from and to files."""

# ruff: noqa: N802 -- the methods have the names that the protos give them
from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from featmesh.management.v1 import end_user_service_pb2 as pb
from featmesh.management.v1 import end_user_service_pb2_grpc
from featmesh.management.v1.insight_service_pb2 import EndUser
from services.api.changes.end_users import UserImport
from services.api.read.served import Snapshots, memberships, served_flags
from services.api.rpc import limits
from services.api.rpc.messages import (
    end_user_message,
    import_message,
    membership_message,
    property_message,
    served_flag_message,
)
from services.api.rpc.validation.end_users import check_filter, check_user_key
from services.api.rpc.validation.faults import Faults
from services.api.rpc.validation.requests import check_id, page_size
from services.runtime.errors import InvalidArgument
from services.storage.ports.end_users import EndUserStore


class EndUserServicer(end_user_service_pb2_grpc.EndUserServiceServicer):
    """Checks, asks the store or the engine, answers."""

    def __init__(self, users: EndUserStore, snapshots: Snapshots) -> None:
        self._users = users
        self._snapshots = snapshots

    async def SearchEndUsers(
        self, request: pb.SearchEndUsersRequest, context: Any
    ) -> pb.SearchEndUsersResponse:
        faults = Faults()
        check_id(faults, "environment_id", request.environment_id)
        wanted = check_filter(faults, request.filter)
        size = page_size(faults, request.page)
        faults.finish()
        page = await self._users.search_end_users(
            request.environment_id, size, request.page.token, user_filter=wanted
        )
        return pb.SearchEndUsersResponse(
            end_users=map(end_user_message, page.items), next_token=page.next_token
        )

    async def GetEndUser(
        self, request: pb.GetEndUserRequest, context: Any
    ) -> pb.GetEndUserResponse:
        faults = Faults()
        check_id(faults, "environment_id", request.environment_id)
        check_user_key(faults, request.key)
        faults.finish()
        user = await self._users.get_end_user(request.environment_id, request.key)
        return pb.GetEndUserResponse(end_user=end_user_message(user))

    async def ListServedFlags(
        self, request: pb.ListServedFlagsRequest, context: Any
    ) -> pb.ListServedFlagsResponse:
        size = _page_of_user(request)
        user = await self._users.get_end_user(request.environment_id, request.key)
        snapshot = await self._snapshots.read(request.environment_id)
        now_ms = time.time_ns() // 1_000_000
        page = served_flags(snapshot, user.context, size, request.page.token, now_ms)
        shown = [each.flag_key for each in page.items]
        last = await self._users.find_last_served(request.environment_id, request.key, shown)
        flags = [served_flag_message(each, last.get(each.flag_key)) for each in page.items]
        return pb.ListServedFlagsResponse(
            flags=flags, next_token=page.next_token, revision=snapshot.revision
        )

    async def ListUserSegments(
        self, request: pb.ListUserSegmentsRequest, context: Any
    ) -> pb.ListUserSegmentsResponse:
        size = _page_of_user(request)
        user = await self._users.get_end_user(request.environment_id, request.key)
        snapshot = await self._snapshots.read(request.environment_id)
        page = memberships(snapshot, user.context, size, request.page.token)
        return pb.ListUserSegmentsResponse(
            segments=map(membership_message, page.items),
            next_token=page.next_token,
            revision=snapshot.revision,
        )

    async def ListUserProperties(
        self, request: pb.ListUserPropertiesRequest, context: Any
    ) -> pb.ListUserPropertiesResponse:
        faults = Faults()
        check_id(faults, "environment_id", request.environment_id)
        size = page_size(faults, request.page)
        faults.finish()
        page = await self._users.list_user_properties(
            request.environment_id, size, request.page.token
        )
        return pb.ListUserPropertiesResponse(
            properties=map(property_message, page.items), next_token=page.next_token
        )

    async def ImportEndUsers(
        self, requests: AsyncIterator[pb.ImportEndUsersRequest], context: Any
    ) -> pb.ImportEndUsersResponse:
        done: UserImport | None = None
        async for request in requests:
            done = done or self._begin(request)
            _check_chunk(request, done.environment_id)
            await done.take(request.users)
        if done is None:
            raise InvalidArgument.of("environment_id", "is required")
        return import_message(done)

    async def ExportEndUsers(
        self, request: pb.ExportEndUsersRequest, context: Any
    ) -> AsyncIterator[pb.ExportEndUsersResponse]:
        faults = Faults()
        check_id(faults, "environment_id", request.environment_id)
        wanted = check_filter(faults, request.filter)
        faults.finish()
        token, more = "", True
        while more:
            page = await self._users.search_end_users(
                request.environment_id, limits.MAX_PAGE_SIZE, token, user_filter=wanted
            )
            for chunk in _chunks(map(end_user_message, page.items)):
                yield pb.ExportEndUsersResponse(end_users=chunk)
            token, more = page.next_token, bool(page.next_token)

    def _begin(self, request: pb.ImportEndUsersRequest) -> UserImport:
        faults = Faults()
        check_id(faults, "environment_id", request.environment_id)
        faults.finish()
        return UserImport(self._users, request.environment_id, validate_only=request.validate_only)


def _page_of_user(request: pb.ListServedFlagsRequest | pb.ListUserSegmentsRequest) -> int:
    """The page's size; raises `InvalidArgument`."""
    faults = Faults()
    check_id(faults, "environment_id", request.environment_id)
    check_user_key(faults, request.key)
    size = page_size(faults, request.page)
    faults.finish()
    return size


def _check_chunk(request: pb.ImportEndUsersRequest, environment_id: str) -> None:
    faults = Faults()
    if request.environment_id not in {"", environment_id}:
        faults.add("environment_id", "is not that of the first chunk")
    faults.count("users", len(request.users), limits.IMPORTED_USERS)
    faults.finish()


def _chunks(users: Iterable[EndUser]) -> Iterator[list[EndUser]]:
    chunk: list[EndUser] = []
    size = 0
    for user in users:
        chunk.append(user)
        size += user.ByteSize()
        if size >= limits.EXPORT_CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
