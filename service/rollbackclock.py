"""The rollback clock: age of the switch, what was written since, and what of it the legacy tables cannot hold.

Everything comes from `cutover.gates.Facts`; names of attributes and counts, never a value (protocol §9, docs/adr/0013).
"""

from typing import Any

from cutover.gates import Facts
from domain.fates import OTHER, Fate
from domain.outcomes import Reason
from domain.phases import Phase
from mapping.plan import Plan

_HOUR_S = 3600
_SHOWN = 10
"""Attributes that a page shows, those most written first; the document has all."""


def document(facts: Facts) -> dict[str, Any] | None:
    """Return the clock as a JSON-ready document (docs/reference/status.md); None outside of the bake."""
    if facts.phase is not Phase.BAKE:
        return None
    written = facts.written
    return {
        "since_ms": facts.since_ms,
        "age_ms": facts.now_ms - facts.since_ms,
        "writes": written.writes,
        "at_least": facts.written_at_least,
        "at_risk": written.at_risk,
        "fates": {fate.value: written.fates.get(fate, 0) for fate in Fate},
        "attributes": _most_first(dict(written.own)),
        "derived": _most_first(dict(written.derived)),
        "overruled": _most_first(dict(written.overruled)),
        "cannot_go_back": dict(sorted(written.causes.items())),
        "irreversible_items": facts.quarantined.get(Reason.IRREVERSIBLE, 0),
    }


def told(clock: dict[str, Any] | None) -> list[str]:
    """Return the clock as lines for people; none outside of the bake."""
    if clock is None:
        return []
    hours, minutes = divmod(clock["age_ms"] // 1000 // 60, 60)
    fates, writes = clock["fates"], f"{'at least ' if clock['at_least'] else ''}{clock['writes']} writes since"
    lines = [f"rollback clock: switched {hours} h {minutes:02} min ago, {writes}, {clock['at_risk']} at risk"]
    if fates[Fate.CARRIED]:
        lines.append(f"  {fates[Fate.CARRIED]} the legacy application would not see; the next cutover brings them back")
        lines += [f"    {name}: {count}" for name, count in list(clock["attributes"].items())[:_SHOWN]]
        lines += [
            f"    {name}: {count}, which no inverse rule brought over"
            for name, count in list(clock["derived"].items())[:_SHOWN]
        ]
    if fates[Fate.OVERRULED]:
        lines.append(f"  {fates[Fate.OVERRULED]} contradict a derived attribute, which the legacy tables follow")
        lines += [f"    {name}: {count}" for name, count in list(clock["overruled"].items())[:_SHOWN]]
    if fates[Fate.STUCK]:
        causes = ", ".join(f"{count} {cause}" for cause, count in clock["cannot_go_back"].items())
        lines.append(f"  {fates[Fate.STUCK]} could not go back ({causes}); {clock['irreversible_items']} items wait")
    if fates[Fate.UNMAPPED]:
        lines.append(f"  {fates[Fate.UNMAPPED]} of items that no legacy table knows; they stay in the target")
    if fates[Fate.BESIDE]:
        lines.append(f"  {fates[Fate.BESIDE]} of derived items, made anew from the primary ones (none at risk)")
    return lines


def by_label(facts: Facts, plan: Plan) -> dict[str, int]:
    """Return the writes at risk by attribute for a metric: names that the plan declares, all others as one."""
    found: dict[str, int] = {}
    for counts in (facts.written.own, facts.written.derived, facts.written.overruled):
        for name, count in counts.items():
            label = name if name != OTHER and plan.declares(name) else "other"
            found[label] = found.get(label, 0) + count
    return found


def _most_first(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda each: (-each[1], each[0])))
