"""A TCP proxy that tests can cut or stall."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Watch = Callable[[bytes], int | None]


class CutProxy:
    """``on_answer`` gets each piece of an answer. It returns None to pass it on, or the number of bytes before a cut.

    A cut ends the connection; the server may have run the command already.
    """

    def __init__(self, server_port: int) -> None:
        self.on_answer: Watch = lambda _: None
        self.cuts = 0
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open = threading.Event()
        self._open.set()
        self._refusing = False
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def cut(self) -> None:
        """End every connection, and refuse new ones until :meth:`mend`."""
        self._refusing = True
        self._cut_all()

    def reset(self) -> None:
        """Reset every connection."""
        with self._lock:
            for client, _ in self._pairs:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.shutdown(socket.SHUT_RD)

    def mend(self) -> None:
        """Allow connections again, and pass on what was stalled."""
        self._refusing = False
        self._open.set()

    def stall(self) -> None:
        """Pass nothing on until :meth:`mend`; connections stay open."""
        self._open.clear()

    def close(self) -> None:
        """End the proxy and its threads."""
        self._refusing = True
        self._open.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._cut_all()
        for thread in self._threads:
            thread.join(60)

    def _cut_all(self) -> None:
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            for sock in pair:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._refusing:
                client.close()
                continue
            thread = threading.Thread(target=self._carry, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _carry(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._server_port), timeout=60)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        pair = (client, server)
        with self._lock:
            self._pairs.add(pair)
        try:
            with selectors.DefaultSelector() as selector, suppress(OSError):
                selector.register(client, selectors.EVENT_READ, server)
                selector.register(server, selectors.EVENT_READ, client)
                while self._pass_on(selector, server):
                    pass
        finally:
            with self._lock:
                self._pairs.discard(pair)
            client.close()
            server.close()

    def _pass_on(self, selector: selectors.BaseSelector, server: socket.socket) -> bool:
        for key, _ in selector.select():
            source, target = key.fileobj, key.data
            assert isinstance(source, socket.socket)
            piece = source.recv(1 << 16)
            self._open.wait()
            if not piece:
                return False
            passed = self.on_answer(piece) if source is server else None
            if passed is not None:
                target.sendall(piece[:passed])
                self.cuts += 1
                return False
            target.sendall(piece)
        return True


@contextmanager
def proxy_to(server_port: int) -> Iterator[CutProxy]:
    """Run a proxy for the port."""
    proxy = CutProxy(server_port)
    try:
        yield proxy
    finally:
        proxy.close()
