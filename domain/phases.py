"""Phases of a migration and who may follow whom. Persisted by name: names never change meaning.

    PLANNED → CAPTURE → BACKFILL → CATCHUP → VERIFY → READY → CUTOVER → BAKE → DONE
    any phase before the switch → ABORTED; BAKE → ROLLED_BACK → VERIFY → READY …

The ledger moves from one to the next by compare-and-set; ``cutover.transitions`` says on what evidence.
"""

from enum import StrEnum


class Phase(StrEnum):
    """Where the migration stands."""

    PLANNED = "PLANNED"
    CAPTURE = "CAPTURE"
    BACKFILL = "BACKFILL"
    CATCHUP = "CATCHUP"
    VERIFY = "VERIFY"
    READY = "READY"
    CUTOVER = "CUTOVER"
    BAKE = "BAKE"
    DONE = "DONE"
    ABORTED = "ABORTED"
    ROLLED_BACK = "ROLLED_BACK"


class Side(StrEnum):
    """One of the two sides: the legacy tables or the single table."""

    SOURCE = "source"
    TARGET = "target"

    @property
    def other(self) -> "Side":
        """Return the opposite side."""
        return Side.TARGET if self is Side.SOURCE else Side.SOURCE
