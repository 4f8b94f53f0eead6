"""A TCP proxy that can be cut, slowed and reset: the network between clients and their server."""

import asyncio
import socket
import struct
import threading
from contextlib import suppress
from enum import Enum

from tests.parts.ports import free_port


class Weather(Enum):
    """What the network does to all connections, old and new."""

    FINE = "fine"
    DOWN = "down"
    """Every connection ends, new ones are refused."""
    RESET = "reset"
    """Every connection is reset (RST); new ones too, after their first bytes."""
    SLOW = "slow"
    """Each piece is held back for half a second, both ways."""
    SILENT = "silent"
    """Connections stay open and carry nothing: a cable that was pulled."""


class Proxy:
    """Listens on a free port and passes on to another, as the weather allows."""

    def __init__(self, to_port: int | None = None, *, port: int | None = None) -> None:
        """`to_port` may be given later, before the first connection."""
        self.port, self.to_port = port or free_port(), to_port
        self._weather = Weather.FINE
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> "Proxy":
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def change(self, weather: Weather) -> None:
        """From now on."""
        asyncio.run_coroutine_threadsafe(self._change(weather), self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _end(self) -> None:
        self._server.close()
        self._drop(reset=False)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)

    async def _change(self, weather: Weather) -> None:
        self._weather = weather
        if weather in (Weather.DOWN, Weather.RESET):
            self._drop(reset=weather is Weather.RESET)

    def _drop(self, *, reset: bool) -> None:
        for writer in list(self._writers):
            if reset:
                with suppress(OSError):
                    writer.get_extra_info("socket").setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                    )
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._weather is Weather.DOWN:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.to_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on(reader, back))
                both.create_task(self._pass_on(there, writer))
        finally:
            self._writers -= {writer, back}
            writer.transport.abort()
            back.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(1 << 16):
                if self._weather is Weather.RESET:
                    self._drop(reset=True)
                    return
                if self._weather is Weather.SLOW:
                    await asyncio.sleep(0.5)
                while self._weather is Weather.SILENT:
                    await asyncio.sleep(0.1)
                writer.write(piece)
                await writer.drain()
        writer.transport.abort()
