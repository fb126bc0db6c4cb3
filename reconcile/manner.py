"""How a comparison is done: of what, how patiently, how fast, and what it may do about what it finds."""

from dataclasses import dataclass, field
from pathlib import Path
from random import SystemRandom

from domain.clock import Clock
from dynamo.ports import Database
from dynamo.scanfile import Cursor
from mapping.plan import Plan
from reconcile.comparison import Kind
from reconcile.rechecks import Mend, Patience

_DRAWN = 16
"""Segments that a sample is drawn from at most."""

_MOST_SEGMENTS = 1_000_000
"""DynamoDB's own limit (AWS: Scan, TotalSegments)."""


@dataclass(frozen=True, slots=True)
class CompareSettings:
    """Seconds between scheduled generations, between looks at what changed, and at requests (the bell shortens them).

    Scan segments per table; patience with suspects; most read units a second of a scheduled scan (None: no ceiling);
    the folder of worksheets (None: nowhere, and what was killed begins anew); up to how many source ids that disagree a
    scheduled comparison mends without being asked (0: never), and of which kinds.
    """

    interval: float = 60.0
    look: float = 5.0
    poll: float = 0.5
    segments: int = 4
    patience: Patience = field(default_factory=Patience)
    fenced_patience: Patience = field(default_factory=lambda: Patience(rounds=2, pause=0.1))
    read_units: int | None = None
    folder: Path | None = None
    auto_repair: int = 0
    auto_repair_kinds: tuple[Kind, ...] = (Kind.MISSING, Kind.DIFFERENT)


@dataclass(frozen=True, slots=True)
class ComparePorts:
    """What the comparison works with."""

    database: Database
    plan: Plan
    clock: Clock
    settings: CompareSettings


@dataclass(frozen=True, slots=True)
class Scope:
    """What is compared: all, or the items of some sources, or some source ids, or so many items drawn per table."""

    sources: tuple[str, ...] | None = None
    source_ids: tuple[str, ...] = ()
    sample: int | None = None


EVERYTHING = Scope()


@dataclass(frozen=True, slots=True)
class Manner:
    """How one generation is done: its patience; what is done about mismatches; its scope and ceiling (RCU/s).

    ``worksheet``: where it keeps what it has seen; one that was interrupted is gone on with if it is of this
    ``lineage``. ``insists``: better not at all than without that file. ``ground``: what looks may build on it as long
    as it stays the same (`recent`).
    """

    patience: Patience
    mend: Mend | None = None
    scope: Scope = EVERYTHING
    read_units: int | None = None
    worksheet: Path | None = None
    lineage: str = ""
    insists: bool = False
    ground: str = ""


def draw(table: str, item_count: int, sample: int) -> list[Cursor]:
    """Return cursors of some segments, drawn at random, that hold about so many items together."""
    parts = min(_DRAWN, sample)
    segments = max(parts, min(_MOST_SEGMENTS, item_count * parts // sample))
    return [Cursor(table, number, segments) for number in SystemRandom().sample(range(segments), parts)]
