"""Opens the ledger: its table definition, and all kinds of rows over one table."""

from dataclasses import dataclass
from typing import Self

from domain.clock import Clock
from domain.guards import UNGUARDED, WriteGuard
from domain.tables import KeyAttribute, TableDefinition
from dynamo.ports import Items
from ledger.acts import Acts
from ledger.controls import Controls
from ledger.cursors import Segments
from ledger.echoes import Echoes
from ledger.findings import Evidence, Quarantine
from ledger.history import History
from ledger.marks import Marks
from ledger.migration import Migration
from ledger.requests import Requests
from ledger.rows import Rows
from ledger.sendings import Notices
from ledger.streams import Streams
from ledger.switches import Switches
from ledger.tombstones import Tombstones


def ledger_table(name: str) -> TableDefinition:
    """Return the definition of a ledger table."""
    return TableDefinition(
        name,
        (KeyAttribute("PK", "S"), KeyAttribute("SK", "S")),
        deletion_protection=True,
        point_in_time_recovery=True,
    )


@dataclass(frozen=True, slots=True)
class Ledger:
    """Every kind of row, as one writer sees them."""

    rows: Rows
    history: History
    migration: Migration
    streams: Streams
    segments: Segments
    sweeps: Segments
    marks: Marks
    evidence: Evidence
    quarantine: Quarantine
    tombstones: Tombstones
    echoes: Echoes
    requests: Requests
    switches: Switches
    acts: Acts
    controls: Controls
    notices: Notices

    @classmethod
    def over(cls, rows: Rows, clock: Clock, *, who: str) -> Self:
        """Build every kind of row over ``rows``; ``who`` stands in the history."""
        history, streams = History(rows, clock, who=who), Streams(rows, clock)
        return cls(
            rows,
            history,
            Migration(rows, history, clock),
            streams,
            Segments(rows, streams),
            Segments(rows, streams, "sweeps"),
            Marks(rows, streams),
            Evidence(rows, clock),
            Quarantine(rows, clock),
            Tombstones(rows),
            Echoes(rows),
            Requests(rows, clock),
            Switches(rows),
            Acts(rows),
            Controls(rows, history, clock),
            Notices(rows, history, clock),
        )


def operator_ledger(items: Items, table: str, clock: Clock, *, who: str) -> Ledger:
    """Open the ledger for the operator's shell: no lease, so nothing of the leader's rows may be written."""
    return Ledger.over(Rows(items, table), clock, who=who)


def leader_ledger(
    items: Items, table: str, clock: Clock, *, who: str, guard: WriteGuard = UNGUARDED, epoch: int
) -> Ledger:
    """Open the ledger as the leader of lease epoch ``epoch``; every write is fenced by it."""
    return Ledger.over(Rows(items, table, fence=epoch, guard=guard), clock, who=who)
