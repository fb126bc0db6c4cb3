"""The words of notices: subject and text of each kind, filled from facts (`service.tidings`). Pure.

Each says what the owner's plan wants it to say ("Communication Plan"); what is not known is not claimed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from domain.notices import NoticeKind

Facts = Mapping[str, Any]
Lines = Iterator[str]


def worded(kind: NoticeKind, facts: Facts) -> tuple[str, str]:
    """Return subject and text."""
    subject, lines = _TEMPLATES[kind]
    return f"[{facts['plan']}] {subject(facts)}", "\n".join(lines(facts)) + "\n"


def moment(at_ms: int | None) -> str:
    """Return a wall time in ms as people read it, in UTC."""
    return "no time yet" if at_ms is None else f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def span(milliseconds: int) -> str:
    """Return a duration as people read it."""
    seconds = milliseconds / 1000
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def _announcement(facts: Facts) -> Lines:
    yield f"The switch of {facts['plan']} to its new tables is planned for {moment(facts['planned_ms'])}."
    yield from _what_to_expect(facts)
    if facts["improvements"]:
        yield "What gets better:"
        yield from _items(facts["improvements"])
    yield from _where_it_stands(facts)
    yield from _contact(facts)


def _final(facts: Facts) -> Lines:
    at_ms = facts["planned_ms"]
    yield f"The switch of {facts['plan']} to its new tables begins at {moment(at_ms)}."
    if at_ms is not None:
        latest = moment(at_ms + facts["prepare_ms"] + facts["max_blocked_ms"])
        yield f"Expected to be over by {latest}, if it is asked for then: in one of two outcomes, and no third."
    yield from _what_to_expect(facts)
    yield from _where_it_stands(facts)
    yield from _gates("What keeps it from beginning now:", facts["gates"], none="Every gate passes.")
    yield from _contact(facts)


def _cut_over(facts: Facts) -> Lines:
    yield f"{facts['plan']} is served by its new tables since {moment(facts['event']['at_ms'])}."
    yield from _blocked(facts)
    yield from _issues(facts)
    yield "Next steps:"
    yield from _items(
        [
            f"for {span(facts['bake_ms'])} at least the legacy tables are kept up with every write",
            "until then `tableturn rollback` returns to them and keeps what was written since",
            "a status report in 24 h",
        ]
    )
    yield from _contact(facts)


def _report(facts: Facts) -> Lines:
    yield f"A day after the switch of {facts['plan']} at {moment(facts['event']['at_ms'])}:"
    report = facts["report"] or {}
    yield report.get("short", "")
    yield f"Performance: {report.get('performance', 'not compared')}."
    yield from _issues(facts)
    yield "Lessons learned: `tableturn report` has the timeline and the headings; fill them in while they are fresh."
    yield from _contact(facts)


def _rolled_back(facts: Facts) -> Lines:
    yield f"{facts['plan']} is served by its legacy tables again since {moment(facts['event']['at_ms'])}."
    yield "They hold what was written to the new ones, but for what stands in quarantine."
    yield from _blocked(facts)
    yield from _issues(facts)
    yield "Next steps: mend the cause; the next cutover brings back what only the new application knows."
    yield from _contact(facts)


def _postponed(facts: Facts) -> Lines:
    event = facts["event"]
    if "until_ms" in event:
        yield f"The switch of {facts['plan']} does not take place before {moment(event['until_ms'])}."
    else:
        yield f"The switch of {facts['plan']} that was planned for {moment(event['planned_ms'])} is called off."
    yield f"Why: {event['why'] or 'not said'}."
    yield from _contact(facts)


def _phase(facts: Facts) -> Lines:
    event = facts["event"]
    yield f"{event['came_from']} → {event['to']} at {moment(event['at_ms'])}: {event['why']}."
    yield from _where_it_stands(facts)
    yield from _issues(facts)


def _refused(facts: Facts) -> Lines:
    event = facts["event"]
    yield f"{event['what']} was asked for at {moment(event['at_ms'])} and refused; nothing was changed."
    yield from _gates("Gates that did not pass:", event["gates"], none="")
    yield from _contact(facts)


def _taken_back(facts: Facts) -> Lines:
    event = facts["event"]
    yield f"A switch to the {event['to']} side was taken back at {moment(event['at_ms'])}, in its step {event['step']}."
    yield f"Why: {event['why']}."
    yield f"Everything is as it was before: the {facts['serving']} side serves and may be written."
    yield from _blocked(facts)
    yield from _gates(
        "Gates that do not pass now:", facts["gates"], none="It may be asked for again: every gate passes."
    )
    yield from _contact(facts)


def _what_to_expect(facts: Facts) -> Lines:
    blocked = span(facts["max_blocked_ms"])
    window = facts["window"]
    if window["opens_ms"] or window["closes_ms"]:
        opens, closes = (moment(window[name]) if window[name] else "…" for name in ("opens_ms", "closes_ms"))
        yield f"Maintenance window: {opens} to {closes}; outside of it no cutover begins."
    yield f"Reading goes on. Writes wait for some seconds: {blocked} at most, else the switch takes itself back."


def _where_it_stands(facts: Facts) -> Lines:
    copied = sum(each["copied"] for each in facts["sources"].values())
    expected = sum(each["expected"] for each in facts["sources"].values())
    share = f"{copied:,} of {expected:,} items copied"
    yield f"Where it stands: phase {facts['phase']}, {share}, {_compared(facts)}, {facts['quarantined']} in quarantine."


def _compared(facts: Facts) -> str:
    return "not compared yet" if facts["mismatches"] is None else f"{facts['mismatches']} mismatches"


def _issues(facts: Facts) -> Lines:
    """What was observed; said to be nothing only where somebody looked."""
    found = [f"gap in {stream}: {lost}" for stream, lost in facts["gaps"].items()]
    if facts["mismatches"]:
        found.append(f"{facts['mismatches']} items on which both sides disagree")
    if facts["quarantined"]:
        found.append(f"{facts['quarantined']} items in quarantine: `tableturn quarantine list`")
    found += [f"not settled yet: {each}" for each in (facts["switch"] or {}).get("unsettled", ())]
    if found:
        yield "Issues:"
        yield from _items(found)
    elif facts["mismatches"] is None:
        yield f"Issues: none known; with the {facts['serving']} side serving nothing was compared yet."
    else:
        yield "Issues: none observed."


def _blocked(facts: Facts) -> Lines:
    switch = facts["switch"]
    if switch is None:
        yield "For how long writes were blocked is not known: the worker was restarted."
        return
    steps = sorted(switch.get("steps", {}).items(), key=lambda step: step[1])
    began = ", ".join(f"{name} {span(at_ms)}" for name, at_ms in steps)
    yield f"Writes were blocked for {span(switch['blocked_ms'])}" + (f" (steps began at: {began})." if began else ".")


def _gates(heading: str, gates: list[Facts], *, none: str) -> Lines:
    if gates:
        yield heading
        yield from _items(
            f"{gate['name']}: {gate['value']}, wanted {gate['limit']}" + (f" ({gate['hint']})" if gate["hint"] else "")
            for gate in gates
        )
    elif none:
        yield none


def _contact(facts: Facts) -> Lines:
    if facts["contact"]:
        yield f"Questions and problems: {facts['contact']}"
    if facts["escalation"]:
        yield f"Escalation: {facts['escalation']}"


def _items(lines: Iterable[str]) -> Lines:
    return (f"- {line}" for line in lines)


Template = tuple[Callable[[Facts], str], Callable[[Facts], Lines]]

_TEMPLATES: Final[Mapping[NoticeKind, Template]] = {
    NoticeKind.ANNOUNCEMENT: (lambda facts: f"switch planned for {moment(facts['planned_ms'])}", _announcement),
    NoticeKind.FINAL: (lambda facts: f"switch begins at {moment(facts['planned_ms'])}", _final),
    NoticeKind.CUT_OVER: (lambda _: "the new tables serve", _cut_over),
    NoticeKind.REPORT: (lambda _: "a day after the switch", _report),
    NoticeKind.ROLLED_BACK: (lambda _: "rolled back, the legacy tables serve", _rolled_back),
    NoticeKind.POSTPONED: (lambda _: "switch postponed", _postponed),
    NoticeKind.PHASE: (lambda facts: f"phase {facts['event']['to']}", _phase),
    NoticeKind.REFUSED: (lambda facts: f"{facts['event']['what']} refused", _refused),
    NoticeKind.TAKEN_BACK: (lambda _: "a switch was taken back", _taken_back),
}
