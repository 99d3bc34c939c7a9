"""python-socketio's AsyncServer on uvicorn with uvloop and httptools, emitting from a task of the same loop."""

from __future__ import annotations

import asyncio
import os
import socket
import threading

import socketio
import uvicorn

from benchmarks.servers import common


async def emit_all(sio: socketio.AsyncServer, command: common.Command) -> common.Answer:
    """Emit the command's events from this task."""
    count, first = command["count"], command["first"]
    waits = common.pauses(count, command["per_second"]) if command["cmd"] == "rate" else iter([0.0] * count)
    for n, wait in enumerate(waits, first):
        if command["cmd"] == "rate":
            await asyncio.sleep(wait)
        for name, body in common.events_at(n, command):
            await sio.emit(name, body, namespace=common.NAMESPACE)
    return {"ok": True}


async def serve() -> None:
    """Serve until the runner says quit."""
    sio = socketio.AsyncServer(async_mode="asgi", namespaces=[common.NAMESPACE], cors_allowed_origins=[], logger=False)

    async def connect(*_: object) -> None:
        pass

    sio.on("connect", connect, namespace=common.NAMESPACE)
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    config = uvicorn.Config(
        socketio.ASGIApp(sio), log_level="error", ws="websockets-sansio", ws_per_message_deflate=False, backlog=4096
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    commands: asyncio.Queue[common.Command | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        for command in common.read_commands():
            loop.call_soon_threadsafe(commands.put_nowait, command)
        loop.call_soon_threadsafe(commands.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    packages = ("python-socketio", "python-engineio", "uvicorn", "websockets", "uvloop", "httptools")
    common.say_ready(listener.getsockname()[1], *packages)
    busy = common.BusyCommands()
    while (command := await commands.get()) is not None:
        common.say(busy.obey(command) or await emit_all(sio, command))
    serving.cancel()
    os._exit(0)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=__import__("uvloop").new_event_loop) as runner:
        runner.run(serve())
