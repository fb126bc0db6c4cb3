"""What the demo proves, for people as a table and for machines as one document."""

from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from operator import itemgetter
from typing import Any

from rich.console import Console
from rich.table import Table

from domain.phases import Side
from service.demo.checker import Report
from service.demo.demands import Kind
from service.demo.journal import Entry, Journal

BLOCKED_LIMIT_MS = 5_000
"""Longest time without writes that a switch may cost."""

AGES = ("verified", "scanned")
"""The two times of a comparison (protocol §7): every write told of up to then, and everything since then."""

_SHOWN = 20
_COMPARED = ("items", "beside", "absent", "expired", "index_keys", "password_hashes", "token_hashes", "own_attributes")


@dataclass(frozen=True, slots=True)
class Switched:
    """A cutover or rollback: what the program said, and the silence that the applications saw, in milliseconds.

    ``verified``: what was compared under the fence, everything or what changed.
    """

    kind: str
    blocked_ms: int
    steps: dict[str, int]
    verified: str
    silent_ms: int = 0


@dataclass(slots=True)
class Outcome:
    """Everything measured; ``failure`` says why the story could not be told to its end."""

    seed: int
    rate: int
    seconds: float = 0.0
    filled: int = 0
    traffic_seconds: float = 0.0
    reports: list[Report] = field(default_factory=list)
    switches: list[Switched] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    writes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    ambiguous: int = 0
    unexplained: int = 0
    worker_exit: int | None = None
    restarts: int = 0
    stall_ms: int = 0
    oldest_ms: list[int] = field(default_factory=lambda: [0 for _ in AGES])
    failure: str = ""

    @property
    def passed(self) -> bool:
        """Tell whether everything that was to be shown has been shown."""
        clean = not any(report.found for report in self.reports) and not self.unexplained
        quick = all(switch.blocked_ms < BLOCKED_LIMIT_MS for switch in self.switches)
        return not self.failure and clean and quick and self.worker_exit == 0

    def see_ages(self, *ages_ms: int) -> None:
        """Keep how old each of `AGES` was at worst."""
        self.oldest_ms = [max(pair) for pair in zip(self.oldest_ms, ages_ms, strict=True)]

    @property
    def per_second(self) -> float:
        """Return acknowledged writes a second, pauses included."""
        return sum(self.writes.values()) / self.traffic_seconds if self.traffic_seconds else 0.0

    def take(self, journal: Journal) -> None:
        """Take over what the journal knows."""
        entries = [entry for entry in journal.entries if entry.kind != "fill"]
        self.writes = Counter(entry.side.value for entry in entries)
        self.kinds = Counter(f"{entry.side} {entry.name.table}: {entry.kind}" for entry in entries)
        self.ambiguous, self.unexplained = journal.ambiguous, len(journal.unexplained)
        gaps = silences(entries)
        self.switches = [
            replace(each, silent_ms=gaps[at] if at < len(gaps) else 0) for at, each in enumerate(self.switches)
        ]

    def document(self) -> dict[str, Any]:
        """Return the figures as one JSON-ready document."""
        return {
            "passed": self.passed,
            "failure": self.failure,
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
            "filled": self.filled,
            "writes": {
                "acknowledged": sum(self.writes.values()),
                "legacy": self.writes["source"],
                "new": self.writes["target"],
                "per_second": round(self.per_second, 1),
                "ambiguous": self.ambiguous,
                "unexplained": self.unexplained,
                "kinds": dict(self.kinds.most_common()),
            },
            "checks": [_check(report) for report in self.reports],
            "switches": [asdict(switch) for switch in self.switches],
            "refusals": self.refusals,
            "discrepancies": [asdict(each) for report in self.reports for each in report.found],
            "worker_exit": self.worker_exit,
            "worker_restarts": self.restarts,
            "longest_stall_ms": self.stall_ms,
            "oldest_ms": dict(zip(AGES, self.oldest_ms, strict=True)),
        }


def silences(entries: list[Entry]) -> list[int]:
    """Return, per switch, the time between the last write of one side and the first of the other."""
    last: dict[int, int] = {}
    first: dict[int, int] = {}
    sides: dict[int, Side] = {}
    for entry in entries:
        first[entry.epoch] = min(first.get(entry.epoch, entry.at_ms), entry.at_ms)
        last[entry.epoch] = max(last.get(entry.epoch, entry.at_ms), entry.at_ms)
        sides[entry.epoch] = entry.side
    return [first[b] - last[a] for a, b in pairwise(sorted(sides)) if sides[a] is not sides[b]]


def show(outcome: Outcome, console: Console) -> None:
    """Print the proof."""
    console.print(_checks_table(outcome))
    console.print(_switches_table(outcome))
    compared: Counter[str] = sum((report.figures for report in outcome.reports), Counter())
    console.print(
        f"{sum(outcome.writes.values())} acknowledged writes ({outcome.writes['source']} by the legacy application, "
        f"{outcome.writes['target']} by the new one), {outcome.per_second:.0f}/s over all phases; "
        f"{outcome.ambiguous} without an answer, found out by reading"
    )
    console.print(
        f"compared: {compared['password_hashes']} versions of password hashes, {compared['token_hashes']} of token "
        f"hashes, {compared['index_keys']} index keys, {compared['own_attributes']} attributes no handler knows"
    )
    verified, scanned = (age / 1000 for age in outcome.oldest_ms)
    console.print(
        f"in READY and BAKE at worst: every write compared up to {verified:.1f} s ago, everything since {scanned:.1f} s"
    )
    for each in [found for report in outcome.reports for found in report.found][:_SHOWN]:
        console.print(f"[red]{each.kind}[/red] {each.check} on {each.side}: {each.item} {', '.join(each.attributes)}")
    if outcome.refusals or outcome.restarts:
        console.print(
            f"{len(outcome.refusals)} switches refused or taken back, {outcome.restarts} restarts of the worker"
        )
    if outcome.failure:
        console.print(outcome.failure, style="red", markup=False)
    verdict = "[green]nothing was lost[/green]" if outcome.passed else "[red]FAILED[/red]"
    console.print(f"{verdict} in {outcome.seconds:.0f} s (seed {outcome.seed})")


def _check(report: Report) -> dict[str, Any]:
    kinds = {"tombstone": "tombstones", "mark": "marks"}
    found = {kinds.get(kind, kind.value): report.count(kind) for kind in Kind}
    compared = {name: report.figures[name] for name in (*_COMPARED, "returned_attributes", "tokens", "numbers")}
    return {"phase": report.phase, "writes": report.figures["writes"], **compared, **found}


def _checks_table(outcome: Outcome) -> Table:
    table = Table(title="every acknowledged write, held against both sides", title_justify="left")
    table.add_column("check")
    for heading in ("writes", "items", "beside", "deleted", "expired", "lost", "undead", "wrong", "extra", "tombs"):
        table.add_column(heading, justify="right")
    for report in outcome.reports:
        counted = [report.figures[name] for name in ("writes", "items", "beside", "absent", "expired")]
        counted += [report.count(Kind.LOST), report.count(Kind.RESURRECTED), report.count(Kind.WRONG)]
        counted += [report.count(Kind.EXTRA, Kind.MARK), report.count(Kind.TOMBSTONE)]
        table.add_row(report.phase, *map(str, counted), style="red" if report.found else None)
    return table


def _switches_table(outcome: Outcome) -> Table:
    table = Table(title="switches", title_justify="left")
    table.add_column("switch")
    for heading in ("writes blocked", "applications saw"):
        table.add_column(heading, justify="right")
    table.add_column("steps begun, ms after the fence")
    for switch in outcome.switches:
        steps = " ".join(f"{step} {begun}" for step, begun in sorted(switch.steps.items(), key=itemgetter(1)))
        table.add_row(switch.kind, f"{switch.blocked_ms / 1000:.2f} s", f"{switch.silent_ms / 1000:.2f} s", steps)
    return table
