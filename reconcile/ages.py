"""Since when something disagrees: the age tells a change in flight from a fault (protocol §7). Pure.

Ages outlast the process as far as the evidence shows examples, by their masked names.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from reconcile.comparison import Mismatch


class Ages:
    """When each source id was first seen to disagree, in wall milliseconds."""

    def __init__(self, masked: Callable[[str], str]) -> None:
        """``masked`` returns what evidence calls a source id."""
        self._masked = masked
        self._known: dict[str, int] = {}

    def remember(self, evidence: Mapping[str, Any]) -> None:
        """Take over what an earlier process has seen, from the evidence that it left."""
        for example in evidence.get("examples", ()):
            if first := int(example.get("first_seen_ms", 0)):
                self._known.setdefault(example["item"], first)

    def dated(self, mismatches: Iterable[Mismatch], now_ms: int) -> list[Mismatch]:
        """Return what disagrees now with its age, the oldest first; whatever agrees again is forgotten."""
        named = [(self._masked(each.source_id), each) for each in mismatches]
        self._known = {name: self._known.get(name, now_ms) for name, _ in named}
        aged = [replace(each, first_seen_ms=self._known[name]) for name, each in named]
        return sorted(aged, key=lambda each: (each.first_seen_ms, each.source_id, each.key))
