"""Whether a service is ready, as a load balancer would ask it."""

from __future__ import annotations

from typing import Any

from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc


async def until_serving(address: str) -> None:
    """Returns when the service at ``host:port`` says SERVING; waits as long as it takes."""
    async with aio.insecure_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(), wait_for_ready=True)
        try:
            async for answer in watch:
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return
        finally:
            watch.cancel()
