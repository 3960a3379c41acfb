"""Management calls with the token and a deadline, and their refusals in plain words."""

from __future__ import annotations

from typing import Any, Final

import grpc
from grpc import aio

from services.standalone.errors import StandaloneError

DEADLINE_SECONDS: Final = 30.0

_OTHER_DATA: Final = (
    "the management token in {folder} does not open the data that is there: bring back the "
    "folder's credentials.json, or delete the data folder (FEATMESH_DATA_DIR names another) "
    "and start anew"
)


class AlreadyThere(StandaloneError):
    """What was to be made is there already."""


class Caller:
    """Awaits one unary call; raises `StandaloneError` when it is refused, `AlreadyThere`."""

    def __init__(self, token: str, folder: str) -> None:
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._folder = folder

    async def __call__(self, method: Any, request: Any) -> Any:
        """``method`` is a stub's; the stubs know only its synchronous form, hence Any."""
        try:
            return await method(request, metadata=self._metadata, timeout=DEADLINE_SECONDS)
        except aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                raise StandaloneError(_OTHER_DATA.format(folder=self._folder)) from error
            if error.code() is grpc.StatusCode.ALREADY_EXISTS:
                raise AlreadyThere(str(error.details())) from error
            name = type(request).__name__.removesuffix("Request")
            raise StandaloneError(f"{name}: {error.code().name}: {error.details()}") from error
