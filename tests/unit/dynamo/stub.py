"""A server on this machine that answers as told: real sockets, real HTTP, no DynamoDB behind them."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import orjson
from aiohttp import web

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Stub:
    """Plays its script, one handler a request, then answers ``{}`` for ever. Remembers what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.script: list[Handler] = []
        self.operations: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.operations.append(request.headers["X-Amz-Target"])
        self.bodies.append(orjson.loads(await request.read()))
        self.headers.append(dict(request.headers))
        handler = self.script.pop(0) if self.script else answer({})
        return await handler(request)


@asynccontextmanager
async def serving() -> AsyncIterator[Stub]:
    """Run a stub on a free port for the length of the block."""
    stub = Stub()
    app = web.Application()
    app.router.add_post("/", stub.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    stub.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield stub
    finally:
        await runner.cleanup()


def answer(document: dict[str, Any], *, status: int = 200, spoilt: bool = False) -> Handler:
    """Answer with a document and its checksum; ``spoilt`` changes a byte on the way."""

    async def handle(request: web.Request) -> web.StreamResponse:
        del request
        body = orjson.dumps(document)
        headers = {"x-amz-crc32": str(zlib.crc32(body)), "Content-Type": "application/x-amz-json-1.0"}
        return web.Response(status=status, body=body.replace(b"}", b" }", 1) if spoilt else body, headers=headers)

    return handle


def failure(code: str, *, status: int = 400, **more: Any) -> Handler:
    """Answer with an error of DynamoDB."""
    kind = f"com.amazonaws.dynamodb.v20120810#{code}"
    return answer({"__type": kind, "message": f"{code}, says the stub", **more}, status=status)


async def reset(request: web.Request) -> web.StreamResponse:
    """Break the connection after the request arrived."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def half(request: web.Request) -> web.StreamResponse:
    """Promise more than comes, then break the connection."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"Item": ')
    assert request.transport is not None
    request.transport.abort()
    return response


async def never(request: web.Request) -> web.StreamResponse:
    """Answer too late for anyone."""
    await asyncio.sleep(60)
    return web.Response()


async def unavailable(request: web.Request) -> web.StreamResponse:
    """Answer as a load balancer does."""
    del request
    return web.Response(status=503, text="<html><b>Http/1.1 Service Unavailable</b></html>", content_type="text/html")
