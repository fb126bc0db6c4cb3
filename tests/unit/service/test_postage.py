"""Routes: a signature that anybody can check, and failures that tell neither the address nor the answer."""

import hashlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from domain.errors import RefusedError, TransientError
from service.postage import CommandRoute, Webhook, signature

SECRET = b"a secret that both of us know"
NOTICE = {"notice": "phase-1", "kind": "phase", "subject": "[shop] phase READY", "text": "VERIFY → READY\n"}
AT = 1_795_438_000


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[str, list[tuple[str, Any, bytes]]]]:
    """A server on loopback: its address, and what it was sent as path, headers, body."""
    sent: list[tuple[str, Any, bytes]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        sent.append((request.path, request.headers, await request.read()))
        if request.path == "/moved":
            raise web.HTTPTemporaryRedirect("/200")
        return web.Response(status=int(request.path.rpartition("/")[2]), text="an answer that holds hunter2")

    app = web.Application()
    app.router.add_post("/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}", sent
    await runner.cleanup()


def webhook(url: str, seconds: float = 10.0) -> Webhook:
    return Webhook(url, SECRET, lambda: AT * 1000 + 7, seconds)


def hmac_by_hand(secret: bytes, message: bytes) -> str:
    """HMAC-SHA256 as RFC 2104 defines it, for a secret of at most 64 bytes."""
    padded = secret.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded) + message).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in padded) + inner).hexdigest()


async def test_a_receiver_can_check_time_and_body_by_the_signature(
    receiver: tuple[str, list[tuple[str, Any, bytes]]],
) -> None:
    address, sent = receiver
    await webhook(f"{address}/hooks/204").send(NOTICE)
    ((_, headers, body),) = sent
    told = dict(part.split("=") for part in headers["X-Tableturn-Signature"].split(","))
    assert told == {"t": str(AT), "v1": hmac_by_hand(SECRET, f"{AT}.".encode() + body)}
    assert json.loads(body) == NOTICE
    assert (headers["X-Tableturn-Notice"], headers["Content-Type"]) == ("phase-1", "application/json")
    assert signature(SECRET, AT, body + b" ") != headers["X-Tableturn-Signature"]


async def test_nobody_else_is_told_by_way_of_a_redirect(receiver: tuple[str, list[tuple[str, Any, bytes]]]) -> None:
    address, sent = receiver
    with pytest.raises(RefusedError, match="307"):
        await webhook(f"{address}/moved").send(NOTICE)
    assert [path for path, _, _ in sent] == ["/moved"]


@pytest.mark.parametrize(("status", "kind"), [(404, RefusedError), (500, TransientError)])
async def test_a_failure_shows_neither_the_path_nor_the_answer(
    receiver: tuple[str, list[tuple[str, Any, bytes]]], status: int, kind: type[Exception]
) -> None:
    address, _ = receiver
    hook = webhook(f"{address}/token-3f9a/{status}")
    with pytest.raises(kind, match=str(status)) as raised:
        await hook.send(NOTICE)
    assert "token-3f9a" not in f"{raised.value} {hook!r}"
    assert "hunter2" not in str(raised.value)


async def test_a_receiver_that_never_answers_is_given_up(tmp_path: Path) -> None:
    import asyncio

    ended = asyncio.Event()

    async def swallow(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(TransientError, match="TimeoutError"):
        await webhook(f"http://127.0.0.1:{port}/", seconds=0.3).send(NOTICE)
    ended.set()
    server.close()


async def test_a_program_gets_the_notice_as_its_input(tmp_path: Path) -> None:
    told = tmp_path / "told"
    program = f"import sys; open({str(told)!r}, 'wb').write(sys.stdin.buffer.read())"
    await CommandRoute((sys.executable, "-c", program)).send(NOTICE)
    assert json.loads(told.read_bytes()) == NOTICE


async def test_a_program_that_fails_is_a_failed_delivery() -> None:
    with pytest.raises(RefusedError, match="code 3"):
        await CommandRoute((sys.executable, "-c", "raise SystemExit(3)")).send(NOTICE)
