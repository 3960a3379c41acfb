"""A management API on a real socket that answers as it is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from featmesh.management.v1 import flag_service_pb2, import_service_pb2, rollout_service_pb2
from featmesh.management.v1.flag_service_pb2_grpc import (
    FlagServiceServicer,
    add_FlagServiceServicer_to_server,
)
from featmesh.management.v1.import_service_pb2_grpc import (
    ImportServiceServicer,
    add_ImportServiceServicer_to_server,
)
from featmesh.management.v1.rollout_service_pb2_grpc import (
    RolloutServiceServicer,
    add_RolloutServiceServicer_to_server,
)

LIMIT = 10.0
"""Seconds that any call waits for its end."""


@dataclass
class Refusal:
    code: grpc.StatusCode
    message: str
    violations: tuple[tuple[str, str], ...] = ()

    def raise_in(self, context: grpc.ServicerContext) -> None:
        violation = error_details_pb2.BadRequest.FieldViolation
        request = error_details_pb2.BadRequest(
            field_violations=[
                violation(field=name, description=text) for name, text in self.violations
            ]
        )
        detail = any_pb2.Any()
        detail.Pack(request)
        status = status_pb2.Status(code=self.code.value[0], message=self.message, details=[detail])
        details = ("grpc-status-details-bin", status.SerializeToString())
        context.set_trailing_metadata((details,))
        context.abort(self.code, self.message)


@dataclass
class Api(ImportServiceServicer, FlagServiceServicer, RolloutServiceServicer):
    CreateFlag: ClassVar[Any] = FlagServiceServicer.CreateFlag  # answer UNIMPLEMENTED
    UpdateFlag: ClassVar[Any] = FlagServiceServicer.UpdateFlag
    ArchiveFlag: ClassVar[Any] = FlagServiceServicer.ArchiveFlag
    DeleteFlag: ClassVar[Any] = FlagServiceServicer.DeleteFlag
    ListFlagVersions: ClassVar[Any] = FlagServiceServicer.ListFlagVersions
    RollbackFlag: ClassVar[Any] = FlagServiceServicer.RollbackFlag
    address: str = ""
    refusal: Refusal | None = None
    imports: list[import_service_pb2.ImportItemsRequest] = field(default_factory=list)
    toggles: list[flag_service_pb2.ToggleFlagRequest] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    flags: list[flag_service_pb2.FlagResource] = field(default_factory=list)
    rollout: list[rollout_service_pb2.WatchRolloutResponse] = field(default_factory=list)
    """What a watch is told; without a last one that is complete it goes on for ever."""
    watches: list[rollout_service_pb2.WatchRolloutRequest] = field(default_factory=list)

    def ImportItems(  # noqa: N802 - the contract's name
        self,
        request: import_service_pb2.ImportItemsRequest,
        context: grpc.ServicerContext,
    ) -> import_service_pb2.ImportItemsResponse:
        self.tokens.append(str(dict(context.invocation_metadata())["authorization"]))
        if self.refusal:
            self.refusal.raise_in(context)
        self.imports.append(request)
        return import_service_pb2.ImportItemsResponse(
            revision=77, flags_written=len(request.flags), segments_written=len(request.segments)
        )

    def ListFlags(  # noqa: N802 - the contract's name
        self, request: flag_service_pb2.ListFlagsRequest, context: grpc.ServicerContext
    ) -> flag_service_pb2.ListFlagsResponse:
        start = int(request.page.token or 0)
        following = str(start + 1) if start + 1 < len(self.flags) else ""
        return flag_service_pb2.ListFlagsResponse(
            resources=self.flags[start : start + 1], next_token=following
        )

    def GetFlag(  # noqa: N802 - the contract's name
        self, request: flag_service_pb2.GetFlagRequest, context: grpc.ServicerContext
    ) -> flag_service_pb2.GetFlagResponse:
        if self.refusal:
            self.refusal.raise_in(context)
        return flag_service_pb2.GetFlagResponse(resource=self.flags[0])

    def ToggleFlag(  # noqa: N802 - the contract's name
        self, request: flag_service_pb2.ToggleFlagRequest, context: grpc.ServicerContext
    ) -> flag_service_pb2.ToggleFlagResponse:
        self.toggles.append(request)
        resource = flag_service_pb2.FlagResource()
        resource.flag.key, resource.flag.enabled = request.key, request.enabled
        resource.flag.revision = 78
        return flag_service_pb2.ToggleFlagResponse(resource=resource)

    def WatchRollout(  # noqa: N802 - the contract's name
        self, request: rollout_service_pb2.WatchRolloutRequest, context: grpc.ServicerContext
    ) -> Iterator[rollout_service_pb2.WatchRolloutResponse]:
        self.watches.append(request)
        yield from self.rollout
        if not self.rollout[-1].complete:
            ended = threading.Event()
            context.add_callback(ended.set)
            ended.wait(LIMIT)


@contextmanager
def running_api() -> Iterator[Api]:
    api = Api()
    with ThreadPoolExecutor(4) as workers:
        server = grpc.server(workers)
        add_ImportServiceServicer_to_server(api, server)
        add_FlagServiceServicer_to_server(api, server)
        add_RolloutServiceServicer_to_server(api, server)
        api.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        try:
            yield api
        finally:
            server.stop(None).wait()
