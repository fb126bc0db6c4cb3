"""Which notices are due, and until when they are worth sending: from the history and the planned moment alone. Pure.

A notice is named by what it tells of: the planned moment, or the row of the history. Around a switch the owner's plan
wants four ("Communication Plan"). What a notice tells must still be news: one that was missed is sent late only until
the next one takes its place, and is skipped then.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from domain.notices import NoticeKind
from domain.phases import Phase

Event = Mapping[str, Any]
"""A row of the history (`ledger.history`)."""

_HOUR_MS: Final = 3_600_000
ANNOUNCED_MS: Final = 48 * _HOUR_MS
CONFIRMED_MS: Final = 2 * _HOUR_MS
REPORTED_MS: Final = 24 * _HOUR_MS
_NEWS_MS: Final = 24 * _HOUR_MS
"""For so long what has happened is news, and a status report after its own day too."""

_OUTCOME_MS: Final = 30_000
"""The time without writes is told of right after the unfence; for so long a notice waits for it. A crash loses it."""

_REPEATED_MS: Final = 900_000
"""A refusal that is the same as one so shortly before is no news: somebody asks again and again."""

_SAME_MS: Final = 100
"""Rows of one transaction are dated so near to each other, in any order."""

_BEFORE_THE_SWITCH: Final = frozenset(Phase) - {Phase.CUTOVER, Phase.BAKE, Phase.DONE, Phase.ABORTED}
_SIMPLE: Final = {
    "phase": NoticeKind.PHASE,
    "refused": NoticeKind.REFUSED,
    "taken-back": NoticeKind.TAKEN_BACK,
    "postponed": NoticeKind.POSTPONED,
    "called-off": NoticeKind.POSTPONED,
}


@dataclass(frozen=True, slots=True)
class Due:
    """One notice: when it is due and until when it may be sent (ms); ``event`` is the row of the history it tells of.

    ``outcome`` is the row in which the switch of that row told how it ended; ``planned_ms``: for when one is planned.
    """

    kind: NoticeKind
    name: str
    at_ms: int
    until_ms: int
    event: Event = field(default_factory=dict)
    outcome: Event | None = None
    planned_ms: int | None = None

    @property
    def notice_id(self) -> str:
        """Return the name of its row in the ledger."""
        return f"{self.kind}-{self.name}"


@dataclass(frozen=True, slots=True)
class Standing:
    """What notices are made of: history by row, phase, planned moment and until when it is postponed (ms)."""

    history: Mapping[str, Event]
    phase: Phase
    planned_ms: int | None
    postponed_ms: int = 0


def due(standing: Standing, now_ms: int) -> list[Due]:
    """Return every notice whose time has come, those that are too late by now included, in the order of their times."""
    found = [each for each in listed(standing, now_ms) if each.at_ms <= now_ms]
    return sorted(found, key=lambda each: each.at_ms)


def listed(standing: Standing, now_ms: int) -> Iterator[Due]:
    """Yield every notice that there was or will be, as things stand."""
    yield from _planned(standing)
    for name, event in standing.history.items():
        yield from _told(name, event, standing, now_ms)


def _planned(standing: Standing) -> Iterator[Due]:
    """Before a planned switch: once the target serves, or while it is postponed beyond that moment, none."""
    at_ms = standing.planned_ms
    if at_ms is None or standing.phase not in _BEFORE_THE_SWITCH or standing.postponed_ms > at_ms:
        return
    announced_ms, confirmed_ms = at_ms - ANNOUNCED_MS, at_ms - CONFIRMED_MS
    yield Due(NoticeKind.ANNOUNCEMENT, str(at_ms), announced_ms, confirmed_ms, planned_ms=at_ms)
    yield Due(NoticeKind.FINAL, str(at_ms), confirmed_ms, at_ms, planned_ms=at_ms)


def _told(name: str, event: Event, standing: Standing, now_ms: int) -> Iterator[Due]:
    """What has happened, and what follows from it."""
    kind, at_ms = _SIMPLE.get(event["event"]), event["at_ms"]
    if kind is None or (event["event"] == "postponed" and not event.get("until_ms")):
        return
    if kind is NoticeKind.REFUSED and _is_repeated(event, standing.history):
        return
    turned = kind is NoticeKind.PHASE and event["to"] in {Phase.BAKE, Phase.ROLLED_BACK}
    ends_a_switch = turned or kind is NoticeKind.TAKEN_BACK
    outcome = _outcome(event, standing.history) if ends_a_switch else None
    is_awaited = ends_a_switch and outcome is None and now_ms < at_ms + _OUTCOME_MS
    if turned or not is_awaited:
        yield Due(kind, name, at_ms, at_ms + _NEWS_MS, event, outcome, standing.planned_ms)
    if not turned:
        return
    serves = event["to"] == Phase.BAKE
    if not is_awaited:
        switched = NoticeKind.CUT_OVER if serves else NoticeKind.ROLLED_BACK
        yield Due(switched, name, at_ms, at_ms + _NEWS_MS, event, outcome, standing.planned_ms)
    if serves and standing.phase in {Phase.BAKE, Phase.DONE} and not _turned_since(name, standing.history):
        reported_ms = at_ms + REPORTED_MS
        yield Due(NoticeKind.REPORT, name, reported_ms, reported_ms + _NEWS_MS, event, outcome, standing.planned_ms)


def _outcome(event: Event, history: Mapping[str, Event]) -> Event | None:
    """Return how the switch that an event belongs to ended, as it was told right after it."""
    for _, each in sorted(history.items()):
        if each["at_ms"] < event["at_ms"]:
            continue
        if each["event"] in {"cutover", "rollback"} and "blocked_ms" in each:
            return each
        if each["event"] in {"phase", "flag"} and each["at_ms"] > event["at_ms"] + _SAME_MS:
            return None
    return None


def _is_repeated(refusal: Event, history: Mapping[str, Event]) -> bool:
    """Tell whether the same was refused by the same gates shortly before."""
    return any(
        each["event"] == "refused"
        and 0 < refusal["at_ms"] - each["at_ms"] < _REPEATED_MS
        and (each["what"], _gates(each)) == (refusal["what"], _gates(refusal))
        for each in history.values()
    )


def _gates(refusal: Event) -> list[str]:
    return [gate["name"] for gate in refusal["gates"]]


def _turned_since(name: str, history: Mapping[str, Event]) -> bool:
    """Tell whether another switch took place after this one."""
    return any(
        later > name and each["event"] == "phase" and each["to"] in {Phase.BAKE, Phase.ROLLED_BACK}
        for later, each in history.items()
    )
