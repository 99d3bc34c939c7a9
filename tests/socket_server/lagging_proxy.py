"""A TCP proxy with latency."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import Self, cast

HOST = "127.0.0.1"


class LaggingProxy:
    """Forwards each connection to ``target``, which may change, with ``delay_seconds`` of latency each way."""

    def __init__(self, delay_seconds: float) -> None:
        self.target = 0
        self.port = 0
        self.delay = delay_seconds
        self.loop = asyncio.new_event_loop()
        self.open: set[asyncio.Transport] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        server = self.loop.run_until_complete(self.loop.create_server(lambda: Near(self), HOST, 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self.loop.run_forever()
        server.close()
        for transport in list(self.open):
            transport.abort()
        self.loop.run_until_complete(asyncio.sleep(0.01))
        self.loop.close()


class Side(asyncio.Protocol):
    """One of the two connections; forwards data to the other one later."""

    def __init__(self, proxy: LaggingProxy) -> None:
        self.proxy = proxy
        self.transport: asyncio.Transport | None = None
        self.other: Side | None = None
        self._late: deque[bytes] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.proxy.open.add(self.transport)

    def data_received(self, data: bytes) -> None:
        self._delay(data)

    def connection_lost(self, _error: Exception | None) -> None:
        assert self.transport is not None
        self.proxy.open.discard(self.transport)
        self._delay(b"")

    def _delay(self, data: bytes) -> None:
        self._late.append(data)
        self.proxy.loop.call_later(self.proxy.delay, self._forward)

    def _forward(self) -> None:
        if self.other is None or self.other.transport is None:  # the far side is not connected yet
            self.proxy.loop.call_later(0.005, self._forward)
            return
        data = self._late.popleft()
        if data:
            self.other.transport.write(data)
        else:
            self.other.transport.close()


class Near(Side):
    """The client's connection, which opens the other one."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._opening = self.proxy.loop.create_task(self._open())

    async def _open(self) -> None:
        assert self.transport is not None
        far = Side(self.proxy)
        try:
            await self.proxy.loop.create_connection(lambda: far, HOST, self.proxy.target)
        except OSError:
            self.other = self  # there is no far side to forward to
            self.transport.abort()
            return
        self.other, far.other = far, self
