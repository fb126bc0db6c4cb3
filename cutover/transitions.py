"""Which phase may follow which, and on what evidence the next one is entered by itself. Pure."""

from collections.abc import Mapping

from cutover.gates import Facts
from domain.phases import Phase, Side

_BEFORE_THE_SWITCH = (
    Phase.PLANNED,
    Phase.CAPTURE,
    Phase.BACKFILL,
    Phase.CATCHUP,
    Phase.VERIFY,
    Phase.READY,
    Phase.ROLLED_BACK,
)

FOLLOWERS: Mapping[Phase, frozenset[Phase]] = {
    Phase.PLANNED: frozenset({Phase.CAPTURE, Phase.ABORTED}),
    Phase.CAPTURE: frozenset({Phase.BACKFILL, Phase.ABORTED}),
    Phase.BACKFILL: frozenset({Phase.CATCHUP, Phase.CAPTURE, Phase.ABORTED}),
    Phase.CATCHUP: frozenset({Phase.VERIFY, Phase.CAPTURE, Phase.ABORTED}),
    Phase.VERIFY: frozenset({Phase.READY, Phase.CAPTURE, Phase.ABORTED}),
    Phase.READY: frozenset({Phase.VERIFY, Phase.CUTOVER, Phase.CAPTURE, Phase.ABORTED}),
    Phase.CUTOVER: frozenset({Phase.READY, Phase.BAKE}),
    Phase.BAKE: frozenset({Phase.BAKE, Phase.ROLLED_BACK, Phase.DONE}),
    Phase.ROLLED_BACK: frozenset({Phase.READY, Phase.CAPTURE, Phase.ABORTED}),
    Phase.ABORTED: frozenset(),
    Phase.DONE: frozenset(),
}
"""The whole table. A rollback under way keeps the phase BAKE until its unfence; back to CAPTURE leads `recapture`."""

CAUGHT_UP_LAG_MS = 10_000
"""Lag below which a stream counts as caught up."""

CAPTURE_AGE_MS = 12 * 3600 * 1000
"""Scanning starts when the oldest unapplied change of every shard is younger than this (protocol §4.1)."""


def may_abort(phase: Phase) -> bool:
    """Tell whether the migration can still be given up: the source serves and nothing is owed to it."""
    return phase in _BEFORE_THE_SWITCH


def next_phase(facts: Facts) -> tuple[Phase, str] | None:
    """Return the phase that the evidence allows by itself, and why; None to stay. Cutovers are never automatic."""
    clean = facts.is_clean(Side.SOURCE) and facts.is_compared_since(Side.SOURCE)
    match facts.phase:
        case Phase.CAPTURE if facts.captured and facts.lag_ms(Side.SOURCE) < CAPTURE_AGE_MS:
            return Phase.BACKFILL, "every shard is written down and read"
        case Phase.BACKFILL if facts.copied:
            return Phase.CATCHUP, "every segment of every source is copied"
        case Phase.CATCHUP if facts.lag_ms(Side.SOURCE) < CAUGHT_UP_LAG_MS:
            return Phase.VERIFY, "every shard is caught up"
        case Phase.VERIFY | Phase.ROLLED_BACK if clean:
            return Phase.READY, "both sides agree"
        case Phase.READY if not facts.is_clean(Side.SOURCE):
            return Phase.VERIFY, "both sides no longer agree"
    return None
