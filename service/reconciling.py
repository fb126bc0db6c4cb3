"""``tableturn reconcile``: a comparison with its options, in this process and read-only; a repair is the worker's."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from domain.errors import DataError, FatalError
from domain.phases import Side
from ledger.requests import RequestKind
from mapping.plan import Plan
from reconcile.ages import Ages
from reconcile.comparison import Kind, Mismatch, by_id, judge
from reconcile.evidence import evidence
from reconcile.generation import Comparison
from reconcile.intentions import EVERY_KIND, Intentions
from reconcile.manner import ComparePorts, CompareSettings, Manner, Scope
from reconcile.mending import intentions_now
from reconcile.rechecks import MOST_KEPT, READ_AT_ONCE, Pair, Rechecker
from service import asking
from service.documents import check_report
from service.reconcilereport import write_files
from service.session import Session

_BYTES_A_UNIT = 4096
"""A consistent read takes one unit for so much (AWS: read and write operations)."""


@dataclass(frozen=True, slots=True)
class CompareOptions:
    """What the operator asks of a comparison.

    ``against``: a table that stands in for the target, or for the legacy table of ``source``. ``kinds``: what is shown
    and mended; none: every kind. ``report`` None leaves no file. ``schedule``: seconds from one to the next.
    """

    source: str | None = None
    ids: tuple[str, ...] = ()
    sample: int | None = None
    against: str | None = None
    kinds: tuple[Kind, ...] = ()
    read_units: int | None = None
    repair: bool = False
    dry_run: bool = False
    report: Path | None = None
    schedule: float | None = None

    def check(self, plan: Plan) -> None:
        """Raise FatalError for what cannot be asked for, naming the way out."""
        check_report(self.report)
        if self.source is not None and self.source not in plan.sources:
            raise FatalError(f"the plan has no source {self.source}", hint=f"it has {', '.join(plan.sources)}")
        for source_id in self.ids:
            _check_id(plan, source_id)
        if self.source is not None and self.ids:
            raise FatalError("--id and --source exclude each other", hint="an id names its source")
        if sum((bool(self.ids), self.sample is not None, self.against is not None)) > 1:
            raise FatalError("--id, --sample-size and --against exclude each other", hint="ask for one at a time")
        if self.repair and not self.dry_run and (self.source or self.ids or self.sample or self.against):
            message = "the worker repairs whatever disagrees; a part cannot be asked for"
            raise FatalError(message, hint="use --kind, or --repair --dry-run for a look at a part")

    @property
    def scope(self) -> Scope:
        """Return what is compared."""
        return Scope(None if self.source is None else (self.source,), self.ids, self.sample)


async def compared(
    opened: Session, options: CompareOptions, told: Callable[[int], None] = lambda _: None
) -> dict[str, Any]:
    """Compare once, or have the worker mend and compare; return the document, written as a report if asked.

    ``told`` hears, before anything is read, about how many read units the scans will take.
    """
    if options.repair and not options.dry_run:
        kinds = [str(kind) for kind in options.kinds]
        document = await asking.ask(opened, RequestKind.VERIFY, {"repair": True, "kinds": kinds}, lambda _: None)
    else:
        document = await _compared_here(opened, options, told)
    if options.report is not None:
        write_files(document, _dated(options))
    return document


async def _expected_units(opened: Session, plan: Plan, options: CompareOptions) -> int:
    """Return what is told before: by the sizes that DynamoDB tells, which may be six hours old."""
    if options.ids or options.sample is not None:
        return len(options.ids) + (options.sample or 0)
    names = [plan.sources[name].definition.name for name in options.scope.sources or plan.sources]
    described = [await opened.database.describe_table(name) for name in (*names, plan.target.name)]
    return sum(-(-table.size_bytes // _BYTES_A_UNIT) for table in described if table is not None)


def _stood_in(plan: Plan, options: CompareOptions) -> Plan:
    """Return the plan with the table that stands in for another, such as one that was restored."""
    if options.against is None:
        return plan
    if options.source is None:
        return replace(plan, target=replace(plan.target, name=options.against))
    source = plan.sources[options.source]
    other = replace(source, definition=replace(source.definition, name=options.against))
    return replace(plan, sources={**plan.sources, options.source: other})


async def _compared_here(opened: Session, options: CompareOptions, told: Callable[[int], None]) -> dict[str, Any]:
    plan = _stood_in(opened.plan, options)
    await _check_table(opened, options)
    comparison = Comparison(ComparePorts(opened.database, plan, opened.clock, CompareSettings()))
    serving = (await opened.ledger.migration.state()).flag.serving
    expected = await _expected_units(opened, plan, options)
    told(expected)
    found = await comparison.generation(serving, _manner(options))
    ages = Ages(plan.masked)
    ages.remember(await opened.ledger.evidence.get(f"reconcile/{serving}") or {})
    aged = [each for each in ages.dated(found.mismatches, opened.clock.wall_ms()) if each.kind in _kinds(options)]
    scope = {name: value for name, value in asdict(options.scope).items() if value}
    if options.ids:
        scope["source_ids"] = tuple(plan.masked(source_id) for source_id in options.ids)
    document = {
        **evidence(found, aged, plan, shown=MOST_KEPT),
        "scope": {**scope, "against": options.against} if options.against else scope,
        "expected_read_units": expected,
        "at_ms": opened.clock.wall_ms(),
    }
    if options.repair:
        actions = await _intended(opened, plan, serving, comparison.rechecker, aged)
        document["repairs"] = dict(Counter(actions))
        for example, action in zip(document["examples"], actions, strict=True):
            example["repair"] = action
    return document


def _manner(options: CompareOptions) -> Manner:
    """A comparison with a report that was killed goes on when it is asked for again, as a proof does."""
    manner = Manner(CompareSettings().patience, scope=options.scope, read_units=options.read_units)
    if options.report is None or options.sample is not None:
        return manner
    lineage = f"{options.source} {options.ids} {options.against}"
    return replace(manner, worksheet=options.report.with_suffix(".worksheet"), lineage=lineage, insists=True)


async def _intended(
    opened: Session, plan: Plan, serving: Side, rechecker: Rechecker, aged: Sequence[Mismatch]
) -> list[str]:
    """Return what a repair would do about each mismatch, by what stands there now."""
    intentions = await intentions_now(plan, opened.ledger)
    wrong, pairs = by_id(aged), dict[str, Pair]()
    names = list(wrong)
    for start in range(0, len(names), READ_AT_ONCE):
        batch = {
            name: [each.key for each in wrong[name] if each.key.pk] for name in names[start : start + READ_AT_ONCE]
        }
        pairs |= {pair.source_id: pair for pair in (await rechecker.read(batch)).pairs}
    return [_action(intentions, rechecker, pairs[each.source_id], each, serving) for each in aged]


def _action(intentions: Intentions, rechecker: Rechecker, pair: Pair, mismatch: Mismatch, serving: Side) -> str:
    if serving is Side.TARGET:
        try:
            wanted = rechecker.returned(pair)
        except DataError:
            return "nothing: it has no way back"
        judged = judge(wanted, pair.image, pair.uncompared)
        return "nothing: it agrees by now" if judged is None else "delete" if wanted is None else "put"
    expected, standing = pair.expected.get(mismatch.key), pair.standing.get(mismatch.key)
    if mismatch.key not in pair.standing or judge(expected, standing, pair.uncompared) is None:
        return "nothing: it agrees by now, or waits for a change of the item, or of the plan"
    if intentions.of(pair, mismatch.key) is None:
        return "nothing: what stands there was not written by tableturn"
    return "put" if mismatch.key in pair.expected else "tombstone"


def _kinds(options: CompareOptions) -> frozenset[Kind]:
    return frozenset(options.kinds) or EVERY_KIND


def _dated(options: CompareOptions) -> Path:
    """Return the report's file: each of a schedule has one of its own."""
    report = options.report or Path()
    if options.schedule is None:
        return report
    return report.with_stem(f"{report.stem}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")


def _check_id(plan: Plan, source_id: str) -> None:
    try:
        key = plan.source_key(source_id)[1]
    except (FatalError, ValueError):
        key = {}
    if not key or not all(value for attribute in key.values() for value in attribute.values()):
        message = "--id: one of the ids is no id of the plan's items"
        raise FatalError(message, hint="SOURCE/KEY, such as users/3f2a or config/NAME")


async def _check_table(opened: Session, options: CompareOptions) -> None:
    if options.against is None:
        return
    described = await opened.database.describe_table(options.against)
    if described is None:
        raise FatalError(f"there is no table {options.against}", hint="name a restored table of this Region")
    plan = opened.plan
    stands_for = plan.target if options.source is None else plan.sources[options.source].definition
    if described.key != stands_for.key:
        message = f"{options.against} has other keys than {stands_for.name}, for which it is to stand in"
        raise FatalError(message, hint="for a legacy table say --source as well")
