"""What a campaign counts, and the table it prints."""

from collections import Counter
from dataclasses import dataclass, field

STEPS = ("fence", "drain", "verify", "settle", "mark", "switch", "unfence")
PHASES = ("CAPTURE", "BACKFILL", "CATCHUP", "VERIFY", "READY", "BAKE", "ROLLED_BACK")
PLACES = (
    *PHASES[:5], *(f"cutover: {step}" for step in STEPS),
    *PHASES[5:6], *(f"rollback: {step}" for step in STEPS), *PHASES[6:],
)  # fmt: skip
"""Where a worker can be killed: in each phase, and in each step of each switch."""


@dataclass(slots=True)
class Tally:
    """Kills by place, seconds until the next leader was at work, and whatever was found wrong."""

    kills: Counter[str] = field(default_factory=Counter)
    resumed: list[float] = field(default_factory=list)
    ended: Counter[int] = field(default_factory=Counter)
    switches: Counter[str] = field(default_factory=Counter)
    taken_back: int = 0
    writes: int = 0
    checked: int = 0
    wrong: list[str] = field(default_factory=list)
    rolls: Counter[str] = field(default_factory=Counter)

    @property
    def killed(self) -> int:
        return sum(self.kills.values())

    @property
    def missed(self) -> list[str]:
        """Places where nobody was killed."""
        return [place for place in PLACES if not self.kills[place]]

    def counted(self) -> tuple[int, int, int]:
        """Return how many items were lost, resurrected or left over, stale."""
        lost = sum("not there" in line for line in self.wrong)
        risen = sum("left over" in line for line in self.wrong)
        return lost, risen, len(self.wrong) - lost - risen

    def table(self, *, lease: float) -> str:
        """Return all of it as text."""
        took = sorted(self.resumed)
        median, longest = (took[len(took) // 2], took[-1]) if took else (0.0, 0.0)
        lost, risen, stale = self.counted()
        ended = ", ".join(f"{count} × {code}" for code, count in sorted(self.ended.items())) or "none"
        lines = [f"{'killed in':20} kills", *(f"{place:20} {self.kills[place]:5}" for place in PLACES)]
        resumed = f"at work again after {median:.1f} s (median), {longest:.1f} s (max)"
        lines.append(f"{self.killed} kills -9: {resumed}; the lease is {lease:.0f} s")
        done = f"{self.switches['cutover']} cutovers, {self.switches['rollback']} rollbacks"
        lines.append(f"{done}, {self.taken_back} switches taken back")
        lines.append(f"workers that ended by themselves, by exit code: {ended}")
        compared = f"{self.writes} writes of applications; both sides held against them {self.checked} times"
        lines.append(f"{compared}: {lost} lost, {risen} resurrected, {stale} stale")
        if self.rolls:
            rolled = ", ".join(f"{stream} {count}" for stream, count in sorted(self.rolls.items()))
            lines.append(f"shards that ended and were followed by their child: {rolled}")
        return "\n".join([*lines, *self.wrong])
