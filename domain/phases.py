"""Phases of a migration and who may follow whom. Persisted by name: names never change meaning.

    PLANNED → CAPTURE → BACKFILL → CATCHUP → VERIFY → READY → CUTOVER → BAKE → DONE
    any phase before the switch → ABORTED; BAKE → ROLLED_BACK → READY …

The ledger moves from one to the next by compare-and-set, along `FOLLOWERS` and not otherwise; ``cutover.transitions``
says on what evidence.
"""

from collections.abc import Mapping
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


FOLLOWERS: Mapping[Phase, frozenset[Phase]] = {
    Phase.PLANNED: frozenset({Phase.CAPTURE, Phase.ABORTED}),
    Phase.CAPTURE: frozenset({Phase.BACKFILL, Phase.ABORTED}),
    Phase.BACKFILL: frozenset({Phase.CATCHUP, Phase.CAPTURE, Phase.ABORTED}),
    Phase.CATCHUP: frozenset({Phase.VERIFY, Phase.CAPTURE, Phase.ABORTED}),
    Phase.VERIFY: frozenset({Phase.READY, Phase.CAPTURE, Phase.ABORTED}),
    Phase.READY: frozenset({Phase.VERIFY, Phase.CUTOVER, Phase.CAPTURE, Phase.ABORTED}),
    Phase.CUTOVER: frozenset({Phase.READY, Phase.BAKE}),
    Phase.BAKE: frozenset({Phase.ROLLED_BACK, Phase.DONE}),
    Phase.ROLLED_BACK: frozenset({Phase.READY, Phase.CAPTURE, Phase.ABORTED}),
    Phase.ABORTED: frozenset(),
    Phase.DONE: frozenset(),
}
"""The whole table. A rollback under way keeps the phase BAKE until its unfence; back to CAPTURE leads `recapture`."""


class Side(StrEnum):
    """One of the two sides: the legacy tables or the single table."""

    SOURCE = "source"
    TARGET = "target"

    @property
    def other(self) -> "Side":
        """Return the opposite side."""
        return Side.TARGET if self is Side.SOURCE else Side.SOURCE
