"""Holds both sides against the journal: every acknowledged write is where it belongs, and nothing else.

Two questions, both answered by `demands` and `expectations`, which share no code with the engines:

* **chain**: was what an application found before each write exactly what the write before it had left, moved to the
  other side in between or not? So a lost write shows even when a later one covered it;
* **state**: does each side, read in full, hold what the last write of each item demands, and nothing more?

While traffic goes on, a suspect is read again until no write came in between. The side that follows is given time.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from domain.items import Item
from domain.phases import Side
from dynamo.ports import Items, ScanRequest
from service.demo import expectations as forms
from service.demo.demands import Demand, Fault, Kind, Spans, Standing, View, compare, demand, figures
from service.demo.journal import Entry, Journal, Name, wall_ms

_SEGMENTS = 4
_SHOWN = 8  # letters of a key, enough to find it in the journal
_AT_ONCE = 16
_PAUSE = 0.25
_SERVING_ROUNDS, _FOLLOWING_ROUNDS = 3, 60
"""Looks at a suspect, `_PAUSE` seconds apart, before it counts."""

_TABLES = {entity: table for table, entity in forms.ENTITIES.items()}


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One thing that is wrong: where, masked, and in which attributes, never their values."""

    kind: Kind
    check: str
    side: Side
    item: str
    attributes: tuple[str, ...] = ()


@dataclass(slots=True)
class Report:
    """What one check found: figures by name, and what is wrong."""

    phase: str
    figures: Counter[str] = field(default_factory=Counter)
    found: list[Discrepancy] = field(default_factory=list)

    def count(self, *kinds: Kind) -> int:
        """Return how many discrepancies are of these kinds."""
        return sum(each.kind in kinds for each in self.found)

    def note(self, check: str, side: Side, name: Name, faults: Iterable[Fault]) -> None:
        """Add what is wrong with one item."""
        shown = f"{name.table}/{name.key[:_SHOWN]}…"
        self.found += [Discrepancy(fault.kind, check, side, shown, fault.attributes) for fault in faults]


class Checker:
    """Checks one demo; remembers how far the chain has been checked."""

    def __init__(self, items: Items, journal: Journal, prefix: str) -> None:
        """Reads only."""
        self._items = items
        self._journal = journal
        self._prefix = prefix
        self._chained = 0

    async def check(self, phase: str, *, serving: Side, epoch: int, follows: bool = True) -> Report:
        """Check the chain since the last time, then the serving side and, if it ``follows``, the other one.

        ``epoch`` is the flag's epoch now.
        """
        self._journal.sides[epoch] = serving  # perhaps nobody has written under it yet
        report, spans = Report(phase), self._journal.spans()
        entries = self._journal.entries[self._chained :]
        self._chained += len(entries)
        histories = [tuple(self._journal.history(entry.name)) for entry in entries]
        await asyncio.to_thread(_check_chain, report, entries, histories, spans)
        for side in (serving, serving.other) if follows else (serving,):
            view = View(side, spans(epoch), wall_ms() // 1000, serving=side is serving)
            await _State(self._items, self._journal, self._prefix, report).check(view)
        return report


class _State:
    """The state of one side, read in full once; suspects are read again."""

    def __init__(self, items: Items, journal: Journal, prefix: str, report: Report) -> None:
        self._items = items
        self._journal = journal
        self._prefix = prefix
        self._report = report
        self._limit = asyncio.Semaphore(_AT_ONCE)

    async def check(self, view: View) -> None:
        """Compare every item, those that the journal knows and those that it does not."""
        found = await self._read_all(view.side)
        snapshot = {name: tuple(history) for name, history in self._journal.histories.items()}
        suspects = await asyncio.to_thread(self._suspects, view, snapshot, found, self._journal.spans())
        self._report.figures["suspects"] += len(suspects)
        rounds = _SERVING_ROUNDS if view.serving else _FOLLOWING_ROUNDS
        async with asyncio.TaskGroup() as group:
            for name in suspects:
                group.create_task(self._settle(name, view, found.get(name, Standing()), rounds))

    def _suspects(
        self, view: View, snapshot: Mapping[Name, Sequence[Entry]], found: Mapping[Name, Standing], spans: Spans
    ) -> list[Name]:
        """Return the names in which something seems wrong; count what is right."""
        suspects = []
        for name in snapshot.keys() | found.keys():
            history = snapshot.get(name, ())
            standing = found.get(name, Standing())
            if compare(history, view, spans, standing):
                suspects.append(name)
            elif history:
                self._report.figures.update(figures(name.table, demand(history, view, spans), standing))
        return suspects

    async def _settle(self, name: Name, view: View, seen: Standing, rounds: int) -> None:
        """Look again until it is right or ``rounds`` have found it wrong with no write under way or come in between."""
        faults: list[Fault] = []
        while rounds:
            async with self._limit:
                history = tuple(self._journal.history(name))
                standing = await self._read(view.side, name, history, seen)
            moved = self._journal.is_claimed(name) or len(self._journal.history(name)) != len(history)
            if not moved:
                now = replace(view, now_s=wall_ms() // 1000)
                faults = compare(history, now, self._journal.spans(), standing)
                if not faults:
                    return
                rounds -= 1
            await asyncio.sleep(_PAUSE)
        self._report.note("state", view.side, name, faults)

    async def _read(self, side: Side, name: Name, history: Sequence[Entry], seen: Standing) -> Standing:
        """Read one name again: its item, and every item beside it that there was or should be."""
        if side is Side.SOURCE:
            key = {forms.KEYS[name.table]: {"S": name.key}}
            return Standing(await self._items.get_item(f"{self._prefix}-{name.table}", key))
        users = {entry.after["userId"]["S"] for entry in history if entry.after and "userId" in entry.after}
        beside = {(item["PK"]["S"], item["SK"]["S"]) for item in seen.beside}
        beside |= {(f"USER#{user}", f"AUDIT#{name.key}") for user in users} if name.table == "audit" else set()
        keys = [_key_of(seen.item, name), *({"PK": {"S": pk}, "SK": {"S": sk}} for pk, sk in sorted(beside))]
        items = [await self._items.get_item(f"{self._prefix}-entities", key) for key in keys]
        return Standing(items[0], tuple(item for item in items[1:] if item is not None))

    async def _read_all(self, side: Side) -> dict[Name, Standing]:
        """Read a side in full, by name."""
        found: dict[Name, Standing] = {}
        for table in forms.KEYS if side is Side.SOURCE else ("entities",):
            for item in await self._scan(f"{self._prefix}-{table}"):
                name, is_beside = _named(table, item)
                standing = found.get(name, Standing())
                found[name] = (
                    replace(standing, beside=(*standing.beside, item)) if is_beside else replace(standing, item=item)
                )
        return found

    async def _scan(self, table: str) -> list[Item]:
        async def segment(number: int) -> list[Item]:
            items: list[Item] = []
            start: Item | None = None
            while True:
                page = await self._items.scan_page(ScanRequest(table, number, _SEGMENTS, start=start))
                items += page.items
                start = page.last_key
                if start is None:
                    return items

        return [item for items in await asyncio.gather(*map(segment, range(_SEGMENTS))) for item in items]


def _check_chain(report: Report, entries: Sequence[Entry], histories: Sequence[Sequence[Entry]], spans: Spans) -> None:
    """Hold what stood before each write against what the writes before it demand."""
    for entry, whole in zip(entries, histories, strict=True):
        report.figures["writes"] += 1
        if not entry.seen:
            continue
        prior = whole[: next(at for at, each in enumerate(whole) if each is entry)]
        view = View(entry.side, spans(entry.epoch), entry.at_ms // 1000)
        demanded = demand(prior, view, spans) if prior else Demand(None)
        beside = tuple(demanded.beside.values())  # a write tells of its own item only
        faults = compare(prior, view, spans, Standing(entry.before, beside))
        report.note("chain", entry.side, entry.name, faults)
        if not faults:
            counted = figures(entry.name.table, demanded, Standing(entry.before))
            report.figures.update({"links": 1, **{name: counted[name] for name in ("password_hashes", "token_hashes")}})


def _named(table: str, item: Item) -> tuple[Name, bool]:
    """Return whose item this is, and whether it stands beside that one; a name nobody knows for anything else."""
    if table != "entities":
        return Name(table, item[forms.KEYS[table]]["S"]), False
    pk, sk = item["PK"]["S"], item["SK"]["S"]
    entity, _, key = pk.partition("#")
    if sk == "METADATA" and entity in _TABLES:
        return Name(_TABLES[entity], key), False
    if entity == "USER" and sk.startswith("AUDIT#"):
        return Name("audit", sk.removeprefix("AUDIT#")), True
    return Name("entities", f"{pk}\n{sk}"), False


def _key_of(seen: Item | None, name: Name) -> Item:
    if seen is not None:
        return {part: seen[part] for part in ("PK", "SK")}
    return {"PK": {"S": f"{forms.ENTITIES[name.table]}#{name.key}"}, "SK": {"S": "METADATA"}}
