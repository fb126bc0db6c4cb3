"""What many switches have cost, and what was accounted for: for people as a table, for machines as one document."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from operator import itemgetter
from statistics import median
from typing import Any, Final

from service.demo.journal import Journal
from service.demo.proof import Outcome

MEDIAN_MS: Final = 2_000
MOST_MS: Final = 5_000
"""What a cutover or a rollback may cost of writes: the median of them, and each."""

UNFENCED: Final = frozenset({"prepare", "approach"})
"""Steps in which writes go on."""

QUANTILES: Final = (0.5, 0.75, 0.9, 0.95, 1.0)
SEEN: Final = {"blocked_ms": "worker", "silent_ms": "applications"}
"""Who measured: the worker from the fence to the unfence, the applications from their last write to their first one."""


@dataclass(frozen=True, slots=True)
class Round:
    """One switch with the checks around it. ``steps``: begun so many milliseconds after writes were blocked."""

    number: int
    kind: str
    blocked_ms: int
    silent_ms: int
    steps: dict[str, int]
    verified: str
    refusals: tuple[str, ...]
    found: dict[str, int]
    load: float

    @property
    def lasted(self) -> dict[str, int]:
        """Return the milliseconds of each step that takes place while writes are blocked."""
        begun = sorted(((step, at) for step, at in self.steps.items() if step not in UNFENCED), key=itemgetter(1))
        return {step: then - at for (step, at), (_, then) in pairwise([*begun, ("", self.blocked_ms)])}

    def line(self) -> str:
        """Return the round in one line."""
        steps = " ".join(f"{step} {lasted}" for step, lasted in self.lasted.items())
        wrong = " ".join(f"{self.found[what]} {what}" for what in ("lost", "resurrected", "stale"))
        refused = f", refused or taken back before: {len(self.refusals)}" if self.refusals else ""
        return (
            f"{self.kind} {self.number}: blocked {self.blocked_ms} ms (worker), {self.silent_ms} ms (applications); "
            f"{steps}; verified {self.verified}; {self.found['writes']} writes checked: {wrong}; load {self.load}"
            f"{refused}"
        )


@dataclass(slots=True)
class Measured:
    """All rounds of a campaign."""

    seed: int
    rate: int
    cutovers: int
    rounds: list[Round] = field(default_factory=list)
    writes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    ambiguous: int = 0
    unexplained: int = 0
    restarts: int = 0
    stall_ms: int = 0
    worker_exit: int | None = None

    def take(self, journal: Journal, outcome: Outcome) -> None:
        """Take over what was written and found, by checks of no round too."""
        self.writes = Counter(entry.side.value for entry in journal.entries if entry.kind != "fill")
        found = [each for report in outcome.reports for each in report.found]
        self.wrong = [f"{each.kind} {each.check} {each.side}: {each.item} {each.attributes}" for each in found]
        self.ambiguous, self.unexplained = journal.ambiguous, len(journal.unexplained)
        self.restarts, self.stall_ms, self.worker_exit = outcome.restarts, outcome.stall_ms, outcome.worker_exit

    @property
    def clean(self) -> bool:
        """Tell whether every acknowledged write is accounted for and the worker ended well."""
        return not self.wrong and not self.unexplained and self.worker_exit == 0

    @property
    def quick(self) -> bool:
        """Tell whether the worker's own figures keep the limits, cutovers and rollbacks alike."""
        kinds = {each.kind for each in self.rounds}
        blocked = [[each.blocked_ms for each in self.rounds if each.kind == kind] for kind in kinds]
        return bool(blocked) and all(median(each) < MEDIAN_MS and max(each) < MOST_MS for each in blocked)

    def document(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        return {
            "seed": self.seed,
            "rate": self.rate,
            "clean": self.clean,
            "quick": self.quick,
            "writes": dict(self.writes),
            "ambiguous": self.ambiguous,
            "unexplained": self.unexplained,
            "discrepancies": self.wrong,
            "worker_restarts": self.restarts,
            "longest_stall_ms": self.stall_ms,
            "worker_exit": self.worker_exit,
            "quantiles_ms": {
                kind: {who: quantiles(getattr(each, name) for each in self._of(kind)) for name, who in SEEN.items()}
                for kind in self._kinds
            },
            "steps_ms": {kind: self._steps(kind) for kind in self._kinds},
            "rounds": [{**asdict(each), "lasted": each.lasted} for each in self.rounds],
        }

    def table(self) -> str:
        """Return what it comes to, as text."""
        lines = [f"{'':10} {'by':14}" + "".join(f"{f'{part:.0%}':>9}" for part in QUANTILES)]
        for kind in self._kinds:
            for name, who in SEEN.items():
                found = quantiles(getattr(each, name) for each in self._of(kind)).values()
                lines.append(f"{kind:10} {who:14}" + "".join(f"{value / 1000:7.2f} s" for value in found))
            steps = ", ".join(f"{step} {low} ({high})" for step, (low, high) in self._steps(kind).items())
            lines.append(f"{kind:10} by step, ms, median (max): {steps}")
        counted = {what: sum(each.found[what] for each in self.rounds) for what in ("lost", "resurrected", "stale")}
        accounted = ", ".join(f"{count} {what}" for what, count in counted.items())
        refused = sum(len(each.refusals) for each in self.rounds)
        lines.append(
            f"{sum(self.writes.values())} acknowledged writes, {self.writes['source']} by the legacy application and "
            f"{self.writes['target']} by the new one; {self.ambiguous} without an answer, "
            f"{self.unexplained} unexplained: {accounted}"
        )
        lines.append(
            f"{refused} switches refused or taken back, asked for again; {self.restarts} restarts of the worker; "
            f"longest stall of the applications {self.stall_ms} ms"
        )
        return "\n".join([*lines, *self.wrong])

    @property
    def _kinds(self) -> list[str]:
        return sorted({each.kind for each in self.rounds})

    def _of(self, kind: str) -> list[Round]:
        return [each for each in self.rounds if each.kind == kind]

    def _steps(self, kind: str) -> dict[str, tuple[int, int]]:
        """Return median and longest of each step, milliseconds."""
        lasted = [each.lasted for each in self._of(kind)]
        steps = {step: [each[step] for each in lasted if step in each] for each in lasted for step in each}
        return {step: (int(median(values)), max(values)) for step, values in steps.items()}


def quantiles(values: Iterable[int]) -> dict[str, int]:
    """Return `QUANTILES` of some values, each a value that there was."""
    ordered = sorted(values)
    return {f"{part:.0%}": ordered[max(0, -(-len(ordered) * int(part * 100) // 100) - 1)] for part in QUANTILES}
