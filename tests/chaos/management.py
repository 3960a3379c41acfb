"""The management API as a patient operator uses it: retried until the outcome is known."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import grpc
from grpc import aio

from featmesh.management.v1 import environment_service_pb2 as environments
from featmesh.management.v1 import (
    environment_service_pb2_grpc,
    flag_service_pb2_grpc,
    organization_service_pb2_grpc,
    project_service_pb2_grpc,
    sdk_key_service_pb2_grpc,
    segment_service_pb2_grpc,
)
from featmesh.management.v1 import organization_service_pb2 as organizations
from featmesh.management.v1 import project_service_pb2 as projects
from featmesh.management.v1 import sdk_key_service_pb2 as sdk_keys
from tests.chaos.waiting import RECOVERY, NeverCame
from tests.support.places import Place

ATTEMPT_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.1

_UNKNOWN_OUTCOME: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.CANCELLED,  # by a server that stops
    }
)
"""What a fault may cause. Any other failure is an answer, or a finding."""

_ANSWERS: Final = frozenset(
    {
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.INVALID_ARGUMENT,
    }
)

_CHANNEL: Final = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
)


class Refused(Exception):
    """The API said no, and nothing was written."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code = code


class Management:
    """All management services of several `api` replicas, any of which may be away."""

    def __init__(self, addresses: Sequence[str], token: str) -> None:
        self._channels = [aio.insecure_channel(each, options=_CHANNEL) for each in addresses]
        self._metadata = (("authorization", f"Bearer {token}"),)
        self.flags: Any = self._stubs(flag_service_pb2_grpc.FlagServiceStub)
        self.segments: Any = self._stubs(segment_service_pb2_grpc.SegmentServiceStub)
        self.organizations = self._stubs(organization_service_pb2_grpc.OrganizationServiceStub)
        self.projects = self._stubs(project_service_pb2_grpc.ProjectServiceStub)
        self.environments = self._stubs(environment_service_pb2_grpc.EnvironmentServiceStub)
        self.sdk_keys = self._stubs(sdk_key_service_pb2_grpc.SdkKeyServiceStub)
        self.retries: Counter[str] = Counter()
        """How often a call had to be made again, by status."""

    def _stubs(self, stub: Any) -> list[Any]:
        return [stub(channel) for channel in self._channels]

    async def call(self, stubs: Sequence[Any], method: str, request: Any, *, first: int = 0) -> Any:
        """The answer, from whichever replica gives one, beginning with number ``first``.

        The request must bear repetition: its request id makes it so. Raises `Refused`,
        `NeverCame`, and the error itself when it is one that no fault explains.
        """
        deadline = asyncio.get_running_loop().time() + RECOVERY
        attempt = first
        while True:
            try:
                return await getattr(stubs[attempt % len(stubs)], method)(
                    request, metadata=self._metadata, timeout=ATTEMPT_SECONDS
                )
            except aio.AioRpcError as error:
                if error.code() in _ANSWERS:
                    raise Refused(error.code(), error.details() or "") from error
                if error.code() not in _UNKNOWN_OUTCOME:
                    raise
                self.retries[error.code().name] += 1
                if asyncio.get_running_loop().time() > deadline:
                    text = f"{method} had no outcome after {RECOVERY:g} s: {error.details()}"
                    raise NeverCame(text) from error
            await asyncio.sleep(_PAUSE_SECONDS)
            attempt += 1

    async def close(self) -> None:
        """Calls under way end as cancelled."""
        for channel in self._channels:
            await channel.close()

    async def make_place(self, name: str) -> Place:
        """A new organization with one environment and a key of each kind."""
        environment = await self._make_environment(name)

        async def key(kind: sdk_keys.SdkKeyKind.ValueType) -> str:
            sdk_key = sdk_keys.SdkKey(kind=kind, display_name=name)
            request = sdk_keys.CreateSdkKeyRequest(parent=environment.name, sdk_key=sdk_key)
            return str((await self.call(self.sdk_keys, "CreateSdkKey", request)).secret)

        server, client = sdk_keys.SDK_KEY_KIND_SERVER, sdk_keys.SDK_KEY_KIND_CLIENT
        return Place(environment.name, environment.meta.id, await key(server), await key(client))

    async def _make_environment(self, name: str) -> Any:
        fields: Any = {"key": name, "display_name": name}
        owner = organizations.CreateOrganizationRequest(
            organization=organizations.Organization(**fields)
        )
        made = await self.call(self.organizations, "CreateOrganization", owner)
        home = projects.CreateProjectRequest(
            parent=made.organization.name, project=projects.Project(**fields)
        )
        made = await self.call(self.projects, "CreateProject", home)
        request = environments.CreateEnvironmentRequest(
            parent=made.project.name, environment=environments.Environment(**fields)
        )
        made = await self.call(self.environments, "CreateEnvironment", request)
        return made.environment
