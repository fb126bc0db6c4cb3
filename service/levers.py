"""Makes actuators of the switch file's entries, and opens what they work with (`service.switchfile`)."""

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from aws.alarms import ErrorAlarm
from aws.backups import Backups
from aws.calls import Calls, connect_calls
from aws.environments import LambdaEnvironment
from aws.parameters import StoreParameter
from aws.policies import TableFence
from aws.waiting import Waits
from cutover.actuators import Act, Actuator
from cutover.hooks import CommandHook, HttpHook, Request
from domain.clock import Clock
from domain.errors import FatalError
from domain.phases import Side
from dynamo.ports import Database
from ledger.book import Ledger
from mapping.plan import Plan
from service.purge import CachePurge
from service.safekeeping import FinalBackups, Keeping, open_backups, tables_of
from service.session import Session
from service.smoke import HealthCheck, QueryCheck
from service.switchfile import (
    Alarm,
    Command,
    FinalBackup,
    Health,
    Http,
    LambdaVariables,
    Purge,
    Queries,
    RequestFile,
    StoredParameter,
    SwitchFile,
    TablePolicy,
    read_switch_file,
)

Levers = Callable[[Ledger], tuple[Act, ...]]
"""Makes the actuators of a leader, whose ledger it is."""


@dataclass(frozen=True, slots=True)
class LeverPorts:
    """What actuators work with; ``calls`` is None behind an endpoint of DynamoDB alone, which has no account."""

    database: Database
    plan: Plan
    ledger: Ledger
    clock: Clock
    backups: Backups
    calls: Calls | None

    @property
    def account(self) -> Calls:
        """The account. Raises FatalError where there is none."""
        if self.calls is None:
            message = "the switch file has actuators in an AWS account, and there is none behind this endpoint"
            raise FatalError(message, hint="set TABLETURN_ACCOUNT_ENDPOINT_URL, or strike them from the file")
        return self.calls


@asynccontextmanager
async def levers_of(opened: Session) -> AsyncIterator[Levers]:
    """Open what the switch file names, for the length of the block; without a file nothing acts besides the flag.

    Raises FatalError naming everything that is wrong.
    """
    settings, plan = opened.settings, opened.plan
    if settings.switch_file is None:
        yield lambda _: ()
        return
    file = read_switch_file(settings.switch_file, plan=plan.name, variables=os.environ)
    async with AsyncExitStack() as stack:
        calls = None
        if settings.endpoint_url is None or settings.account_endpoint_url is not None:
            connected = connect_calls(region=settings.region, endpoint_url=settings.account_endpoint_url)
            calls = await stack.enter_async_context(connected)
        backups = await stack.enter_async_context(open_backups(settings))
        ports = LeverPorts(opened.database, plan, opened.ledger, opened.clock, backups, calls)
        acts(file, ports)  # what is wrong is told now, and not when this process comes to lead
        yield lambda ledger: acts(file, replace(ports, ledger=ledger))


def acts(file: SwitchFile, ports: LeverPorts) -> tuple[Act, ...]:
    """Return the file's actuators in its order; an entry for several things is one actuator for each."""
    return tuple(
        Act(f"{name}/{part}" if part else name, entry.when, actuator, lasting=entry.lasting)
        for name, entry in file.actuators.items()
        for part, actuator in _MAKERS[type(entry)](entry, ports).items()
    )


Parts = Mapping[str, Actuator]


def _variables(entry: LambdaVariables, ports: LeverPorts) -> Parts:
    return {
        function: LambdaEnvironment(
            ports.account, function, target=entry.target, source=entry.source, waits=Waits(entry.seconds)
        )
        for function in entry.functions
    }


def _parameter(entry: StoredParameter, ports: LeverPorts) -> Parts:
    stored = StoreParameter(ports.account, entry.parameter, target=entry.target, source=entry.source, kind=entry.type)
    return {"": stored}


def _policy(entry: TablePolicy, ports: LeverPorts) -> Parts:
    tables = {side: tuple(tables_of(ports.plan, side).values()) for side in Side}
    wall_ms, exempt = ports.clock.wall_ms, entry.exempt
    return {"": TableFence(ports.account, tables, wall_ms=wall_ms, exempt=exempt, lasts=entry.seconds)}


def _alarm(entry: Alarm, ports: LeverPorts) -> Parts:
    return {function: ErrorAlarm(ports.account, function, topic=entry.topic) for function in entry.functions}


def _backup(_entry: FinalBackup, ports: LeverPorts) -> Parts:
    return {"": FinalBackups(Keeping(ports.backups, ports.ledger, ports.clock), ports.plan)}


def _command(entry: Command, _ports: LeverPorts) -> Parts:
    words = {Side.TARGET: entry.target or (), Side.SOURCE: entry.source or ()}
    return {"": CommandHook(words, undo=entry.undo or (), seconds=entry.seconds)}


def _http(entry: Http, _ports: LeverPorts) -> Parts:
    given = {Side.TARGET: entry.target, Side.SOURCE: entry.source}
    requests = {side: _request(request) for side, request in given.items() if request}
    return {"": HttpHook(requests, undo=_request(entry.undo) if entry.undo else None, seconds=entry.seconds)}


def _request(file: RequestFile) -> Request:
    return Request(file.url, file.method, file.headers, file.body.encode(), tuple(file.statuses), file.holds.encode())


def _health(_entry: Health, ports: LeverPorts) -> Parts:
    return {"": HealthCheck(ports.database, ports.plan)}


def _queries(entry: Queries, ports: LeverPorts) -> Parts:
    return {"": QueryCheck(ports.database, ports.plan, samples=entry.samples)}


def _purge(entry: Purge, ports: LeverPorts) -> Parts:
    companions = {each.name: each for each in ports.plan.companions}
    unknown = [table for table in entry.tables if table not in companions]
    if unknown:
        message = f"{', '.join(unknown)}: only companions of the plan may be emptied"
        raise FatalError(message, hint=f"the plan has {', '.join(companions) or 'none'}")
    return {table: CachePurge(ports.database, companions[table]) for table in entry.tables}


_MAKERS: Final[Mapping[type, Callable[[Any, LeverPorts], Parts]]] = {
    LambdaVariables: _variables,
    StoredParameter: _parameter,
    TablePolicy: _policy,
    Alarm: _alarm,
    FinalBackup: _backup,
    Command: _command,
    Http: _http,
    Health: _health,
    Queries: _queries,
    Purge: _purge,
}
