"""Who else is there: permissions, readers of the streams, functions that write the sources, stacks that own the tables.

Everything is asked by reading and by simulation of policies; what may not be asked is said, and the rest goes on.
Serves the seed's prerequisites and its list of functions, which forgets one. Next: `aws.ports` for the questions.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from aws.ports import AccountPort, Function, StackResource, StreamReader
from domain.errors import TableturnError
from domain.tables import TableDefinition, ViewType
from dynamo.ports import TableDescription
from mapping.plan import Plan
from proof.permissions import LOOK_AROUND, Place, policy
from proof.secrets import hide

Seen = TypeVar("Seen")

_WRITES = ("BatchWriteItem", "DeleteItem", "PutItem", "UpdateItem")
_READERS_A_SHARD = 2
"""Source: AWS, "DynamoDB Streams and AWS Lambda triggers": more readers of a shard are throttled."""

_SOME_LABEL = "/stream/2026-01-01T00:00:00.000"
"""Stands for the label of a stream that is not on yet."""


@dataclass(frozen=True, slots=True)
class Writer:
    """A function that writes sources, by what tells: variables that name them, tables that its role lets it write."""

    function: str
    variables: tuple[str, ...]
    may_write: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"function": self.function, "variables": list(self.variables), "may_write": list(self.may_write)}


@dataclass(slots=True)
class Neighbours:
    """What was found; ``asked`` is false where there is no account to ask, behind an emulator's endpoint.

    ``template_changes``: what the stacks' templates should say, in YAML, so that no deploy undoes what we need.
    """

    asked: bool = False
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    writers: list[Writer] = field(default_factory=list)
    template_changes: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Return what the report shows beside problems and warnings."""
        writers = [writer.document() for writer in self.writers]
        return {"asked": self.asked, "writers": writers, "template_changes": self.template_changes}


class Lookout:
    """One look around: `look`."""

    def __init__(self, account: AccountPort, plan: Plan, tables: Mapping[str, TableDescription | None]) -> None:
        """``tables``: every table that the plan names, by real name, as DescribeTable says it."""
        self._account = account
        self._plan = plan
        self._tables = tables
        self._sources = [source.definition.name for source in plan.sources.values()]
        self._found = Neighbours(asked=True)

    async def look(self, ledger: str, principal: str | None) -> Neighbours:
        """Look at everything once. ``principal``: whose permissions are simulated; None: those of whoever asks."""
        caller = await self._seen("who is asking", self._account.caller)
        if caller is not None:
            place = Place(caller.region, caller.account, caller.partition)
            await self._permissions(principal or caller.principal, ledger, place)
            await self._writers(place)
            await self._stacks(place)
        await self._streams()
        await self._recovery()
        return self._found

    async def _seen(self, what: str, question: Callable[[], Awaitable[Seen]]) -> Seen | None:
        """Return the answer; None when there is none, which is said."""
        try:
            return await question()
        except TableturnError as error:
            self._found.warnings.append(f"account: could not see {what}: {error}")
            return None

    # ---- may we -----------------------------------------------------------------------------------------------------

    async def _permissions(self, principal: str | None, ledger: str, place: Place) -> None:
        if principal is None:
            self._found.warnings.append(
                "account: asked as root, whose permissions cannot be simulated; name --principal"
            )
            return
        statements = [each for each in policy(self._plan, ledger, place)["Statement"] if each["Sid"] != LOOK_AROUND]
        denied = await self._seen("what we may", partial(self._denied, principal, statements, place))
        who = hide(principal.rpartition("/")[2]) or principal
        for (statement, resource), actions in (denied or {}).items():
            said = ", ".join(sorted(actions))
            self._found.problems.append(f"account: {who} may not {said} on {resource} (statement {statement})")

    async def _denied(
        self, principal: str, statements: list[dict[str, Any]], place: Place
    ) -> dict[tuple[str, str], list[str]]:
        """Return the actions that are not allowed, by statement and resource."""
        found: dict[tuple[str, str], list[str]] = {}
        for statement in statements:
            resources = [each for pattern in statement["Resource"] for each in self._concrete(pattern, place)]
            allowed = await self._account.allowed(principal, statement["Action"], resources)
            for resource in resources:
                if lacking := [each for each in statement["Action"] if (each, resource) not in allowed]:
                    found[statement["Sid"], resource.partition(":table/")[2]] = lacking
        return found

    def _concrete(self, pattern: str, place: Place) -> list[str]:
        """Return what a pattern of our policy stands for: a policy that names just these is enough as well."""
        table = pattern.partition(":table/")[2].partition("/")[0]
        described = self._tables.get(table)
        if pattern.endswith("/index/*"):
            return [place.table(table, f"/index/{index.name}") for index in self._definition(table).indexes]
        if pattern.endswith("/stream/*"):
            on = described is not None and described.stream_arn
            return [on or place.table(table, _SOME_LABEL)]
        return [pattern]

    def _definition(self, table: str) -> TableDefinition:
        definitions = [source.definition for source in self._plan.sources.values()]
        return next(each for each in [*definitions, self._plan.target] if each.name == table)

    # ---- who writes -------------------------------------------------------------------------------------------------

    async def _writers(self, place: Place) -> None:
        functions = await self._seen("the functions", self._account.functions)
        if functions is None:
            return
        by_role = {role: await self._may_write(role, place) for role in sorted({each.role for each in functions})}
        for function in functions:
            may_write = by_role[function.role]
            writer = Writer(function.name, self._naming(function), may_write or ())
            if writer.variables or writer.may_write:
                self._found.writers.append(writer)
            if function.name not in self._plan.applications and (may_write or (may_write is None and writer.variables)):
                tables = ", ".join(writer.may_write) or "the sources"
                self._found.warnings.append(
                    f"function {function.name} may write {tables} and is not among the plan's `applications`: "
                    "see that it obeys the flag, then name it there"
                )
        standing = {function.name for function in functions}
        self._found.warnings += [
            f"applications: there is no function {name} in {place.region}"
            for name in self._plan.applications
            if name not in standing
        ]

    async def _may_write(self, role: str, place: Place) -> tuple[str, ...] | None:
        """Return the sources that a role may write; None when that cannot be seen."""
        actions = [f"dynamodb:{action}" for action in _WRITES]
        arns = {place.table(name): name for name in self._sources}
        allowed = await self._seen(
            f"what role {role.rpartition('/')[2]} may", partial(self._account.allowed, role, actions, list(arns))
        )
        return None if allowed is None else tuple(sorted({arns[resource] for _, resource in allowed}))

    def _naming(self, function: Function) -> tuple[str, ...]:
        """Return the variables of a function whose value names a source, or begins the name of every one."""
        prefixes = {name[: len(name) - len(short)].rstrip("-_.") for short, name in self._by_short_name()}
        wanted = {*self._sources, *(prefix for prefix in prefixes if prefix)}
        return tuple(sorted(name for name, value in function.variables.items() if value in wanted))

    def _by_short_name(self) -> list[tuple[str, str]]:
        named = [(name, source.definition.name) for name, source in self._plan.sources.items()]
        return [(short, name) for short, name in named if name.endswith(short)]

    # ---- who reads --------------------------------------------------------------------------------------------------

    async def _streams(self) -> None:
        for name in (*self._sources, self._plan.target.name):
            described = self._tables[name]
            arn = described.stream_arn if described is not None else None
            if arn is None:
                continue
            readers = await self._seen(f"who reads the stream of {name}", partial(self._account.stream_readers, arn))
            self._found.warnings += _of_readers(name, readers or [], is_target=name == self._plan.target.name)

    # ---- who deploys ------------------------------------------------------------------------------------------------

    async def _stacks(self, place: Place) -> None:
        followed = {*self._sources, self._plan.target.name}
        for name, described in self._tables.items():
            if described is None:
                continue
            resource = await self._seen(
                f"the stack of {name}", partial(self._account.stack_resource, place.table(name))
            )
            changes = _changes(resource, described, followed=name in followed) if resource is not None else []
            if resource is not None and changes:
                where = f"{resource.logical_id} of stack {resource.stack}"
                what = " and ".join(part for part, _ in changes)
                self._found.warnings.append(
                    f"the next deploy of {where} may undo {what} of {name}: see the change below"
                )
                lines = "".join(f"    {line}\n" for _, lines in changes for line in lines)
                self._found.template_changes.append(
                    f"# {where}, table {name}\n{resource.logical_id}:\n  Properties:\n{lines}"
                )

    async def _recovery(self) -> None:
        wanted = [*self._sources]
        wanted += [each.name for each in (self._plan.target, *self._plan.companions) if each.point_in_time_recovery]
        for name in wanted:
            if self._tables[name] is None:
                continue
            if await self._seen(f"the recovery of {name}", partial(self._account.recovers, name)) is False:
                self._found.warnings.append(
                    f"{name} has no point-in-time recovery: switch it on, so that a mistake of any writer can be undone"
                )


def _of_readers(table: str, readers: list[StreamReader], *, is_target: bool) -> list[str]:
    """Return what to know of those who act on a stream's records."""
    awake = [reader.name for reader in readers if reader.enabled]
    advice = (
        "the copy would fire it for every item; switch it off until the cutover"
        if is_target
        else "what we write back after the cutover fires it as well; hold it, or see that it can bear that"
    )
    found = [f"{name} is fired by each write to {table}: {advice}" for name in awake]
    if len(awake) >= _READERS_A_SHARD:
        found.append(
            f"the stream of {table} is read by {', '.join(awake)}: with us more than the {_READERS_A_SHARD} readers "
            "that a shard serves, so all of them will be throttled; join some of them"
        )
    return found


def _changes(resource: StackResource, table: TableDescription, *, followed: bool) -> list[tuple[str, list[str]]]:
    """Return what the template lacks of what stands or will stand: its name, and the lines to add."""
    properties, found = resource.properties, []
    if followed and _of(properties, "StreamSpecification").get("StreamViewType") != ViewType.NEW_AND_OLD_IMAGES:
        found.append(("the stream", ["StreamSpecification:", f"  StreamViewType: {ViewType.NEW_AND_OLD_IMAGES}"]))
    lifetime = _of(properties, "TimeToLiveSpecification")
    if table.ttl_attribute and lifetime.get("AttributeName") != table.ttl_attribute:
        lines = ["TimeToLiveSpecification:", f"  AttributeName: {table.ttl_attribute}", "  Enabled: true"]
        found.append(("time to live", lines))
    return found


def _of(properties: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = properties.get(name)
    return value if isinstance(value, Mapping) else {}
