"""Kills the worker at one write of a switch's journal: before the database hears it, or before the worker hears back.

It stands in the way of every request (`tests.crashes.proxy`) and knows those writes by what they say, not by a list of
steps: each put of the switch's row or of an act, each transaction that moves the flag or closes the journal. So a step
that somebody adds tomorrow is met as well.
"""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.crashes.wire import Message

BEFORE, AFTER = "before", "after"
_JOURNAL, _ACTS = "switch", "acts/"
_FLAG = {"PK": {"S": "migration"}, "SK": {"S": "flag"}}


@dataclass(slots=True)
class Ambush:
    """``kill`` ends the worker; ``writes``: the writes of the journal heard since `lay`, by name, in their order."""

    kill: Callable[[], None]
    writes: list[str] = field(default_factory=list)
    struck: threading.Event = field(default_factory=threading.Event)
    _aim: tuple[str, str] | None = None
    _heard: set[str] = field(default_factory=set)

    def lay(self, name: str = "", moment: str = BEFORE) -> None:
        """Wait for a write from now on, or only listen."""
        self.writes.clear()
        self._heard.clear()
        self.struck.clear()
        self._aim = (name, moment) if name else None

    def hears(self, request: Message) -> str:
        """Note a request; return at which moment of it the worker has to be killed: before, after or, empty, never."""
        name = self._named(request)
        if not name or self._aim is None or self._aim[0] != name:
            return ""
        moment, self._aim = self._aim[1], None
        return moment

    def strike(self) -> None:
        """Kill the worker."""
        self.kill()
        self.struck.set()

    def _named(self, request: Message) -> str:
        """Return the name of a write of the journal, the same for each attempt of it; nothing for any other request."""
        if request.operation not in {"PutItem", "TransactWriteItems"}:
            return ""
        rows = [item for item in _put(request) if _is_told(item)]
        if not rows:
            return ""
        nonces = ",".join(str(row["nonce"]["S"]) for row in rows)
        name = "+".join(sorted({_told(row) for row in rows}))
        if nonces in self._heard:
            return self.writes[-1]  # asked again, because the answer to it got lost
        self._heard.add(nonces)
        times = 1 + sum(each.partition(" #")[0] == name for each in self.writes)
        self.writes.append(name if times == 1 else f"{name} #{times}")
        return self.writes[-1]


def _put(request: Message) -> Iterator[dict[str, Any]]:
    """Yield what a request puts."""
    asked = json.loads(request.body)
    for each in (asked, *(action.get("Put", {}) for action in asked.get("TransactItems", ()))):
        if "Item" in each:
            yield each["Item"]


def _is_told(item: dict[str, Any]) -> bool:
    """Tell whether a row is of the journal or of an act, or the flag."""
    partition = str(item.get("PK", {}).get("S", ""))
    return partition == _JOURNAL or partition.startswith(_ACTS) or {name: item.get(name) for name in _FLAG} == _FLAG


def _told(item: dict[str, Any]) -> str:
    """Return what a row says: the step that is begun or taken, or that the journal is closed; an act; the flag."""
    partition = item["PK"]["S"]
    if partition.startswith(_ACTS):
        return f"{item['SK']['S']} {item['state']['S']}"
    if partition != _JOURNAL:
        return f"flag {item['serving']['S']} {'open' if item['writable']['BOOL'] else 'shut'}"
    if not item["open"]["BOOL"]:
        return "closed"
    return f"{item['step']['S']} taken" if item["taken"]["BOOL"] else str(item["step"]["S"])
