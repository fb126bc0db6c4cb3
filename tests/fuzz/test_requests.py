"""Requests of any method, path, headers and body, to the application and to the real server: no 5xx, no traceback."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.web import Pages, application, listen, serve
from tests.fuzz.effort import fuzzed

KNOWN = ("/healthz", "/readyz", "/metrics")
PATHS = st.one_of(
    st.sampled_from([*KNOWN, "/", "/openapi.json", "/docs", "//healthz", "/healthz/", "/../etc"]), st.text(max_size=20)
)
METHODS = st.one_of(st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"]), st.text(max_size=6))
LATIN = st.binary(max_size=20)
HEADERS = st.lists(
    st.tuples(st.one_of(st.sampled_from([b"host", b"accept", b"content-length", b"range", b"cookie"]), LATIN), LATIN),
    max_size=4,
)


async def _exposition() -> bytes:
    return b"tableturn_up 1\n"


PAGES = Pages(ready=lambda: True, metrics=_exposition)


async def asked(
    method: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> tuple[int, bytes]:
    """Ask the application itself; return status and body."""
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(errors="replace"), "query_string": query, "root_path": "",
        "headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "state": {},
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    await application(PAGES)(scope, receive, send)
    status = next(message["status"] for message in sent if message["type"] == "http.response.start")
    return status, b"".join(message.get("body", b"") for message in sent)


@fuzzed()
@given(method=METHODS, path=PATHS, query=LATIN, headers=HEADERS, body=st.binary(max_size=40))
@example("GET", "/healthz/", b"\x80", [], b"").via("was a UnicodeDecodeError: 500, from the redirect to /healthz")
async def test_the_application_answers_anything_without_failing(
    method: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    status, said = await asked(method, path, query, headers, body)
    assert status < 500
    assert b"Traceback" not in said
    if status == 200:
        assert path in KNOWN
        assert method == "GET"


@pytest.fixture
async def port() -> AsyncIterator[int]:
    listener = listen("127.0.0.1", 0)
    server = asyncio.create_task(serve(PAGES, listener))
    yield listener.getsockname()[1]
    server.cancel()
    with suppress(asyncio.CancelledError):
        await server
    listener.close()


REQUESTS = st.one_of(
    st.binary(max_size=120),
    st.builds(
        lambda line, headers, body: line + b"\r\n" + headers + b"\r\n\r\n" + body,
        st.one_of(
            st.sampled_from([b"GET /healthz HTTP/1.1", b"POST /metrics HTTP/1.1", b"GET / HTTP/9.9", b"PRI *"]),
            st.binary(max_size=30),
        ),
        st.one_of(
            st.sampled_from([
                b"Content-Length: -1", b"Content-Length: 9" + b"9" * 40, b"Transfer-Encoding: chunked",
                b"Connection: Upgrade\r\nUpgrade: websocket", b"Host: a\r\nHost: b", b"Expect: 100-continue",
            ]),
            st.binary(max_size=40),
        ),
        st.binary(max_size=40),
    ),
)  # fmt: skip


async def answered(port: int, request: bytes) -> bytes:
    """Send bytes, close our side, and return whatever comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        writer.write_eof()
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@fuzzed()
@given(request=REQUESTS)
@example(b"GET /healthz/?\x80 HTTP/1.1\r\nHost: a\r\n\r\n").via("was a 500 with a traceback in the log")
@example(b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n")
@example(b"GET /healthz HTTP/1.1\r\n" + b"".join(b"x%d: y\r\n" % n for n in range(3_000)) + b"\r\n")
async def test_the_server_outlives_any_bytes(port: int, request: bytes) -> None:
    said = await answered(port, request)
    assert not said.startswith(b"HTTP/1.1 5")
    assert b"Traceback" not in said


async def test_after_all_of_it_the_server_still_serves(port: int) -> None:
    for request in (b"\0" * 1000, b"GET", b"\r\n" * 50, b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"):
        await answered(port, request)
    said = await answered(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 200")
    assert b'{"status":"alive"}' in said
