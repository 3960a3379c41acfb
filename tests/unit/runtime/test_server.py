"""What every service's server does, over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from featmesh.evaluation.v1 import evaluation_pb2, evaluation_pb2_grpc
from services.runtime.config import Address
from services.runtime.errors import InvalidArgument, MeshError, ResourceExhausted, Violation
from services.runtime.health import LIVE
from services.runtime.interceptor import MAX_REQUEST_BYTES, ErrorInterceptor
from services.runtime.server import GrpcServer, ListenError
from services.runtime.settings import ServerKind, ServerSettings
from services.runtime.status import MAX_VIOLATIONS
from tests.support.statuses import error_info, violations
from tests.support.waiting import PATIENCE

SERVICE = "featmesh.evaluation.v1.EvaluationService"
METHOD = f"/{SERVICE}/Evaluate"


class Raising(evaluation_pb2_grpc.EvaluationServiceServicer):
    """Answers, or raises what it was made with."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    async def Evaluate(self, request: Any, context: Any) -> Any:  # noqa: N802 -- gRPC's name
        if self.error is not None:
            raise self.error
        return evaluation_pb2.EvaluateResponse(revision=7)


Serving = Callable[..., AbstractAsyncContextManager[tuple[GrpcServer, aio.Channel]]]


@pytest.fixture
def serving(kind: ServerKind) -> Serving:
    """Serves with each of the servers in turn."""
    return partial(serving_evaluation, kind)


@asynccontextmanager
async def serving_evaluation(
    kind: ServerKind,
    error: Exception | None = None,
    servicer: evaluation_pb2_grpc.EvaluationServiceServicer | None = None,
) -> AsyncIterator[tuple[GrpcServer, aio.Channel]]:
    def register(server: aio.Server) -> None:
        evaluation_pb2_grpc.add_EvaluationServiceServicer_to_server(
            servicer or Raising(error), server
        )

    listen = Address("127.0.0.1", 0)
    settings = ServerSettings(listen, kind, drain_delay=0, drain_window=0)
    server = GrpcServer(
        settings, register=register, services=[SERVICE], interceptors=[ErrorInterceptor()]
    )
    await server.start()
    try:
        async with aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            yield server, channel
    finally:
        await server.stop()


async def refusal(channel: aio.Channel, request: bytes = b"") -> aio.AioRpcError:
    with pytest.raises(aio.AioRpcError) as caught:
        await channel.unary_unary(METHOD, request_serializer=bytes)(request)
    return caught.value


async def test_an_error_carries_its_reason_and_every_violation(serving: Serving) -> None:
    broken = InvalidArgument([Violation("flag.key", "is empty"), Violation("flag.salt", "is long")])
    async with serving(broken) as (_, channel):
        error = await refusal(channel)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error_info(error).reason == "INVALID_ARGUMENT"
    assert violations(error) == {"flag.key": "is empty", "flag.salt": "is long"}


async def test_thousands_of_violations_still_reach_the_caller_as_a_bounded_list(
    serving: Serving,
) -> None:
    broken = InvalidArgument([Violation(f"flags[{n}]", "x" * 100) for n in range(5_000)])
    async with serving(broken) as (_, channel):
        found = violations(await refusal(channel))
    assert found["flags[0]"] == "x" * 100
    assert len(found) <= MAX_VIOLATIONS + 1
    assert found[""].endswith(" more")


async def test_a_fault_of_ours_shows_no_traceback_and_is_logged_once(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(ZeroDivisionError("secret detail")) as (_, channel):
        error = await refusal(channel)
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in (error.details() or "")
    assert [record.message for record in caplog.records if record.exc_info] == [f"{METHOD} failed"]


async def test_a_full_queue_tells_how_long_to_wait(serving: Serving) -> None:
    async with serving(ResourceExhausted("the queue is full")) as (_, channel):
        error = await refusal(channel)
    assert ("grpc-retry-pushback-ms", "1000") in tuple(error.trailing_metadata() or ())


async def test_an_oversized_message_names_the_limit(serving: Serving) -> None:
    async with serving() as (_, channel):
        error = await refusal(channel, b"\x00" * (MAX_REQUEST_BYTES + 1))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert str(MAX_REQUEST_BYTES) in violations(error)["request"]


async def test_bytes_that_are_no_message_are_an_invalid_argument(serving: Serving) -> None:
    async with serving() as (_, channel):
        error = await refusal(channel, b"\xff\xff\xff")
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_service_is_alive_before_it_is_ready_and_not_ready_when_draining(
    serving: Serving,
) -> None:
    async with serving() as (server, channel):
        stub = health_pb2_grpc.HealthStub(channel)

        async def status(name: str) -> int:
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
            return int(answer.status)

        response = health_pb2.HealthCheckResponse
        assert (await status(LIVE), await status("")) == (response.SERVING, response.NOT_SERVING)
        await server.health.set_serving(True, "all there")
        assert await status("") == response.SERVING
        await server.drain()
        await server.health.set_serving(True, "too late")
        assert await status("") == response.NOT_SERVING


async def test_reflection_lists_the_services(serving: Serving) -> None:
    async with serving() as (_, channel):
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        call = stub.ServerReflectionInfo(
            iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        )
        async for answer in call:
            names = {each.name for each in answer.list_services_response.service}
            break
    assert {SERVICE, "grpc.health.v1.Health"} <= names


async def test_a_taken_address_is_named(serving: Serving, kind: ServerKind) -> None:
    async with serving() as (server, _):
        settings = ServerSettings(Address("127.0.0.1", server.port), kind)
        second = GrpcServer(settings, register=lambda _: None, services=[])
        with pytest.raises(ListenError, match=str(server.port)):
            await second.start()


def _classes(root: type[MeshError]) -> list[type[MeshError]]:
    return [root, *(each for child in root.__subclasses__() for each in _classes(child))]


@pytest.mark.parametrize("kind", _classes(MeshError)[1:], ids=lambda kind: kind.__name__)
def test_every_error_that_an_operator_can_cause_has_a_status(kind: type[MeshError]) -> None:
    from services.runtime.status import status_code

    make: Callable[[], MeshError] = lambda: (  # noqa: E731 -- one expression for two shapes
        InvalidArgument.of("field", "text") if kind is InvalidArgument else kind("text")
    )
    assert status_code(make()) is not grpc.StatusCode.INTERNAL


class Waiting(evaluation_pb2_grpc.EvaluationServiceServicer):
    """Never answers."""

    def __init__(self) -> None:
        self.called = asyncio.Event()

    async def Evaluate(self, request: Any, context: Any) -> Any:  # noqa: N802 -- gRPC's name
        self.called.set()
        await asyncio.Event().wait()


async def test_a_call_that_the_end_of_the_drain_window_cuts_off_may_be_made_again(
    serving: Serving,
) -> None:
    waiting = Waiting()
    async with serving(servicer=waiting) as (server, channel):
        method: aio.UnaryUnaryMultiCallable[bytes, bytes]
        method = channel.unary_unary(METHOD, request_serializer=bytes)
        call = method(b"")
        await asyncio.wait_for(waiting.called.wait(), PATIENCE)
        await server.stop(within=0)
        with pytest.raises(aio.AioRpcError) as cut:
            await call
    assert cut.value.code() is grpc.StatusCode.UNAVAILABLE
    assert error_info(cut.value).reason == "UNAVAILABLE"


async def test_a_stream_that_the_end_of_the_drain_window_cuts_off_may_be_opened_again(
    serving: Serving,
) -> None:
    async with serving() as (server, channel):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        await watch.read()
        await server.stop(within=0)
        with pytest.raises(aio.AioRpcError) as cut:
            await watch.read()
    assert cut.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_server_that_cannot_have_its_peers_looked_after_serves_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(port: int, silence: int) -> None:
        raise OSError(f"nothing listens at {port} for {silence} s")

    monkeypatch.setattr("services.runtime.server.enable_tcp_keepalive", refuse)
    async with serving_evaluation(ServerKind.LOOP) as (server, channel):
        answer: bytes = await channel.unary_unary(METHOD, request_serializer=bytes)(b"")
    assert answer == evaluation_pb2.EvaluateResponse(revision=7).SerializeToString()
    assert f"nothing listens at {server.port} for 60 s" in caplog.text
