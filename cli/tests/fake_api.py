"""A management API on a real socket that answers as it is told."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import grpc
from click.testing import CliRunner, Result
from google.protobuf import any_pb2
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2

from featmesh.management.v1 import (
    access_token_service_pb2,
    audit_service_pb2,
    dead_letter_service_pb2,
    end_user_service_pb2,
    environment_service_pb2,
    flag_service_pb2,
    import_service_pb2,
    organization_service_pb2,
    project_service_pb2,
    propagation_service_pb2,
    report_service_pb2,
    sdk_key_service_pb2,
    segment_service_pb2,
)
from featmesh_cli.app import app

ENVIRONMENT = "organizations/acme/projects/shop/environments/live"

LIMIT = 10.0
"""Seconds that any one call waits for its end."""

MODULES: Sequence[ModuleType] = (
    access_token_service_pb2,
    audit_service_pb2,
    dead_letter_service_pb2,
    end_user_service_pb2,
    environment_service_pb2,
    flag_service_pb2,
    import_service_pb2,
    organization_service_pb2,
    project_service_pb2,
    propagation_service_pb2,
    report_service_pb2,
    sdk_key_service_pb2,
    segment_service_pb2,
)

METHODS: Mapping[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


@dataclass
class Refusal:
    code: grpc.StatusCode
    message: str
    violations: tuple[tuple[str, str], ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)

    def raise_in(self, context: grpc.ServicerContext) -> None:
        request = error_details_pb2.BadRequest()
        for name, text in self.violations:
            request.field_violations.add(field=name, description=text)
        info = error_details_pb2.ErrorInfo(domain="featmesh", metadata=self.metadata)
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        for each in (info, request):
            detail = any_pb2.Any()
            detail.Pack(each)
            status.details.append(detail)
        details = ("grpc-status-details-bin", status.SerializeToString())
        context.set_trailing_metadata((details,))
        context.abort(self.code, self.message)


Answer = Message | Sequence[Message] | Callable[[Any], Message] | Refusal


@dataclass
class Api:
    """Every method of the management services; one without an answer gives an empty one."""

    address: str = ""
    answers: dict[str, Answer] = field(default_factory=dict)
    """By the method's name; a stream that does not end with a complete message goes on."""
    requests: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    tokens: list[str] = field(default_factory=list)

    def run(self, *arguments: str, text: str | None = None, **variables: str) -> Result:
        """Runs the command line on one environment."""
        own = {
            "FEATMESH_API": self.address,
            "FEATMESH_TOKEN": "secret",
            "FEATMESH_ENVIRONMENT": ENVIRONMENT,
        }
        return CliRunner().invoke(app, arguments, input=text, env={**own, **variables})

    def printed(self, *arguments: str, text: str | None = None) -> str:
        """What a command prints that succeeds."""
        result = self.run(*arguments, text=text)
        assert result.exit_code == 0, result.output
        return result.stdout

    def refused(self, *arguments: str, code: int = 1) -> str:
        """What a command says that must fail."""
        result = self.run(*arguments)
        assert result.exit_code == code, result.output
        assert not result.stdout
        return result.stderr

    def only(self, method: str) -> Any:
        """The one request of a method."""
        (request,) = self.requests[method]
        return request

    def answer(
        self, method: MethodDescriptor, request: Any, context: grpc.ServicerContext
    ) -> Message | Sequence[Message]:
        self.tokens.append(str(dict(context.invocation_metadata())["authorization"]))
        self.requests[method.name].append(request)
        found = self.answers.get(method.name, GetMessageClass(method.output_type)())
        if isinstance(found, Refusal):
            found.raise_in(context)
        return found(request) if callable(found) else found  # type: ignore[return-value]


class Handler(grpc.GenericRpcHandler):
    def __init__(self, api: Api) -> None:
        self._api = api

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        method = METHODS.get(call.method)
        if method is None:
            return None
        coding: dict[str, Any] = {
            "request_deserializer": GetMessageClass(method.input_type).FromString,
            "response_serializer": lambda message: message.SerializeToString(),
        }
        if method.client_streaming:
            return grpc.stream_unary_rpc_method_handler(self._collect(method), **coding)
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(self._stream(method), **coding)
        return grpc.unary_unary_rpc_method_handler(self._reply(method), **coding)

    def _reply(self, method: MethodDescriptor) -> Any:
        return lambda request, context: self._api.answer(method, request, context)

    def _collect(self, method: MethodDescriptor) -> Any:
        return lambda requests, context: self._api.answer(method, list(requests), context)

    def _stream(self, method: MethodDescriptor) -> Any:
        def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            messages: Any = self._api.answer(method, request, context)
            yield from messages
            if not getattr(messages[-1], "complete", True):
                ended = threading.Event()
                context.add_callback(ended.set)
                ended.wait(LIMIT)

        return stream


@contextmanager
def running_api() -> Iterator[Api]:
    api = Api()
    with ThreadPoolExecutor(4) as workers:
        server = grpc.server(workers)
        server.add_generic_rpc_handlers((Handler(api),))
        api.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        try:
            yield api
        finally:
            server.stop(None).wait()
