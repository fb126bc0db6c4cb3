"""A process that was stopped somewhere on the way to its socket, and goes on too late, sends nothing."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import pytest

from domain.errors import TransientError
from domain.items import text
from dynamo.aws import connect
from dynamo.conditions import Absent
from dynamo.ports import Put
from dynamo.punctual import punctual_socket
from dynamo.retries import Retrier, RetryPolicy, Subject
from tests.unit.dynamo import stub as stubs

LEAP = 6.0
"""Seconds: more than an attempt has, and less than a connection is kept open for the next request."""
ONCE = RetryPolicy(attempt_timeout_s=5, budget_s=0)
SUBJECT = Subject("PutItem", "users")


class LeapingLoop(asyncio.SelectorEventLoop):
    """A loop whose process can be stopped: its clock has moved on, and nothing else has happened."""

    leapt = 0.0

    def time(self) -> float:
        return super().time() + self.leapt

    def stopped(self, **_event: object) -> None:
        self.leapt += LEAP


def leaping() -> LeapingLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, LeapingLoop)
    return loop


def run(scene: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        runner.run(scene)


def test_a_request_all_but_written_when_the_process_was_stopped_is_not_heard_of() -> None:
    run(stopped_while_it_writes())


async def stopped_while_it_writes() -> None:
    async with (
        stubs.serving() as stub,
        connect(endpoint_url=stub.url, region="us-east-1", retry=ONCE, random=Random(1)) as database,
    ):
        await database.write(put("in time"))
        # botocore's last event comes after its signature, and aiohttp writes in a later step of the loop
        events = database._calls._tables.meta.events
        events.register("before-send", leaping().stopped)
        with pytest.raises(TransientError):
            await database.write(put("too late"))
        events.unregister("before-send", leaping().stopped)
        await database.write(put("in time again"))
        assert [body["Item"]["PK"]["S"] for body in stub.bodies] == ["in time", "in time again"]


def put(key: str) -> Put:
    return Put("users", {"PK": text(key)}, Absent(("PK",)))


@pytest.mark.parametrize("how", ["send", "sendmsg"])
def test_a_socket_sends_in_time_and_refuses_what_is_late(how: str) -> None:
    run(said_early_and_late(how))


async def said_early_and_late(how: str) -> None:
    theirs = socket.create_server(("127.0.0.1", 0))
    with theirs, punctual_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ())) as ours:
        ours.connect(theirs.getsockname())
        heard, _ = theirs.accept()
        with heard:
            await attempt(lambda: said(ours, how, b"in time"))
            with pytest.raises(TransientError, match="no answer"):
                await attempt(lambda: said(ours, how, b" and late"), stopped=True)
            said(ours, how, b"; nobody's attempt")
            ours.shutdown(socket.SHUT_WR)
            assert heard.makefile("rb").read() == b"in time; nobody's attempt"


def said(ours: socket.socket, how: str, words: bytes) -> None:
    getattr(ours, how)([words] if how == "sendmsg" else words)


async def attempt(deed: Callable[[], None], *, stopped: bool = False) -> None:
    """Do it as the attempt of a request, so that it has a time; ``stopped`` just before."""

    async def once() -> None:
        if stopped:
            leaping().stopped()
        deed()

    await Retrier(ONCE, random=Random(1)).run(once, SUBJECT)
