"""What a run of many seeds has met: faults by place, phases, outcomes, refusals; and what it must not have missed."""

from collections import Counter
from dataclasses import dataclass, field

from domain.phases import Phase
from tests.simulation.story import Report

PLACES = ("CAPTURE", "BACKFILL", "CATCHUP", "VERIFY", "READY", "cutover", "BAKE", "rollback", "ROLLED_BACK")
FAULTS = (
    "crash", "stop", "pause", "split", "roll", "trim", "stream replaced", "records lost", "time to live", "gust",
    "throttled", "failed", "answer lost", "slow", "slow batch", "slow answer", "stuck", "iterator expired",
    "records late", "unprocessed keys",
)  # fmt: skip


@dataclass(slots=True)
class Coverage:
    """Adds reports up."""

    seeds: int = 0
    broken: int = 0
    writes: int = 0
    fewest: int = 10**9
    seconds: float = 0.0
    faults: Counter[tuple[str, str]] = field(default_factory=Counter)
    seeds_with: Counter[str] = field(default_factory=Counter)
    phases: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)

    def add(self, report: Report) -> None:
        """Take a report in."""
        self.seeds += 1
        self.broken += bool(report.broken)
        self.writes += report.writes
        self.fewest = min(self.fewest, report.writes)
        self.seconds += report.seconds
        placed = Counter({(fault, _place(where)): 0 for fault, where in report.faults})
        for (fault, where), count in report.faults.items():
            placed[fault, _place(where)] += count
        self.faults += placed
        self.seeds_with.update(f"{fault} in {place}" for fault, place in placed)
        if any(fault == "crash" and place in {"cutover", "rollback"} for fault, place in placed):
            self.seeds_with["crash in a switch"] += 1
        self.phases += report.phases
        self.outcomes += report.outcomes
        self.ends += report.ends

    def table(self, took: float) -> str:
        """Return all of it as text."""
        head = (
            f"{self.seeds} seeds in {took:.0f} s ({self.seeds / took:.2f} seeds/s), {self.broken} broken; "
            f"{self.writes} writes of applications (at least {self.fewest} a seed), "
            f"{self.seconds / 3600:.1f} virtual hours"
        )
        lines = [head, "", "fault × place".ljust(18) + "".join(place.rjust(12) for place in PLACES)]
        lines += [
            fault.ljust(18) + "".join(str(self.faults[fault, place]).rjust(12) for place in PLACES) for fault in FAULTS
        ]
        split = self.seeds_with["split in BACKFILL"]
        crash = self.seeds_with["crash in a switch"]
        lines += ["", f"seeds with a split during backfill: {split}; with a crash inside a switch: {crash}"]
        for name, counted in (("phases", self.phases), ("workers ended", self.ends), ("outcomes", self.outcomes)):
            lines.append(f"{name}: " + ", ".join(f"{key} {count}" for key, count in sorted(counted.items())))
        return "\n".join(lines)

    def missed(self) -> list[str]:
        """Return what never happened and should have, in a long run."""
        found = [f"fault {fault}" for fault in FAULTS if not any(self.faults[fault, place] for place in PLACES)]
        found += [f"phase {phase}" for phase in _PHASES if not self.phases[phase]]
        return found + [outcome for outcome in _OUTCOMES if not self.outcomes[outcome]]


_PHASES = tuple(Phase)
_OUTCOMES = (
    *(
        "forward applied",
        "forward superseded",
        "forward foreign",
        "forward collision",
        "forward echoed",
        "forward stray",
    ),
    *("reverse applied", "reverse superseded", "reverse quarantined", "forward quarantined"),
    *("gap found", "stray found", "cutover done", "cutover refused", "rollback done", "rollback refused"),
    *("verified everything", "verified what changed"),
    *("complete done", "complete refused", "abort done", "recapture done", "recapture refused"),
    *(f"quarantined {reason}" for reason in ("untranslatable", "collision", "foreign", "irreversible", "stray")),
    *(f"gate {name}" for name in ("phase", "copied", "no-gap", "caught-up", "headroom", "reconciled")),
    *(f"gate {name}" for name in ("verify-in-time", "quarantine", "tombstones", "target-ready", "worker", "baked")),
)
"""Every class of refusal: at the door, at a gate, in quarantine; `refused` by DynamoDB itself has tests of its own."""


def _place(where: str) -> str:
    return where.partition(":")[0]
