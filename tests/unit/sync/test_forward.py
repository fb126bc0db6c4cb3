"""The forward direction by itself: what each record counts as, and which quarantine it makes or clears (§2, §3, §9)."""

from dataclasses import replace

import pytest

from domain.changes import Change
from domain.errors import DataError
from domain.items import Item, TargetKey, digest, number, text
from domain.outcomes import Reason
from ledger.echoes import GONE, Echo
from ledger.findings import Lane
from tests.examples import ADA, BOB, audit, changed
from tests.seams import puts_to
from tests.unit.sync.stage import Stage, stage, version

pytestmark = pytest.mark.looptime

LATER: Item = changed(ADA, lastLogin=number(5))
HUGE: Item = changed(ADA, notes=text("x" * 409_300))
"""It cannot be translated: the target item would be too large."""


def counted(source: str, **outcomes: int) -> dict[tuple[str, str, str], int]:
    return {(source, "forward", outcome): count for outcome, count in outcomes.items()}


async def awaits(at: Stage, *contents: str) -> None:
    """Let the reverse have written these contents of Ada, whose echoes are still to come."""
    row = Echo("users/ada", version(1), contents[-1], contents)
    await at.crew.database.transact([at.crew.ledger.echoes.action(row)], guard=at.crew.guard)


async def awaited(at: Stage) -> tuple[str, ...]:
    return (await at.crew.ledger.echoes.get("users/ada")).awaited


async def test_applied_and_superseded_are_counted_apart() -> None:
    at = await stage("users")
    handler = await at.forward()
    await handler.take([at.record("users", ADA, 5), at.record("users", BOB, 6)], "shard")
    await handler.take([at.record("users", LATER, 5)], "shard")
    assert at.counts == counted("users", applied=2, superseded=1)
    assert (await at.world.get_target("USER#ada", "METADATA"))["lastLogin"] == {"NULL": True}


async def test_a_record_that_neither_puts_nor_buries_anything_is_applied() -> None:
    """An item that came and went within one batch, and never could be translated."""
    at = await stage("users")
    keys = at.record("users", HUGE, 5).keys
    await (await at.forward()).take([Change(keys, None, HUGE, 5, 0), Change(keys, HUGE, None, 6, 0)], "shard")
    assert await at.world.standing() == {}
    assert at.counts == counted("users", applied=1)


@pytest.mark.parametrize("blocked", [TargetKey("AUDIT#a1", "METADATA"), TargetKey("USER#ada", "AUDIT#a1")])
async def test_one_key_that_is_taken_quarantines_the_item_whatever_became_of_the_others(blocked: TargetKey) -> None:
    """Its other key is superseded, which by itself is nothing to speak of."""
    at = await stage("audit")
    handler = await at.forward("audit")
    await handler.take([at.record("audit", audit("a1"), 9)], "shard")
    await at.world.put_target({"PK": text(blocked.pk), "SK": text(blocked.sk), "whose": text("theirs")})
    await handler.take([at.record("audit", audit("a1"), 5)], "shard")
    entry = (await at.quarantined(Lane.FORWARD, "audit"))["audit/a1"]
    assert (entry.version, entry.reason) == (version(5), Reason.FOREIGN)
    assert at.counts == counted("audit", applied=1, foreign=1, quarantined=1)


async def test_what_cannot_be_translated_is_quarantined_with_the_reason_and_the_keys_that_stand() -> None:
    at = await stage("users")
    await (await at.forward(epoch=2)).take([at.record("users", HUGE, 5, old=ADA)], "shard")
    entry = (await at.quarantined(Lane.FORWARD))["users/ada"]
    assert (entry.version, entry.reason) == (version(5, epoch=2), Reason.UNTRANSLATABLE)
    assert entry.keys == (TargetKey("USER#ada", "METADATA"),)
    assert "DynamoDB allows" in entry.detail
    assert at.counts == counted("users", quarantined=1)


async def test_an_item_that_dynamodb_refuses_is_quarantined_with_what_it_said() -> None:
    at = await stage("users")
    at.crew.database.fail(puts_to(at.world.plan.target.name), DataError("too large for an index"))
    await (await at.forward()).take([at.record("users", LATER, 5, old=ADA)], "shard")
    entry = (await at.quarantined(Lane.FORWARD))["users/ada"]
    assert (entry.reason, entry.detail) == (Reason.REFUSED, "too large for an index")
    assert entry.keys == (TargetKey("USER#ada", "METADATA"),)


async def test_a_mend_clears_the_quarantine_and_an_older_change_does_not() -> None:
    at = await stage("users")
    handler = await at.forward()
    await handler.take([at.record("users", HUGE, 9)], "shard")
    await handler.take([at.record("users", ADA, 5)], "shard")
    assert set(await at.quarantined(Lane.FORWARD)) == {"users/ada"}
    await handler.take([at.record("users", LATER, 10)], "shard")
    assert await at.quarantined(Lane.FORWARD) == {}


async def test_each_echo_is_awaited_once_and_struck_only_afterwards() -> None:
    at = await stage("users")
    await awaits(at, digest(ADA), GONE, digest(ADA))
    ada = at.record("users", ADA, 5)
    afterwards = await (await at.forward()).tail([ada, replace(ada, new=None, old=ADA), replace(ada, sequence=7)])
    assert await at.world.ledger.quarantine.everything() == []
    assert len(await awaited(at)) == 3
    assert at.counts == counted("users", echoed=3)
    assert afterwards is not None
    await afterwards()
    assert await awaited(at) == ()


async def test_content_that_was_written_once_is_an_echo_once() -> None:
    """The same content again is somebody's own write: a stray, in its own lane, which no later change clears."""
    at = await stage("users")
    await awaits(at, digest(ADA))
    handler = await at.forward(epoch=2)
    await handler.tail([at.record("users", ADA, 5), at.record("users", ADA, 6)])
    assert at.counts == counted("users", echoed=1, stray=1)
    assert await at.quarantined(Lane.FORWARD) == {}
    entry = (await at.quarantined(Lane.STRAY))["users/ada"]
    assert (entry.version, entry.reason) == (version(6, epoch=2), Reason.STRAY)
    assert "ignored the flag" in entry.detail
    await handler.take([at.record("users", LATER, 7)], "shard")
    assert set(await at.quarantined(Lane.STRAY)) == {"users/ada"}


async def test_a_deletion_by_time_to_live_is_no_stray() -> None:
    at = await stage("users")
    gone = replace(at.record("users", ADA, 5), new=None, old=ADA)
    await (await at.forward()).tail([replace(gone, by_ttl=True)])
    assert await at.world.ledger.quarantine.everything() == []
    await (await at.forward()).tail([gone])
    assert set(await at.quarantined(Lane.STRAY)) == {"users/ada"}
