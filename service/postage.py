"""Routes of notices: a topic of SNS, a signed webhook, a command. Each sends one notice once; the caller tries again.

The signature: ``X-Tableturn-Signature: t=<seconds since 1970>,v1=<hex>``, where ``<hex>`` is HMAC-SHA256, under the
secret, of ``<t>.<body>`` (docs/operating/notices.md shows how to check it).
"""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from aws.calls import Calls, connect_calls
from aws.topics import Topic
from cutover.hooks import Request, ask_http, run_command
from domain.errors import FatalError, RefusedError
from service.noticefile import CommandEntry, NoticeFile, RouteEntry, TopicEntry, WebhookEntry
from service.settings import Settings

Document = Mapping[str, Any]
"""A notice as JSON-ready data (docs/operating/notices.md)."""

_WELL_DONE: Final = tuple(range(200, 300))
"""A redirect is no delivery: nobody else shall be told."""
_SHORTEST_SECRET: Final = 16


class Route(Protocol):
    """Where notices go."""

    async def send(self, document: Document) -> None:
        """Send one notice. Raises RefusedError or TransientError, which tell neither secrets nor answers."""


@dataclass(frozen=True, slots=True)
class TopicRoute:
    """Subject and text go to everybody who subscribed."""

    topic: Topic

    async def send(self, document: Document) -> None:
        """Publish it; raises as `Topic.publish` does."""
        await self.topic.publish(document["subject"], document["text"])


@dataclass(frozen=True, slots=True)
class Webhook:
    """The whole document is posted, signed; ``wall_ms`` dates the signature."""

    url: str = field(repr=False)
    secret: bytes = field(repr=False)
    wall_ms: Callable[[], int]
    seconds: float = 10.0

    async def send(self, document: Document) -> None:
        """Post it; raises as `ask_http` does, for every answer that is not 2xx."""
        body, at = json.dumps(document, ensure_ascii=False).encode(), self.wall_ms() // 1000
        headers = {
            "Content-Type": "application/json",
            "X-Tableturn-Notice": document["notice"],
            "X-Tableturn-Signature": signature(self.secret, at, body),
        }
        parts = urlsplit(self.url)
        place = f"{parts.scheme}://{parts.hostname}/…"  # the path of a webhook is often its password
        request = Request(self.url, "POST", headers, body, _WELL_DONE, shown=place)
        await ask_http(request, seconds=self.seconds)


@dataclass(frozen=True, slots=True)
class CommandRoute:
    """A program gets the whole document as its input."""

    words: tuple[str, ...]
    seconds: float = 30.0

    async def send(self, document: Document) -> None:
        """Run it; raises as `run_command` does."""
        said = json.dumps(document, ensure_ascii=False).encode()
        await run_command(self.words, said=said, seconds=self.seconds)


def signature(secret: bytes, at: int, body: bytes) -> str:
    """Return the header's value for a body that is sent at ``at``, in seconds since 1970."""
    digest = hmac.new(secret, b"%d.%b" % (at, body), hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


@asynccontextmanager
async def open_routes(
    file: NoticeFile, settings: Settings, variables: Mapping[str, str], wall_ms: Callable[[], int]
) -> AsyncIterator[dict[str, Route]]:
    """Open every route of the file for the length of the block.

    Raises FatalError naming the route: no secret, no account, no such topic's name.
    """
    async with AsyncExitStack() as stack:
        calls = None
        if any(isinstance(entry, TopicEntry) for entry in file.routes.values()) and settings.has_account:
            connected = connect_calls(
                region=settings.region, endpoint_url=settings.account_endpoint_url, services=["sns"]
            )
            calls = await stack.enter_async_context(connected)
        yield {name: _made(name, entry, calls, variables, wall_ms) for name, entry in file.routes.items()}


def _made(
    name: str, entry: RouteEntry, calls: Calls | None, variables: Mapping[str, str], wall_ms: Callable[[], int]
) -> Route:
    if isinstance(entry, CommandEntry):
        return CommandRoute(tuple(entry.words), entry.seconds)
    if isinstance(entry, WebhookEntry):
        return Webhook(entry.url, _secret(name, entry, variables), wall_ms, entry.seconds)
    if calls is None:
        message = f"notice file: route {name} is a topic in an AWS account, and there is none behind this endpoint"
        raise FatalError(message, hint="set TABLETURN_ACCOUNT_ENDPOINT_URL, or strike it from the file")
    try:
        return TopicRoute(Topic(calls, entry.topic))
    except RefusedError as refusal:
        raise FatalError(f"notice file: route {name}: {refusal.message}", hint=refusal.hint) from refusal


def _secret(name: str, entry: WebhookEntry, variables: Mapping[str, str]) -> bytes:
    secret = variables.get(entry.secret_variable, "")
    if len(secret) < _SHORTEST_SECRET:
        message = f"notice file: route {name} signs with {entry.secret_variable}, which is not set or too short"
        raise FatalError(message, hint=f"let it hold {_SHORTEST_SECRET} characters or more, known to the receiver too")
    return secret.encode()
