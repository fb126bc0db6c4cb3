"""JSON documents that one command leaves for another: written whole or not at all, and read with suspicion."""

import json
from pathlib import Path
from typing import Any

from domain.errors import FatalError


def check_report(path: Path | None) -> None:
    """Raise FatalError for a report that would be written over one of the files beside it."""
    if path is not None and path.suffix != ".json":
        raise FatalError(f"{path} does not end with .json", hint="so that its page and others fit beside it")


def write_document(document: dict[str, Any], path: Path) -> None:
    """Write a document whole or not at all. Raises FatalError naming the file."""
    write_text(json.dumps(document, indent=2) + "\n", path)


def write_text(content: str, path: Path) -> None:
    """Write a text whole or not at all. Raises FatalError naming the file."""
    partial = path.with_suffix(".partial")
    try:
        partial.write_text(content, encoding="utf-8", errors="replace")
        partial.replace(path)
    except OSError as error:
        raise unwritten(error) from error


def read_document(path: Path, what: str, *, hint: str) -> dict[str, Any]:
    """Read a document; ``what`` it should be stands in the message. Raises FatalError for a file that holds none."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise FatalError(f"{path} cannot be read as {what}: {error}", hint=hint) from error
    if not isinstance(document, dict):
        raise FatalError(f"{path} is no {what.removeprefix('a ')}", hint=hint)
    return document


def unwritten(error: OSError) -> FatalError:
    """Return the error for a file that could not be written."""
    return FatalError(f"the report cannot be written: {error}", hint="name another file, or make room")
