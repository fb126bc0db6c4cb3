"""``tableturn recapture``: ask the worker to begin a new epoch of a stream after a gap (protocol §5)."""

from typing import Any

from domain.errors import RefusedError
from domain.tables import ViewType
from ledger.requests import RequestKind
from ledger.streams import StreamRow
from service import asking
from service.console import OUT, Exit, as_json
from service.session import Session, session
from service.settings import Settings


async def recapture_streams(
    settings: Settings, name: str | None, facts: dict[str, Any], *, enable_stream: bool, json: bool
) -> Exit:
    """Capture one stream anew, or every one that has lost something; ``facts``: who asks, and why."""
    async with session(settings) as opened:
        await opened.check_ledger()
        answers = []
        for stream in await _chosen(opened, name):
            if enable_stream and stream.gap:
                await opened.database.enable_stream(stream.table, ViewType.NEW_AND_OLD_IMAGES)
            asked = {"stream": stream.name, "epoch": stream.epoch, **facts}
            answers.append(await asking.ask(opened, RequestKind.RECAPTURE, asked, lambda _: None))
    if json:
        as_json(answers)
        return Exit.DONE
    for answer in answers:
        OUT.print(f"✓ {answer['stream']} is captured anew (epoch {answer['epoch']}); the phase is {answer['why']}")
    return Exit.DONE


async def _chosen(opened: Session, name: str | None) -> list[StreamRow]:
    if name is not None:
        return [await opened.ledger.streams.get(name)]
    lost = [stream for stream in await opened.ledger.streams.all() if stream.gap]
    if not lost:
        message = "no stream has lost anything, nothing was changed"
        raise RefusedError(
            message, hint="see `tableturn status`; where both sides differ, `tableturn reconcile --repair`"
        )
    return lost
