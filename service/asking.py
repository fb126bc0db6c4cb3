"""Asks the worker, through the ledger, for what only the leader may do: cut over, roll back, complete, repair."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from cutover.facts import gather
from cutover.gates import Facts, Gate, Limits, completion_gates, cutover_gates, recapture_gates, rollback_gates
from cutover.judgement import overridden
from domain.errors import ConditionFailed, RefusedError
from ledger.requests import Request, RequestKind, RequestState
from service.session import Session
from service.triggers import look_for_asker

_POLL = 0.2
_UNTAKEN = 30.0
"""Seconds after which a request that no worker has taken is withdrawn."""

_GATES: dict[RequestKind, Callable[[Facts, Limits], list[Gate]]] = {
    RequestKind.CUTOVER: cutover_gates,
    RequestKind.ROLLBACK: rollback_gates,
    RequestKind.COMPLETE: completion_gates,
    RequestKind.RECAPTURE: lambda facts, _: recapture_gates(facts),
}


async def gates_of(
    session: Session, kind: RequestKind, overrides: Mapping[str, str] | None = None
) -> tuple[Facts, list[Gate]]:
    """Gather facts, reading only, and evaluate the gates of a request over them; return both.

    Who acts on the streams is asked of the account before a cutover. ``overrides``: reasons by gate. Raises
    RefusedError for one that may not be overridden.
    """
    if kind is RequestKind.CUTOVER:
        await look_for_asker(session)
    facts = await gather(session.ledger, session.database, session.plan, session.clock)
    return facts, overridden(_GATES[kind](facts, session.settings.limits()), overrides or {})


async def ask(
    session: Session, kind: RequestKind, facts: dict[str, Any], told: Callable[[Request], None]
) -> dict[str, Any]:
    """Ask and wait for the answer; ``told`` hears of every step. Raises RefusedError when it was refused.

    A gate that does not pass refuses before anything but the history is written; a request that nobody takes is
    withdrawn.
    """
    if kind in _GATES:
        _, found = await gates_of(session, kind, facts.get("overrides"))
        refusals = [gate for gate in found if not gate.passes]
        if refusals:
            await session.ledger.history.add("refused", what=kind, gates=as_documents(refusals))
            listed = "; ".join(f"{gate.name} is {gate.value}, wanted {gate.limit}" for gate in refusals)
            message = f"{kind} refused by its gates, nothing was changed: {listed}"
            raise RefusedError(message, hint=refusals[0].hint)
    await _check_leader(session)
    request = await session.ledger.requests.ask(kind, **facts)
    began = session.clock.monotonic()
    while not request.over:
        await asyncio.sleep(_POLL)
        request = await session.ledger.requests.get(request)
        told(request)
        if request.state is RequestState.OPEN and session.clock.monotonic() - began > _UNTAKEN:
            await _withdraw(session, request)
    if request.state is RequestState.REFUSED:
        gates = request.answer.get("gates") or [{}]
        message = f"{kind} {request.answer.get('why', 'refused')}"
        raise RefusedError(message, hint=str(gates[0].get("hint", "")))
    return request.answer


async def _check_leader(session: Session) -> None:
    """Refuse at once when the last worker gave its lease back: nobody would take the request."""
    lease = await session.ledger.rows.get("leases", "leader")
    if lease is None or not lease.fields["owner"]:
        message = "no worker runs that could do it, nothing was changed"
        raise RefusedError(message, hint="start `tableturn run`")


async def _withdraw(session: Session, request: Request) -> None:
    try:
        await session.ledger.requests.answer(request, done=False, why="withdrawn: no worker took it")
    except ConditionFailed:
        return  # taken at the last moment: go on waiting
    message = f"no worker took the request within {_UNTAKEN:.0f} s; it was withdrawn, nothing was changed"
    raise RefusedError(message, hint="start `tableturn run`")


def as_documents(gates: list[Gate]) -> list[dict[str, Any]]:
    """Return gates ready for JSON or a table."""
    return [gate.document() for gate in gates]
