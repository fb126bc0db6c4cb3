"""A finding as the ledger keeps it and reports show it: exact counts, times, a few masked examples. Pure."""

from collections.abc import Sequence
from typing import Any

from mapping.plan import Plan
from reconcile.comparison import Mismatch
from reconcile.generation import Generation

EXAMPLES = 50
"""Mismatches shown in the ledger, the oldest first; the counts are exact."""


def evidence(found: Generation, aged: Sequence[Mismatch], plan: Plan, *, shown: int = EXAMPLES) -> dict[str, Any]:
    """Return the document (docs/operating/reconcile.md); ``aged`` are its mismatches, the oldest first."""
    verdict = found.verdict
    sources: dict[str, dict[str, int]] = {}
    for (source, kind), count in sorted(verdict.kinds.items()):
        sources.setdefault(source, {})[str(kind)] = count
    return {
        "serving": found.serving,
        "plan": plan.hash,
        "scanned_through_ms": found.through_ms,
        "verified_through_ms": found.verified_ms,
        "scan_ms": found.scan_ms,
        "duration_ms": found.duration_ms,
        "compared": found.compared,
        "unmapped": found.unmapped,
        "suspects": found.suspects,
        "rechecked": verdict.rechecked,
        "read_units": found.read_units,
        "mismatches": verdict.kinds.total(),
        "kinds": {str(kind): count for kind, count in verdict.by_kind.items()},
        "sources": sources,
        "expired": verdict.expired,
        "repaired": verdict.repaired,
        "oldest_ms": min((each.first_seen_ms for each in aged), default=0),
        "examples": [_example(each, plan) for each in aged[:shown]],
    }


def _example(mismatch: Mismatch, plan: Plan) -> dict[str, Any]:
    return {
        "kind": mismatch.kind,
        "source": mismatch.source,
        "item": plan.masked(mismatch.source_id),
        "attributes": list(mismatch.attributes),
        "first_seen_ms": mismatch.first_seen_ms,
    }
