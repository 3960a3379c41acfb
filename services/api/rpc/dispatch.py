"""The one way to a method: the caller is known, the request well-formed, the act allowed.

In that order, so that an unknown caller's request is not even decoded.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import DecodeError, Message

from featmesh.options.v1.options_pb2 import Access
from services.access.decisions import may_reach, place_of, require_permission
from services.access.names import ResourceName, parse_name
from services.access.principal import Principal
from services.access.tokens import Tokens
from services.api.rpc.call import Call
from services.api.rpc.methods import NO_CHECKS, Checks, Method, methods_of, name_in
from services.api.rpc.requests import check_request
from services.runtime.errors import InvalidArgument, NotFound, StoreUnavailable
from services.runtime.interceptor import Context
from services.runtime.secrets import bearer_secret
from services.storage.model.resource import Ancestry
from services.storage.ports.resources import Resources

LARGE_BYTES: Final = 64 * 1024
"""Size of requests, in bytes, above which a thread decodes and checks them: 16 MiB take
seconds, for which nobody else should have to wait."""

Behaviour = Callable[[Any, Call], Any]
"""A method's code: of a request, or an iterator of them, and the call."""

Methods = Mapping[str, Behaviour]
"""A service's code, by the names of its methods."""


class Dispatcher:
    """Stands before every method. Before ``ready`` nothing may be asked of the store."""

    def __init__(self, tokens: Tokens, resources: Resources, ready: Callable[[], bool]) -> None:
        self._tokens = tokens
        self._resources = resources
        self._ready = ready

    def handler(
        self, service: ServiceDescriptor, methods: Methods, checks: Checks = NO_CHECKS
    ) -> grpc.GenericRpcHandler:
        """Returns what a server is given; raises `UndeclaredAccess`, KeyError without code."""
        handlers = {
            name: self._method_handler(method, methods[name])
            for name, method in methods_of(service, checks).items()
        }
        return grpc.method_handlers_generic_handler(service.full_name, handlers)

    def _method_handler(self, method: Method, behaviour: Behaviour) -> Any:
        if method.client_streaming:
            return grpc.stream_unary_rpc_method_handler(
                self._intake(method, behaviour), None, method.response.SerializeToString
            )
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(method, behaviour), None, method.response.SerializeToString
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(method, behaviour), None, method.response.SerializeToString
        )

    def _unary(self, method: Method, behaviour: Behaviour) -> Callable[..., Awaitable[Message]]:
        async def call(data: bytes, context: Context) -> Message:
            request, found = await self.admit(method, data, await self._principal(context))
            response: Message = await behaviour(request, found)
            return response

        return call

    def _stream(
        self, method: Method, behaviour: Behaviour
    ) -> Callable[..., AsyncIterator[Message]]:
        async def call(data: bytes, context: Context) -> AsyncIterator[Message]:
            request, found = await self.admit(method, data, await self._principal(context))
            async with aclosing(behaviour(request, found)) as responses:
                async for response in responses:
                    yield response

        return call

    def _intake(self, method: Method, behaviour: Behaviour) -> Callable[..., Awaitable[Message]]:
        async def call(chunks: AsyncIterator[bytes], context: Context) -> Message:
            principal = await self._principal(context)
            iterator = aiter(chunks)
            first, found = await self.admit(method, await anext(iterator, b""), principal)
            response: Message = await behaviour(_decoded(method, first, iterator), found)
            return response

        return call

    async def _principal(self, context: Context) -> Principal:
        secret = bearer_secret(context.invocation_metadata())
        if not self._ready():
            raise StoreUnavailable("the service is starting; its store has not been reached yet")
        return await self._tokens.find(secret)

    async def admit(
        self, method: Method, data: bytes, principal: Principal
    ) -> tuple[Message, Call]:
        """Returns the decoded request and its call, which is allowed; raises as methods do."""
        request = await _checked(method, data)
        access, field = method.access, method.access.resource_field
        text = name_in(request, field) if field else ""
        name = parse_name(field, text, method.kinds)
        place = await self._place(method, request, name, text)
        if not access.any_caller:
            await self._require(principal, access, place, text)
        return request, Call(principal, place, name, text)

    async def _place(self, method: Method, request: Any, name: ResourceName, text: str) -> Ancestry:
        """Returns where the call is judged: of a deleted place's repeated deletion, above it."""
        try:
            return await place_of(self._resources, name, text)
        except NotFound:
            if name.key or not (method.deletes and request.options.request_id):
                raise
            return await place_of(self._resources, name.parent, text)

    async def _require(
        self, principal: Principal, access: Access, place: Ancestry, text: str
    ) -> None:
        if access.filtered and await may_reach(
            self._resources, principal, access.permission, place
        ):
            return
        require_permission(principal, access.permission, place, text)


async def _decoded(
    method: Method, first: Message, rest: AsyncIterator[bytes]
) -> AsyncIterator[Message]:
    yield first
    async for data in rest:
        yield await _checked(method, data)


async def _checked(method: Method, data: bytes) -> Message:
    if len(data) > LARGE_BYTES:
        return await asyncio.to_thread(_decode, method, data)
    return _decode(method, data)


def _decode(method: Method, data: bytes) -> Message:
    try:
        request = method.request.FromString(data)
    except DecodeError:
        raise InvalidArgument.of("request", "is not a valid protobuf message") from None
    check_request(request, method.check)
    return request
