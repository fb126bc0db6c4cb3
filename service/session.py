"""What every command opens first: settings, plan, database, and the ledger as the operator sees it."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aws.account import connect_account
from aws.ports import AccountPort
from domain.clock import Clock
from domain.errors import FatalError
from dynamo.aws import connect
from dynamo.observer import NO_OBSERVER, Observer
from dynamo.ports import Database
from dynamo.retries import RetryPolicy
from ledger.book import Ledger, operator_ledger
from mapping.plan import Plan, load_plan
from service.console import operator
from service.settings import Settings
from service.systemclock import SystemClock

_FIRST_ANSWER = 10.0
"""Seconds: a wrong endpoint is told after this long; once it has answered, the whole retry budget counts."""


@dataclass(frozen=True, slots=True)
class Session:
    """An open connection with everything a command needs."""

    settings: Settings
    plan: Plan
    database: Database
    ledger: Ledger
    clock: Clock

    async def check_ledger(self) -> None:
        """Raise FatalError unless the ledger stands and belongs to this plan."""
        if await self.database.describe_table(self.ledger.rows.table) is not None:
            await self.ledger.migration.check_plan(self.plan.name, self.plan.hash)
            return
        message = f"there is no ledger table {self.ledger.rows.table}"
        raise FatalError(message, hint="run `tableturn init` first, or check --ledger, prefix and region")


def ledger_name(settings: Settings, plan: Plan) -> str:
    """Return the ledger table's name: as set, else beside the target."""
    return settings.ledger or f"{plan.target.name}-tableturn"


@asynccontextmanager
async def session(settings: Settings, *, observer: Observer = NO_OBSERVER) -> AsyncIterator[Session]:
    """Load the plan and connect."""
    plan = load_plan(settings.plan_path(), variables=os.environ)
    retry = RetryPolicy(attempt_timeout_s=settings.request_seconds)
    async with connect(
        endpoint_url=settings.endpoint_url, region=settings.region, retry=retry, observer=observer
    ) as database:
        clock = SystemClock()
        await _first_answer(database, settings, ledger_name(settings, plan))
        ledger = operator_ledger(database, ledger_name(settings, plan), clock, who=operator())
        yield Session(settings, plan, database, ledger, clock)


@asynccontextmanager
async def account_around(settings: Settings) -> AsyncIterator[AccountPort | None]:
    """Open the account that the tables are in; None behind an endpoint of DynamoDB alone, which has no account."""
    if not settings.has_account:
        yield None
        return
    async with connect_account(region=settings.region, endpoint_url=settings.account_endpoint_url) as account:
        yield account


async def _first_answer(database: Database, settings: Settings, ledger: str) -> None:
    """Ask for anything at all. Raises FatalError, naming the endpoint, when nobody answers."""
    try:
        async with asyncio.timeout(_FIRST_ANSWER):
            await database.describe_table(ledger)
    except TimeoutError as error:
        message = f"{settings.endpoint_url or 'DynamoDB'} did not answer within {_FIRST_ANSWER:.0f} s"
        raise FatalError(message, hint="check TABLETURN_ENDPOINT_URL, AWS_REGION and the network") from error
