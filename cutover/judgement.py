"""Gates of a cutover about judgement, not about data: when, agreed by whom, proved, backed up, heard by whom. Pure.

No write can be lost by passing them, so an operator may override each, with a reason (`OVERRIDABLE`). Gates that keep
data safe are in `cutover.gates` and cannot be overridden by anybody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from domain.clock import credible
from domain.errors import RefusedError

FOREVER_MS: Final = 10**15
"""Stands for never."""

_TENTHS_BELOW_S: Final = 10
_DAY_MS: Final = 24 * 3600 * 1000

OVERRIDABLE: Final[Mapping[str, str]] = {
    "window": "at another hour nothing is lost; fewer people may be awake",
    "not-postponed": "it says that people agreed to wait, nothing about data",
    "backups": "the legacy tables stay as they are; a backup is for mistakes of others",
    "plan-proved": "every item is compared both ways before any cutover; the proof came earlier and foretold the cost",
    "triggers": "what it fires acts on the new application's writes, and takes none of them away",
}
"""By gate, why an operator may answer for passing it all the same."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition with what was found, what is demanded, and what to do when it does not pass.

    ``age_ms``: how old the evidence is; 0: looked at just now, None: there is none. ``override``: the reason for which
    an operator let it pass.
    """

    name: str
    passes: bool
    value: str
    limit: str
    hint: str
    age_ms: int | None = 0
    override: str = ""

    def document(self) -> dict[str, Any]:
        """Return it as plain data (docs/reference/status.md)."""
        return {**asdict(self), "overridable": self.name in OVERRIDABLE}


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator's house demands. Wall times in ms since 1970, 0: no such time; ages in ms.

    ``account``: there is one around the tables, so that backups can exist and triggers can be asked for.
    ``backups``: demanded or not; None: where there is an account. ``triggers``: readers of the target's stream that
    shall act from the first write on.
    """

    opens_ms: int = 0
    closes_ms: int = 0
    account: bool = False
    backups: bool | None = None
    backup_age_ms: int = 7 * _DAY_MS
    triggers_age_ms: int = 15 * 60 * 1000
    triggers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Papers:
    """What stands in the ledger about all of that, as it was written; None: nothing.

    ``backups``: by source (`service.safekeeping`), ``proof`` (`service.planevidence`), ``triggers``
    (`service.triggers`), ``postponed`` (`ledger.controls`).
    """

    backups: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    proof: Mapping[str, Any] | None = None
    triggers: Mapping[str, Any] | None = None
    postponed: Mapping[str, Any] | None = None


def judgement_gates(papers: Papers, rules: Rules, now_ms: int) -> list[Gate]:
    """Return the gates about judgement; only a cutover has them, nothing keeps a way back waiting."""
    return [
        _window(rules, now_ms),
        _not_postponed(papers.postponed, now_ms),
        _plan_proved(papers.proof, now_ms),
        _backups(papers.backups, rules, now_ms),
        _triggers(papers.triggers, rules, now_ms),
    ]


def overridden(gates: Sequence[Gate], overrides: Mapping[str, str]) -> list[Gate]:
    """Return the gates, those that fail and were overridden passing, with the reason.

    Raises RefusedError for a gate that is not among them, may not be overridden, or an empty reason.
    """
    names = [gate.name for gate in gates]
    for name, reason in overrides.items():
        if name not in names:
            raise RefusedError(f"there is no gate {name} here", hint=f"there are: {', '.join(names)}")
        if name not in OVERRIDABLE:
            may = ", ".join(each for each in names if each in OVERRIDABLE) or "none"
            message = f"gate {name} keeps data safe and cannot be overridden, nothing was changed"
            raise RefusedError(message, hint=f"of these gates may be overridden: {may}")
        if not reason.strip():
            raise RefusedError(f"an override of {name} needs a reason", hint=f"--override {name}=REASON")
    return [
        replace(gate, passes=True, override=overrides[gate.name])
        if gate.name in overrides and not gate.passes
        else gate
        for gate in gates
    ]


def age_of(at_ms: int, now_ms: int) -> int | None:
    """Return how long ago something was; None for never (0), and for the future: a clock has jumped."""
    at_ms = credible(at_ms, now_ms)
    return max(0, now_ms - at_ms) if at_ms else None


def _window(rules: Rules, now_ms: int) -> Gate:
    opens, closes = rules.opens_ms, rules.closes_ms
    limit = " to ".join(_moment(each) for each in (opens, closes) if each) or "no window is set"
    if opens and now_ms < opens:
        value = f"opens in {span(opens - now_ms)}"
    elif closes and now_ms >= closes:
        value = f"closed {span(now_ms - closes)} ago"
    else:
        return Gate("window", passes=True, value="open", limit=limit, hint="nothing to do")
    hint = "wait, or change TABLETURN_WINDOW_OPENS and TABLETURN_WINDOW_CLOSES"
    return Gate("window", passes=False, value=value, limit=limit, hint=hint)


def _not_postponed(postponed: Mapping[str, Any] | None, now_ms: int) -> Gate:
    left = int(postponed["until_ms"]) - now_ms if postponed else 0
    hint = "wait, or `tableturn postpone --clear`"
    if postponed is None or left <= 0:
        return Gate("not-postponed", passes=True, value="no", limit="not postponed", hint=hint)
    value, age = f"for {span(left)}: {postponed['reason']}", age_of(int(postponed["at_ms"]), now_ms)
    return Gate("not-postponed", passes=False, value=value, limit="not postponed", hint=hint, age_ms=age)


def _plan_proved(proof: Mapping[str, Any] | None, now_ms: int) -> Gate:
    limit, hint = "pass or warn, or accepted with a reason", "`tableturn plan --report FILE --record` proves it now"
    if proof is None:
        return Gate("plan-proved", passes=False, value="never", limit=limit, hint=hint, age_ms=None)
    verdict, why, age = str(proof["verdict"]), str(proof["override"]), age_of(int(proof["proved_ms"]), now_ms)
    value = f"{verdict}, accepted: {why}" if why else verdict
    return Gate("plan-proved", verdict in {"pass", "warn"} or bool(why), value, limit, hint, age)


def _backups(backups: Mapping[str, Mapping[str, Any] | None], rules: Rules, now_ms: int) -> Gate:
    limit, hint = f"of every source ≤ {span(rules.backup_age_ms)}, recovery on", "run `tableturn backup`"
    if rules.backups is False or not (rules.backups or rules.account):
        why = "by TABLETURN_REQUIRE_BACKUPS" if rules.backups is False else "there is no account around the tables"
        return Gate("backups", passes=True, value=f"not demanded: {why}", limit=limit, hint=hint, age_ms=None)
    lacking = [f"{source}: {what}" for source, kept in backups.items() if (what := _lacks(kept, rules, now_ms))]
    ages = [age_of(int(kept["made_ms"]), now_ms) for kept in backups.values() if kept is not None]
    oldest = max((age for age in ages if age is not None), default=None)
    hint = "run `tableturn backup --enable-pitr`" if any("recovery" in each for each in lacking) else hint
    value = "; ".join(lacking) or f"{len(ages)} of {len(backups)}, recovery on"
    return Gate("backups", not lacking, value, limit, hint, oldest)


def _lacks(kept: Mapping[str, Any] | None, rules: Rules, now_ms: int) -> str:
    """Return what a source lacks, or nothing."""
    if kept is None:
        return "none"
    age = age_of(int(kept["made_ms"]), now_ms)
    lacks = [] if kept["available"] else ["not available yet"]
    if age is None or age > rules.backup_age_ms:
        lacks.append("dated in the future" if age is None else f"{span(age)} old")
    return ", ".join([*lacks, *([] if kept["pitr"] else ["recovery is off"])])


def _triggers(triggers: Mapping[str, Any] | None, rules: Rules, now_ms: int) -> Gate:
    limit = f"on the target's stream: {', '.join(sorted(rules.triggers)) or 'none'}"
    hint = "switch it off until the cutover is over, or name it in TABLETURN_TARGET_TRIGGERS if it shall act"
    if not rules.account:
        return Gate("triggers", passes=True, value="none seen: no account", limit=limit, hint=hint, age_ms=None)
    age = None if triggers is None else age_of(int(triggers["at_ms"]), now_ms)
    if triggers is None or age is None or age > rules.triggers_age_ms:
        value = "never looked at" if age is None else f"not looked at for {span(age)}"
        hint = "wait for the worker, which looks every few minutes; see its log"
        return Gate("triggers", passes=False, value=value, limit=limit, hint=hint, age_ms=age)
    firing = {side: list(triggers["firing"][side]) for side in ("source", "target")}
    trouble = list(triggers["trouble"])
    sides = (f"{side} fires {', '.join(names)}" for side, names in firing.items() if names)
    value = "; ".join([*trouble, *sides]) or "none"
    passes = not trouble and set(firing["target"]) <= rules.triggers
    return Gate("triggers", passes, value, limit, hint if not trouble else "see the value", age)


def _moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def span(milliseconds: int) -> str:
    """Return a duration as people say it."""
    if abs(milliseconds) >= FOREVER_MS // 2:
        return "ever"
    seconds = milliseconds // 1000
    if abs(seconds) < _TENTHS_BELOW_S:
        return f"{milliseconds / 1000:.1f} s"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if abs(seconds) >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
