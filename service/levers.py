"""Makes actuators of the switch file's entries, and opens what they work with (`service.switchfile`)."""

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aws.calls import Calls, connect_calls
from aws.environments import LambdaEnvironment
from aws.parameters import StoreParameter
from aws.waiting import Waits
from cutover.actuators import Act, Actuator
from cutover.hooks import CommandHook, HttpHook, Request
from domain.errors import FatalError
from domain.phases import Side
from dynamo.ports import Database
from mapping.plan import Plan
from service.purge import CachePurge
from service.settings import Settings
from service.smoke import HealthCheck, QueryCheck
from service.switchfile import (
    Command,
    Health,
    Http,
    LambdaVariables,
    Purge,
    Queries,
    RequestFile,
    StoredParameter,
    SwitchFile,
    read_switch_file,
)


@dataclass(frozen=True, slots=True)
class LeverPorts:
    """What actuators work with; ``calls`` is None behind an endpoint of DynamoDB alone, which has no account."""

    database: Database
    plan: Plan
    calls: Calls | None

    @property
    def account(self) -> Calls:
        """The account. Raises FatalError where there is none."""
        if self.calls is None:
            message = "the switch file has actuators in an AWS account, and there is none behind this endpoint"
            raise FatalError(message, hint="set TABLETURN_ACCOUNT_ENDPOINT_URL, or strike them from the file")
        return self.calls


@asynccontextmanager
async def acts_of(settings: Settings, plan: Plan, database: Database) -> AsyncIterator[tuple[Act, ...]]:
    """Open what the switch file names, for the length of the block; nothing when there is no file.

    Raises FatalError naming everything that is wrong.
    """
    if settings.switch_file is None:
        yield ()
        return
    file = read_switch_file(settings.switch_file, plan=plan.name, variables=os.environ)
    async with AsyncExitStack() as stack:
        calls = None
        if settings.endpoint_url is None or settings.account_endpoint_url is not None:
            connected = connect_calls(region=settings.region, endpoint_url=settings.account_endpoint_url)
            calls = await stack.enter_async_context(connected)
        yield acts(file, LeverPorts(database, plan, calls))


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
    Command: _command,
    Http: _http,
    Health: _health,
    Queries: _queries,
    Purge: _purge,
}
