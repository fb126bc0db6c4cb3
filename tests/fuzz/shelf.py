"""A ledger on the twin with a sound row of every kind, and every reader of it; somebody then edits a row by hand."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import fields as fields_of
from dataclasses import is_dataclass
from functools import cache
from typing import Any, get_type_hints

from pydantic import TypeAdapter

from cutover.facts import gather
from cutover.gates import Limits, completion_gates, cutover_gates, rollback_gates
from cutover.transitions import next_phase
from domain.errors import DataError, RefusedError
from domain.items import Item, TargetKey, text
from domain.notices import Delivery, DeliveryState, Notice, NoticeKind, NoticeState
from domain.outcomes import Reason
from domain.phases import Phase, Side
from domain.positions import Version
from dynamo.memory import MemoryDatabase
from dynamo.ports import Put, ScanRequest
from ledger.acts import ActRow
from ledger.book import Ledger, ledger_table, operator_ledger
from ledger.cursors import SegmentRow
from ledger.echoes import Echo
from ledger.findings import Lane, Quarantined
from ledger.lease import Lease, LeaseGuard, LeaseTimes
from ledger.requests import RequestKind
from ledger.streams import StreamRow
from ledger.switches import Switch
from ledger.tombstones import Tombstone
from tests.strategies import TYLER
from tests.world import LoopClock

TABLE = "test-ledger"
TOKEN = "refresh-tokens/tok-3f9a-personal"  # what only the owner may know; it names rows of three kinds
VERSION = str(Version(1, 5))
ENTRY = Quarantined("refresh-tokens", TOKEN, VERSION, Reason.COLLISION, "taken", (TargetKey("A#1", "B"),))

Reader = Callable[[Ledger], Awaitable[Any]]


class Shelf:
    """The ledger, its sound items, and a way to put them back."""

    def __init__(self) -> None:
        self.database = MemoryDatabase(LoopClock())
        self.ledger = operator_ledger(self.database, TABLE, LoopClock(), who="test")
        self.sound: list[Item] = []

    async def fill(self) -> None:
        """Write a row of every kind, as the engines do."""
        await self.database.create_table(ledger_table(TABLE))
        await self.database.create_table(TYLER.target)
        ledger = self.ledger
        await ledger.migration.create(TYLER.name, TYLER.hash)
        await ledger.streams.record(StreamRow("users", Side.SOURCE, "t-users", "arn:1", 1))
        await ledger.segments.save(SegmentRow("users", 1, 2, cursor={"id": text("ada")}, items=3))
        await ledger.marks.announce("m1", "users")
        await ledger.marks.met("m1", "s1", 7)
        await self._follow()
        await ledger.quarantine.put(ENTRY)
        await ledger.tombstones.add(
            Tombstone(TargetKey("REFRESH_TOKEN#tok-3f9a-personal", "-"), "users", TOKEN, VERSION, "c", None, 5)
        )
        await ledger.rows.transact([ledger.echoes.action(Echo(TOKEN, VERSION, "d1", ("d1", "d2")))])
        await self._ask()
        self.sound = list((await self.database.scan_page(ScanRequest(TABLE))).items)

    async def _follow(self) -> None:
        bounds = {"opened": None, "closed": {"s1": "7"}}
        shard = {"parent": "s0", "checkpoint": "7", "ended": False, "through_ms": 5, "oldest_ms": 5}
        await self.ledger.rows.put("spans/users/1", f"{0:06}", bounds, revision=0)
        await self.ledger.rows.put("shards/users/1", "s1", shard, revision=0)
        await self.ledger.sweeps.save(SegmentRow("users", 0, 2, cursor=None, done=True))

    async def _ask(self) -> None:
        ledger = self.ledger
        await ledger.requests.ask(RequestKind.CUTOVER, max_blocked_ms=5000)
        await ledger.requests.ask(RequestKind.RECAPTURE, stream="users", epoch=1)
        await ledger.requests.ask(RequestKind.ROLLBACK)
        await ledger.requests.ask(RequestKind.RETRY, source="users", source_id="users/ada", lane=Lane.FORWARD)
        await ledger.requests.answer(await ledger.requests.ask(RequestKind.VERIFY), done=True, mismatches=0)
        await ledger.evidence.put("worker", {"settled": True, "epoch": 1})
        compared = {"mismatches": 0, "scanned_through_ms": 5, "scan_ms": 5, "expired": 0}
        await ledger.evidence.put("reconcile/source", compared)
        await ledger.evidence.put("switch/cutover", {"switched": True, "blocked_ms": 12, "why": ""})
        backup = {"arn": "arn", "name": "name", "made_ms": 1, "available": True, "pitr": True}
        await ledger.evidence.put("backups/users", {**backup, "earliest_ms": 1, "latest_ms": 2})
        archived = {"arn": "arn", "name": "name", "made_ms": 1, "table_id": "id", "state": "deleted"}
        await ledger.evidence.put("archive/users", archived)
        await ledger.evidence.put("actuators", {"to": "target", "would": {"flag": "set it"}, "trouble": []})
        await ledger.evidence.put("plan", {"verdict": "pass", "override": "", "proved_ms": 1, "fingerprint": "f"})
        await ledger.evidence.put("triggers", {"firing": {"source": ["function f"], "target": []}, "trouble": []})
        await ledger.acts.save(ActRow("w1", "lambda", "switch", standing={"at": "source"}))
        await ledger.controls.postpone(5, reason="not today", by="operator")
        closed = Switch("w1", Side.TARGET, Phase.READY, "fence", is_open=False, drain_marks={"users": "m1"},
                        open_marks={}, facts={"request": "r1"})  # fmt: skip
        await ledger.switches.begin(closed)
        await ledger.acts.save(ActRow("w1", "cache", "switch", standing={"value": "legacy", "version": 3}))
        fields = {"owner": "", "epoch": 1, "counter": 4, "clean": True}
        await ledger.rows.put("leases", "leader", fields, revision=0)
        await ledger.notices.plan(5, by="operator")
        told = Notice("phase-1", NoticeKind.PHASE, NoticeState.BEGUN, 5, 5, "{}", {"chat": Delivery()})
        await ledger.notices.begin(told)

    async def put(self, item: Item) -> None:
        """Put an item as a human would: without any condition. What DynamoDB refuses leaves all as it was."""
        try:
            await self.database.write(Put(TABLE, item))
        except DataError:
            return

    async def restore(self) -> None:
        """Put back every sound row, and remove what readers that write have added."""
        for item in self.sound:
            await self.put(item)


async def _gates(shelf: Ledger, database: MemoryDatabase) -> None:
    facts = await gather(shelf, database, TYLER, LoopClock())
    for gates in (cutover_gates, rollback_gates, completion_gates):
        gates(facts, Limits())
    next_phase(facts)


def readers(shelf: Shelf) -> Mapping[str, Reader]:
    """Return everything that reads rows, by name."""
    return {
        "state": lambda ledger: ledger.migration.state(),
        "plan": lambda ledger: ledger.migration.check_plan(TYLER.name, TYLER.hash),
        "streams": lambda ledger: ledger.streams.all(),
        "stream": lambda ledger: ledger.streams.get("users"),
        "shards": lambda ledger: ledger.streams.shards("users"),
        "sweeps": lambda ledger: ledger.sweeps.of("users"),
        "recorded": lambda ledger: ledger.streams.record(StreamRow("users", Side.SOURCE, "t-users", "arn:1", 1)),
        "segments": lambda ledger: ledger.segments.of("users"),
        "mark": lambda ledger: ledger.marks.get("m1"),
        "notices": lambda ledger: ledger.notices.all(),
        "delivered": lambda ledger: ledger.notices.delivered("phase-1", "chat", Delivery(DeliveryState.SENT, 1, 5)),
        "planned": lambda ledger: ledger.notices.planned(),
        "pending": lambda ledger: ledger.marks.pending(),
        "drop": lambda ledger: ledger.marks.drop("m1"),
        "cut": lambda ledger: ledger.marks.cut("m1"),
        "spans": lambda ledger: ledger.marks.spans("users"),
        "quarantine": lambda ledger: ledger.quarantine.of("refresh-tokens"),
        "everything": lambda ledger: ledger.quarantine.everything(),
        "merged": lambda ledger: ledger.quarantine.put(ENTRY),
        "cleared": lambda ledger: ledger.quarantine.clear(ENTRY, str(Version(0))),
        "tombstones": lambda ledger: ledger.tombstones.of("users"),
        "count": lambda ledger: ledger.tombstones.count(["users"], at_most=9),
        "echo": lambda ledger: ledger.echoes.get(TOKEN),
        "seen": lambda ledger: ledger.echoes.seen(TOKEN, Counter(["d1"])),
        "switch": lambda ledger: ledger.switches.current(),
        "acts": lambda ledger: ledger.acts.of("w1"),
        "history": lambda ledger: ledger.history.all(),
        **{kind.value: lambda ledger, kind=kind: ledger.requests.waiting(kind) for kind in RequestKind},  # type: ignore[misc]
        "facts": lambda ledger: _gates(ledger, shelf.database),
        "lease": _lease,
    }


async def _lease(ledger: Ledger) -> None:
    times = LeaseTimes(lease=0.02, request=0.01, margin=0.001)
    lease = Lease(ledger.rows, LoopClock(), LeaseGuard(LoopClock(), times), owner="me")
    try:
        async with asyncio.timeout(1):
            await lease.acquire(wait=False)
        await lease.release()
    except RefusedError:
        return


def check_types(found: Any) -> None:
    """Raise pydantic's ValidationError unless every dataclass in it holds what its annotations say."""
    if isinstance(found, list | tuple):
        for each in found:
            check_types(each)
    elif isinstance(found, dict):
        check_types(list(found.values()))
    elif is_dataclass(found) and not isinstance(found, type):
        adapters = _adapters(type(found))
        for each in fields_of(found):
            adapters[each.name].validate_python(getattr(found, each.name), strict=True)


@cache
def _adapters(kind: type) -> dict[str, TypeAdapter[Any]]:
    return {name: TypeAdapter(hint) for name, hint in get_type_hints(kind).items()}
