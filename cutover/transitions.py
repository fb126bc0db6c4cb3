"""On what evidence the next phase is entered by itself, and what may still be given up. Pure."""

from cutover.gates import Facts
from domain.phases import FOLLOWERS, Phase, Side

CAUGHT_UP_LAG_MS = 10_000
"""Lag below which a stream counts as caught up."""

CAPTURE_AGE_MS = 12 * 3600 * 1000
"""Scanning starts when the oldest unapplied change of every shard is younger than this (protocol §4.1)."""


def may_abort(phase: Phase) -> bool:
    """Tell whether the migration can still be given up: the source serves and nothing is owed to it."""
    return Phase.ABORTED in FOLLOWERS[phase]


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
