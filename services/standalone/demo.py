"""The demo: an environment with a shop's flags, and keys for it. Made once, then found."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from grpc import aio

from featmesh.management.v1 import flag_service_pb2, import_service_pb2, sdk_key_service_pb2
from featmesh.management.v1.flag_service_pb2_grpc import FlagServiceStub
from featmesh.management.v1.import_service_pb2_grpc import ImportServiceStub
from featmesh.management.v1.mutation_pb2 import MutationOptions
from featmesh.management.v1.page_pb2 import PageRequest
from services.standalone.calls import Caller
from services.standalone.credentials import (
    CREDENTIALS,
    Credentials,
    load_credentials,
    save_credentials,
    save_environment,
)
from services.standalone.data_folder import DataFolder
from services.standalone.demo_data import read_demo
from services.standalone.errors import StandaloneError
from services.standalone.places import DemoPlaces
from services.standalone.welcome import demo_text

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the services are reached, as ``host:port``."""

    api: str
    evaluation: str


async def open_demo(folder: DataFolder, token_file: Path, at: Addresses, *, say: Say) -> str:
    """Makes or finds the demo; returns what to tell the person. Raises `StandaloneError`."""
    kept = load_credentials(folder) or Credentials(_bootstrap_token(folder, token_file))
    credentials = replace(kept, api=at.api, evaluation=at.evaluation)
    keep = partial(save_credentials, folder)
    async with aio.insecure_channel(at.api) as channel:
        call = Caller(credentials.token, str(folder.path))
        credentials = await Demo(channel, call, keep=keep, say=say).prepare(credentials)
    keep(credentials)
    return demo_text(credentials, save_environment(folder, credentials))


def _bootstrap_token(folder: DataFolder, file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError as error:
        raise StandaloneError(
            "this installation has a management token already, and it is not here: neither "
            f"{folder.path / CREDENTIALS} nor {file} can be read. Bring one of them back, "
            "or delete the data folder (FEATMESH_DATA_DIR names another) to start anew"
        ) from error


class Demo:
    """Works through the management API, as any operator would.

    ``keep`` stores the credentials after each step, so that a start that was interrupted
    is taken up by the next one. ``say`` tells a person what is being done.
    """

    def __init__(
        self, channel: aio.Channel, call: Caller, *, keep: Callable[[Credentials], None], say: Say
    ) -> None:
        self._places = DemoPlaces(channel, call)
        self._flags: Any = FlagServiceStub(channel)
        self._imports: Any = ImportServiceStub(channel)
        self._call = call
        self._keep = keep
        self._say = say

    async def prepare(self, credentials: Credentials) -> Credentials:
        """The credentials with everything made; raises `StandaloneError`."""
        if not credentials.environment:
            self._say("Creating organization demo, project shop, environment production ...")
            environment = await self._places.environment()
            credentials = self._kept(replace(credentials, environment=environment))
        credentials = await self._with_keys(credentials)
        if not await self._has_flags(credentials.environment):
            await self._import(credentials.environment)
        return credentials

    async def _with_keys(self, credentials: Credentials) -> Credentials:
        environment = credentials.environment
        if not credentials.server_key:
            kind = sdk_key_service_pb2.SDK_KEY_KIND_SERVER
            secret = await self._places.sdk_key(environment, kind, "demo server")
            credentials = self._kept(replace(credentials, server_key=secret))
        if not credentials.client_key:
            kind = sdk_key_service_pb2.SDK_KEY_KIND_CLIENT
            secret = await self._places.sdk_key(environment, kind, "demo client")
            credentials = self._kept(replace(credentials, client_key=secret))
        return credentials

    async def _has_flags(self, environment: str) -> bool:
        request = flag_service_pb2.ListFlagsRequest(
            parent=environment, page=PageRequest(size=1), include_archived=True
        )
        response = await self._call(self._flags.ListFlags, request)
        return bool(response.resources)

    async def _import(self, environment: str) -> None:
        export = await asyncio.to_thread(read_demo)
        self._say(f"Importing {len(export.flags)} flags and {len(export.segments)} segments ...")
        request = import_service_pb2.ImportItemsRequest(
            parent=environment,
            flags=export.flags,
            segments=export.segments,
            conflict=import_service_pb2.IMPORT_CONFLICT_SKIP,
            options=MutationOptions(comment="the demo's first start"),
        )
        await self._call(self._imports.ImportItems, request)

    def _kept(self, credentials: Credentials) -> Credentials:
        self._keep(credentials)
        return credentials
