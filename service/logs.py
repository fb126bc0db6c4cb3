"""Structured logs: one JSON object a line, or a readable line on a terminal; each has a stable event name.

Messages carry counts and masked names only; nothing here ever sees an item.
"""

import json
import logging
import sys
from datetime import UTC, datetime

_LEVELS = {"warn": "WARNING"}
_PLAIN = set(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """One JSON object per record: at, level, event, and the facts given as ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        facts = {name: value for name, value in record.__dict__.items() if name not in _PLAIN}
        line = {"at": _when(record), "level": record.levelname.lower(), "event": record.getMessage(), **facts}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class ReadableLines(logging.Formatter):
    """A line for a human at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        facts = " ".join(f"{name}={value}" for name, value in record.__dict__.items() if name not in _PLAIN)
        line = f"{_when(record)[11:19]} {record.levelname.lower():7} {record.getMessage()} {facts}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up(level: str) -> None:
    """Log to standard error at ``level`` (debug, info, warn, error)."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(ReadableLines() if sys.stderr.isatty() else JsonLines())
    name = _LEVELS.get(level.lower(), level.upper())
    logging.basicConfig(level=name, handlers=[handler], force=True)
    for noisy in ("botocore", "aiobotocore", "asyncio", "urllib3", "uvicorn"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _when(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
