"""What the process says over HTTP: /healthz (alive), /readyz (leads and consumes), /metrics. Loopback by default."""

import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI, Response

from domain.errors import FatalError


@dataclass(frozen=True, slots=True)
class Pages:
    """What is served: ``ready`` tells whether this process leads and consumes, ``metrics`` gives the exposition."""

    ready: Callable[[], bool]
    metrics: Callable[[], Awaitable[bytes]]


def application(pages: Pages) -> FastAPI:
    """Return the web application."""
    # No redirects: to a path with a slash too many Starlette answers 500 when the query is not UTF-8.
    app = FastAPI(title="tableturn", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz")
    async def readyz(response: Response) -> dict[str, bool]:
        ready = pages.ready()
        response.status_code = 200 if ready else 503
        return {"ready": ready}

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(await pages.metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return app


def listen(host: str, port: int) -> socket.socket:
    """Bind the address. Raises FatalError naming it when it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()  # now, and not when the server starts: else two processes could bind one port unseen
    except (OSError, TypeError, ValueError) as error:  # the latter two for what is no name of a host
        listener.close()
        message = f"cannot listen on {host}:{port}: {getattr(error, 'strerror', None) or error}"
        raise FatalError(message, hint="choose another with --port (0 takes any free one)") from error
    return listener


class QuietServer(uvicorn.Server):
    """uvicorn without its own signal handlers: the worker decides when to end."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


async def serve(pages: Pages, listener: socket.socket) -> None:
    """Serve until cancelled."""
    config = uvicorn.Config(application(pages), log_config=None, access_log=False, lifespan="off", ws="none")
    await QuietServer(config).serve(sockets=[listener])
