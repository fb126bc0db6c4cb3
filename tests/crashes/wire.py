"""As much HTTP as a proxy needs to know where a request ends, with its hands on the connection itself."""

import asyncio
import json
import socket
import struct
import time
from collections import deque
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_REASONS = {200: "OK", 400: "Bad Request", 500: "Internal Server Error"}
_AT_ONCE = struct.pack("ii", 1, 0)
_LONGEST_HEAD = 256 * 1024


@dataclass(frozen=True, slots=True)
class Message:
    """A request or an answer as it came: its first line and headers, and its body."""

    head: bytes
    body: bytes

    @property
    def whole(self) -> bytes:
        return self.head + self.body

    @property
    def operation(self) -> str:
        """What DynamoDB is asked to do, of a request."""
        return (_header(self.head, b"x-amz-target") or b"").decode().rpartition(".")[2]

    @property
    def status(self) -> int:
        """The HTTP status, of an answer."""
        return int(self.head.split(b" ", 2)[1])

    def saying(self, told: dict[str, Any]) -> "Message":
        """Return the same with another body."""
        body = json.dumps(told).encode()
        lines = [line for line in self.head.rstrip().split(b"\r\n") if not line.lower().startswith(b"content-length:")]
        return Message(b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", b""]), body)


@dataclass(frozen=True, slots=True)
class Heard:
    """A request that reached the database, when, and the status of what it said to it."""

    at: float
    operation: str
    table: str
    status: int


class Database:
    """Connections to the far end: one that is kept, and one for each request that closes its half."""

    def __init__(self, url: str, heard: deque[Heard]) -> None:
        """``heard`` gets an entry for each request that was sent and answered."""
        self._heard = heard
        place = urlsplit(url)
        self._place = (place.hostname or "127.0.0.1", place.port or 80)
        self._kept: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: Message) -> Message:
        """Send a request, return the answer."""
        if self._kept is not None and self._kept[0].at_eof():  # closed for idleness: no fault that we ordered
            self.close()
        if self._kept is None:
            self._kept = await self._connect()
        reader, writer = self._kept
        began = time.monotonic()
        writer.write(request.whole)
        answered = await read_message(reader)
        if answered is None:
            raise ConnectionResetError
        self._heard.append(Heard(began, request.operation, _table(request.body), answered.status))
        if b"\r\nconnection: close" in answered.head.lower():
            self.close()
        return answered

    async def ask_and_half_close(self, request: Message) -> Message | None:
        """Send a request, then close our half; return what is said to it, or nothing."""
        reader, writer = await self._connect()
        try:
            writer.write(request.whole)
            writer.write_eof()
            answered = await read_message(reader)
        except ConnectionError:
            answered = None
        finally:
            writer.close()
        return answered

    def close(self) -> None:
        if self._kept is not None:
            self._kept[1].close()
            self._kept = None

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self._place, limit=_LONGEST_HEAD)


async def read_message(reader: asyncio.StreamReader) -> Message | None:
    """Read one request or answer to its end; None when the connection ends before it."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = _header(head, b"content-length")
        if length is not None:
            return Message(head, await reader.readexactly(int(length)))
        if _header(head, b"transfer-encoding") is None:
            return Message(head, b"")
        return Message(head, await _chunks(reader))
    except asyncio.IncompleteReadError:
        return None


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    """Read a body that comes in chunks, as it is; it ends with an empty one."""
    body = b""
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        body += line + await reader.readexactly(size + 2)
        if not size:
            return body


def _table(body: bytes) -> str:
    """Return the tables that a request names, those of a transaction too."""
    told = json.loads(body or b"{}")
    parts = [part for action in told.get("TransactItems", ()) for part in action.values()]
    return ",".join(sorted({str(part["TableName"]) for part in (told, *parts) if "TableName" in part}))


def _header(head: bytes, name: bytes) -> bytes | None:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return None


def answer(status: int, headers: dict[str, str], body: bytes) -> bytes:
    """Spell an answer of our own."""
    lines = [f"HTTP/1.1 {status} {_REASONS[status]}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def reset(writer: asyncio.StreamWriter) -> None:
    """Tear a connection down at once: the far end gets a reset, not an end."""
    connection = writer.get_extra_info("socket")
    if connection is not None and not writer.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    writer.transport.abort()
