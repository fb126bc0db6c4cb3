"""Hooks: real programs and a real HTTP server on this machine; nothing of what they answer is ever shown."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from cutover.hooks import CommandHook, HttpHook, Request, run_command
from domain.errors import RefusedError, TransientError
from domain.phases import Side

SECRET = "hunter2"


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


@pytest.fixture
async def server() -> AsyncIterator[tuple[str, list[tuple[str, str]]]]:
    """A server on loopback; what it was asked, as method and body."""
    asked: list[tuple[str, str]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append((request.method, (await request.read()).decode()))
        if request.path == "/moved":
            raise web.HTTPFound("/200")
        if request.path == "/parts":
            parts = web.StreamResponse()
            await parts.prepare(request)
            for part in ("{", f'"token":"{SECRET}",', '"status":"healthy"', "}"):
                await parts.write(part.encode())
                await asyncio.sleep(0.05)
            return parts
        return web.Response(status=int(request.path[1:]), text=f'{{"status":"healthy","token":"{SECRET}"}}')

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}", asked
    await runner.cleanup()


async def test_a_program_gets_its_words_and_the_side_that_shall_serve(tmp_path: Path) -> None:
    told = tmp_path / "told"
    program = f"import os, sys; open({str(told)!r}, 'a').write(sys.argv[1] + os.environ['TABLETURN_SERVING'] + ' ')"
    hook = CommandHook({Side.TARGET: [*python(program), "do-"]}, undo=[*python(program), "undo-"])
    assert sys.executable in await hook.preview(Side.TARGET)
    await hook.do(Side.TARGET, {})
    await hook.do(Side.SOURCE, {})
    await hook.undo(Side.TARGET, {})
    assert told.read_text() == "do-target undo-source "


async def test_what_a_program_says_when_it_fails_is_not_shown() -> None:
    with pytest.raises(RefusedError) as raised:
        await run_command(python(f"import sys; print('{SECRET}'); sys.exit('{SECRET}')"), seconds=30)
    assert "code 1" in str(raised.value)
    assert SECRET not in str(raised.value)


async def test_a_program_that_takes_too_long_is_killed_with_what_it_started(tmp_path: Path) -> None:
    """The grandchild would hold its end of the pipe, whose other end then never reads to the end."""
    pipe = tmp_path / "pipe"
    import os

    os.mkfifo(pipe)
    forks = (
        f"import subprocess, time; subprocess.Popen(['sleep', '600'], stdout=open({str(pipe)!r}, 'w')); time.sleep(600)"
    )
    reading = asyncio.create_task(asyncio.to_thread(pipe.read_bytes))
    with pytest.raises(RefusedError, match="did not end within"):
        await run_command(python(forks), seconds=2)
    async with asyncio.timeout(30):
        assert await reading == b""


async def test_a_program_that_is_not_there_is_named_before_anything_is_done() -> None:
    hook = CommandHook({Side.TARGET: ["no-such-program"]})
    with pytest.raises(RefusedError, match="no-such-program"):
        await hook.preview(Side.TARGET)
    with pytest.raises(RefusedError, match="no-such-program"):
        await hook.do(Side.TARGET, {})


async def test_a_request_goes_out_as_it_is_and_undo_after_it(server: tuple[str, list[tuple[str, str]]]) -> None:
    address, asked = server
    hook = HttpHook({Side.TARGET: Request(f"{address}/200", body=b"over")}, undo=Request(f"{address}/204", "DELETE"))
    assert await hook.preview(Side.TARGET) == f"POST {address}/…"
    await hook.do(Side.TARGET, {})
    await hook.do(Side.SOURCE, {})
    await hook.undo(Side.TARGET, {})
    assert asked == [("POST", "over"), ("DELETE", "")]


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (Request("/404"), RefusedError),
        (Request("/503"), TransientError),
        (Request("/200", statuses=(201,)), RefusedError),
        (Request("/200", holds=b'"status":"sick"'), RefusedError),
    ],
)
async def test_an_answer_that_is_not_as_wanted_is_told_without_what_it_holds(
    server: tuple[str, list[tuple[str, str]]], request_: Request, kind: type[Exception]
) -> None:
    address, _ = server
    asking = Request(f"{address}{request_.url}?key={SECRET}", statuses=request_.statuses, holds=request_.holds)
    with pytest.raises(kind) as raised:
        await HttpHook({Side.TARGET: asking}).do(Side.TARGET, {})
    assert address in str(raised.value)
    assert SECRET not in str(raised.value)


async def test_a_redirect_is_an_answer_and_is_not_followed(server: tuple[str, list[tuple[str, str]]]) -> None:
    address, asked = server
    await HttpHook({Side.TARGET: Request(f"{address}/moved", statuses=(302,))}).do(Side.TARGET, {})
    assert len(asked) == 1


async def test_nobody_who_answers_is_a_passing_trouble() -> None:
    with pytest.raises(TransientError, match=r"127\.0\.0\.1:9/…"):
        await HttpHook({Side.TARGET: Request("http://127.0.0.1:9/x")}).do(Side.TARGET, {})


async def test_an_answer_in_parts_is_read_until_it_holds_what_it_should(
    server: tuple[str, list[tuple[str, str]]],
) -> None:
    address, _ = server
    asking = Request(f"{address}/parts", holds=b'"healthy"')
    await HttpHook({Side.TARGET: asking}).do(Side.TARGET, {})


async def test_an_address_is_shown_without_what_may_be_secret() -> None:
    """A webhook's path is its password."""
    request = Request(f"https://user:{SECRET}@example.com:8443/services/{SECRET}?key={SECRET}#{SECRET}")
    assert request.place == "https://example.com:8443/…"
    assert Request("https://example.com/").place == "https://example.com"
