"""A comparison of very many items, killed half way, and a flood. ``python -m bench.comparing [ITEMS]`` (2,000,000).

Both sides are made as they are asked for, the target by the plan itself, and kept by nobody; a known number of faults
is planted in them. The comparison is a process of its own: it tells each page before it gets it, is killed (SIGKILL)
when half of them are told, and started again over the worksheet that it left.
"""

import asyncio
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from apply.stamping import stamped, tombstone
from bench.generated import PAGE, audit, peak_mb, user
from domain.items import Item, TargetKey, text
from domain.phases import Side
from domain.positions import Version
from dynamo.ports import Found, Page, ScanRequest
from mapping.plan import Plan, load_plan
from reconcile.comparison import Kind
from reconcile.generation import Comparison
from reconcile.manner import ComparePorts, CompareSettings, Manner
from reconcile.rechecks import Patience
from service.systemclock import SystemClock

_SEGMENTS = 4
_MOST_MB = 600
_EVERY = 1_009
"""One item in so many is at fault, unless it is a flood."""

_FLOOD_SHARE = 0.15
_PLAN = Path(__file__).parent.parent / "plans/tyler-setup.yaml"


class Fault(StrEnum):
    """What is planted."""

    LOST = "lost"  # nothing of it stands in the target
    STALE = "stale"  # one attribute is not what it should be
    UNLISTED = "unlisted"  # likewise an index key, which the way back does not see
    RISEN = "risen"  # deleted in the source, it stands in the target
    BURIED = "buried"  # a tombstone stands where it should


_CYCLE = tuple(Fault)


@dataclass(frozen=True, slots=True)
class Contents:
    """What stands on both sides, numbered through: users, then audit entries; one in ``every`` is at fault."""

    plan: Plan
    items: int
    every: int

    @property
    def users(self) -> int:
        """Return how many of them are users."""
        return self.items // 10

    def fault(self, count: int) -> Fault | None:
        """Return what is wrong with an item: in a flood everything differs, else each kind in turn."""
        if self.every == 1:
            return Fault.STALE
        turn, rest = divmod(count, self.every)
        return _CYCLE[turn % len(_CYCLE)] if rest == self.every // 2 else None

    def image(self, count: int) -> tuple[str, Item]:
        """Return the source and the legacy item of a number as it should be; two entries in three name nobody."""
        if count < self.users:
            return "users", user(count)
        item = audit(count - self.users)
        if count % 3:
            del item["userId"]
        return "audit", item

    def source(self, count: int) -> Item | None:
        """Return what stands in the source."""
        return None if self.fault(count) is Fault.RISEN else self.image(count)[1]

    def target(self, count: int) -> dict[TargetKey, Item]:
        """Return what stands in the target."""
        source, image = self.image(count)
        source_id, made, fault = (
            self.plan.source_id(source, image),
            self.plan.translate(source, image),
            self.fault(count),
        )
        if fault is Fault.LOST:
            return {}
        items = {key: stamped(key, item, source_id, Version(1)).item for key, item in made.items.items()}
        primary = made.primary
        if fault is Fault.BURIED:
            items[primary] = tombstone(primary, self.plan.key_item(primary), source_id, Version(1, 5)).item
        elif fault is not None and fault is not Fault.RISEN:
            items[primary][{Fault.STALE: "more", Fault.UNLISTED: "GSI1SK"}[fault]] = text("not so")
        return items

    def number(self, source: str, item: Item) -> int:
        """Return the number of a legacy item or key."""
        number = int(item["id"]["S"].rpartition("-")[2])
        return number if source == "users" else number + self.users

    def planted(self) -> tuple[int, Counter[Kind]]:
        """Return how many source ids are at fault, and the mismatches that this makes."""
        kinds: Counter[Kind] = Counter()
        numbers = [count for count in range(self.items) if self.fault(count) is not None]
        for count in numbers:
            fault, wanted = self.fault(count), 1 if "userId" not in self.image(count)[1] else 2
            if fault is Fault.LOST:
                kinds[Kind.MISSING] += wanted
            elif fault is Fault.RISEN:
                kinds[Kind.EXTRA] += wanted
            else:
                kinds[Kind.MISSING if fault is Fault.BURIED else Kind.DIFFERENT] += 1
        return len(numbers), kinds


class Sides:
    """Makes the pages of both sides; knows only what a comparison asks of a database."""

    def __init__(self, contents: Contents, folder: Path) -> None:
        """Tell each page on standard output before it is given; the worksheet is looked at in its ``folder``."""
        self._contents = contents
        self._folder = folder
        self._plan = contents.plan
        self._sources = {source.definition.name: source.name for source in self._plan.sources.values()}
        self.read = 0
        self.making_s = 0.0
        self.scanned_at = self.joined_at = 0.0
        self.scanned_mb = self.sheet_mb = 0
        self.scanned_cpu_s = 0.0

    async def scan_page(self, request: ScanRequest) -> Page:
        """Make a page: the items of a segment are numbered through."""
        began = time.process_time()
        lowest, highest = self._range(request.table)
        first, last = (
            lowest + (highest - lowest) * part // request.total_segments
            for part in (request.segment, request.segment + 1)
        )
        start = first if request.start is None else int(request.start["number"]["S"])
        end = min(last, start + PAGE)
        if start < end:
            print(f"page {request.table} {start}", flush=True)
        items = tuple(self._made(request.table, range(start, end)))
        self.read += len(items)
        self.making_s += time.process_time() - began
        self.scanned_at = time.monotonic()
        return Page(items, None if end >= last else {"number": text(str(end))}, f"{len(items) / 10:g}")

    async def batch_get(self, table: str, keys: Sequence[Item], *, consistent: bool = True) -> Found:
        """Make the items of some keys."""
        assert consistent
        if not self.joined_at:
            self.joined_at, self.scanned_mb = time.monotonic(), peak_mb()
            self.scanned_cpu_s = time.process_time() - self.making_s
            self.sheet_mb = sum(file.stat().st_size for file in self._folder.iterdir()) // 1024**2
        return Found(tuple(item for key in keys if (item := self._at(table, key)) is not None), str(len(keys)))

    def _range(self, table: str) -> tuple[int, int]:
        contents = self._contents
        ranges = {"users": (0, contents.users), "audit": (contents.users, contents.items)}
        return ranges.get(self._sources[table], (0, 0)) if table in self._sources else (0, contents.items)

    def _made(self, table: str, numbers: range) -> Iterator[Item]:
        for count in numbers:
            if table not in self._sources:
                yield from self._contents.target(count).values()
            elif (item := self._contents.source(count)) is not None:
                yield item

    def _at(self, table: str, key: Item) -> Item | None:
        if table in self._sources:
            return self._contents.source(self._contents.number(self._sources[table], key))
        place = self._plan.target_key(key)
        owner = self._plan.owner(place)
        assert owner is not None
        return self._contents.target(self._contents.number(owner.source, owner.source_key)).get(place)


def contents_of(items: int, every: int) -> Contents:
    """Return the contents of both sides under the plan that ships with the product."""
    return Contents(load_plan(_PLAN, variables={"SECRETS_PREFIX": "bench"}), items, every)


async def compare(contents: Contents, folder: Path) -> None:
    """Do one generation in this process, and say on standard output what it found and took."""
    sides = Sides(contents, folder)
    ports = ComparePorts(
        sides,  # type: ignore[arg-type]
        contents.plan,
        SystemClock(),
        CompareSettings(segments=_SEGMENTS),
    )
    found = await Comparison(ports).generation(
        Side.SOURCE, Manner(Patience(), worksheet=folder / "bench.worksheet", lineage="bench")
    )
    facts = {
        "kinds": found.verdict.by_kind,
        "ids": found.verdict.source_ids,
        "kept": len(found.mismatches),
        "suspects": found.suspects,
        "rechecked": found.verdict.rechecked,
        "compared": found.compared,
        "scan_s": found.scan_ms / 1000,
        "whole_s": found.duration_ms / 1000,
        "join_s": sides.joined_at - sides.scanned_at,
        "read": sides.read,
        "cpu_s": sides.scanned_cpu_s,
        "recheck_cpu_s": time.process_time() - sides.making_s - sides.scanned_cpu_s,
        "making_s": sides.making_s,
        "scanned_mb": sides.scanned_mb,
        "sheet_mb": sides.sheet_mb,
        "peak_mb": peak_mb(),
    }
    print(f"done {json.dumps(facts)}", flush=True)


class Child:
    """A comparison in a process of its own."""

    def __init__(self, contents: Contents, folder: Path) -> None:
        """Start it."""
        words = [sys.executable, "-m", "bench.comparing", "--in", str(folder), str(contents.items), str(contents.every)]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ourselves
        self.pages: list[str] = []
        self.facts: dict[str, Any] = {}

    def run(self, *, until: int | None = None) -> None:
        """Hear what it tells until its end, or until so many pages are told: then kill it."""
        assert self._process.stdout is not None
        with self._process.stdout as told:
            for line in told:
                word, _, rest = line.strip().partition(" ")
                if word == "page":
                    self.pages.append(rest)
                else:
                    self.facts = json.loads(rest)
                if len(self.pages) == until:
                    self._process.kill()
                    until = None  # what is still in the pipe was told before it died
        code = self._process.wait()
        assert code == (0 if self.facts else -signal.SIGKILL), code


def killed_half_way(contents: Contents, folder: Path) -> None:
    """Compare, kill, go on; hold what is found against what was planted."""
    pages = -(-contents.items // PAGE)
    print(f"{contents.items} source items, a fault in {contents.every}; killed when about half of the pages are told")
    began = time.monotonic()
    first = Child(contents, folder)
    first.run(until=pages + pages // 8)  # the target has some more of them
    killed = time.monotonic()
    print(
        f"first run: {killed - began:.0f} s, {len(first.pages)} pages told, peak {peak_mb(resource.RUSAGE_CHILDREN)} MB"
    )
    second = Child(contents, folder)
    second.run()
    again = set(first.pages) & set(second.pages)
    facts, took = second.facts, time.monotonic() - killed
    print(
        f"second run: {took:.0f} s, {len(second.pages)} pages, {len(again)} of them for the second time;"
        f" {facts['read']} items"
    )
    assert len(again) <= _SEGMENTS, again
    every_page = set(first.pages) | set(second.pages)
    assert sum(page.startswith("bench-entities ") for page in every_page) >= pages
    told(contents, facts)
    assert not list(folder.iterdir())


def told(contents: Contents, facts: dict[str, Any]) -> None:
    """Print what a run took, and hold what it found against what was planted."""
    ids, kinds = contents.planted()
    scan_s = facts["scan_s"] - facts["join_s"]
    cpu_us = facts["cpu_s"] / facts["read"] * 1e6
    print(f"scan {facts['read'] / scan_s:.0f} items/s, {cpu_us:.0f} CPU µs an item, the join with it")
    print(f"(making the items took {facts['making_s']:.0f} CPU s more); join {facts['join_s']:.1f} s;", end=" ")
    print(f"rechecks {facts['whole_s'] - facts['scan_s']:.1f} s for {facts['rechecked']} pairs,", end=" ")
    print(f"{facts['recheck_cpu_s'] / facts['rechecked'] * 1e6:.0f} CPU µs each, the making of both sides with it")
    print(f"target items compared {facts['compared']}, suspects {facts['suspects']}, mismatches {facts['kinds']}")
    print(f"of {facts['ids']} source ids, planted {ids}; kept to be shown {facts['kept']}")
    print(f"peak memory {facts['scanned_mb']} MB when joined, {facts['peak_mb']} MB in the end;", end=" ")
    print(f"worksheet {facts['sheet_mb']} MB")
    assert facts["ids"] == ids
    assert facts["kinds"] == dict(kinds)
    assert max(facts["peak_mb"], peak_mb(resource.RUSAGE_CHILDREN)) < _MOST_MB


def flooded(contents: Contents, folder: Path) -> None:
    """Compare two sides of which nothing agrees."""
    print(f"flood: {contents.items} source items, and every one differs")
    child = Child(contents, folder)
    child.run()
    told(contents, child.facts)


def main(words: Sequence[str]) -> None:
    """Read the number of items; ``--in FOLDER ITEMS EVERY`` is the child."""
    if words[:1] == ["--in"]:
        asyncio.run(compare(contents_of(int(words[2]), int(words[3])), Path(words[1])))
        return
    items = int(words[0]) if words else 2_000_000
    with tempfile.TemporaryDirectory() as folder:
        killed_half_way(contents_of(items, _EVERY), Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        flooded(contents_of(int(items * _FLOOD_SHARE), 1), Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
