"""A TCP proxy before the store that can be cut and mended, as a network can."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class CuttableProxy:
    """Listens on a free port of its own; ``target`` is where it leads."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._ways: set[asyncio.Task[None]] = set()
        self._is_cut = False
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self.cut()

    async def cut(self) -> None:
        """Ends every connection, and each new one at once."""
        self._is_cut = True
        for way in self._ways:
            way.cancel()
        await asyncio.gather(*self._ways, return_exceptions=True)

    def mend(self) -> None:
        """Connections are let through again."""
        self._is_cut = False

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.close()
            return
        way = asyncio.create_task(self._connect(reader, writer))
        self._ways.add(way)
        way.add_done_callback(self._ways.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            try:
                forth = asyncio.create_task(_pump(reader, far_writer))
                back = asyncio.create_task(_pump(far_reader, writer))
                try:
                    await asyncio.wait((forth, back), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    forth.cancel()
                    back.cancel()
                    await asyncio.gather(forth, back, return_exceptions=True)
            finally:
                far_writer.close()
        finally:
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
