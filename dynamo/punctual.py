"""The socket under every connection to DynamoDB: no byte of an attempt leaves after the attempt's time.

What holds: the clock is looked at in the very call that hands the bytes to the kernel, so that a process stopped
anywhere before it and continued hours later sends nothing (protocol §6); a request cut off in its middle is no request.
The looks that botocore and aiohttp offer come several steps of the loop earlier, and a process can be stopped between.
Source: aiohttp, TCPConnector, ``socket_factory``. Next: `dynamo.retries` for the time that an attempt has.
"""

import socket
from collections.abc import Iterable
from typing import Any

from dynamo.retries import too_late


class PunctualSocket(socket.socket):
    """A socket that refuses what comes too late, with the error that a broken connection gives: outcome unknown."""

    def send(self, *arguments: Any) -> int:
        """Send as any socket does. Raises TimeoutError, of the operating system's kind, when it is too late."""
        _refuse_late()
        return super().send(*arguments)

    def sendmsg(self, *arguments: Any) -> int:
        """Send as any socket does (asyncio's way from Python 3.12 on). Raises as `send`."""
        _refuse_late()
        return super().sendmsg(*arguments)


def punctual_socket(address: Iterable[Any]) -> socket.socket:
    """Make the socket for an address as ``getaddrinfo`` gives it."""
    family, kind, protocol, *_ = address
    return PunctualSocket(family, kind, protocol)


def _refuse_late() -> None:
    if too_late():
        raise TimeoutError("held up beyond its time, and not sent")
