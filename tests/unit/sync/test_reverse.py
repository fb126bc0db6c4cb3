"""The reverse by itself: versions stand in the ledger, newer wins, what cannot go back is kept apart (protocol §9)."""

from dataclasses import replace

import pytest

from domain.errors import ConditionFailed, DataError, TransientError
from domain.items import AttributeValue, Item, digest, number, text
from domain.outcomes import Reason
from ledger.echoes import GONE
from ledger.findings import Lane
from tests.examples import ADA, BOB, CYD, audit, changed, contractor
from tests.seams import transacts
from tests.unit.sync.stage import Stage, stage, version
from tests.world import readable

pytestmark = pytest.mark.looptime

LATER: Item = changed(ADA, lastLogin=number(5))
HUGE = text("x" * 409_600)


def applied(source: str, count: int, outcome: str = "applied") -> dict[tuple[str, str, str], int]:
    return {(source, "reverse", outcome): count}


async def ada_stands(at: Stage) -> Item:
    return (await at.legacy())["users/ada"]


async def test_the_last_image_of_each_id_goes_back_with_its_version_and_is_awaited_as_an_echo() -> None:
    at = await stage("users")
    records = [at.target_record("users", item, sequence) for sequence, item in enumerate((ADA, BOB, LATER), start=5)]
    await (await at.reverse(epoch=2)).take(records, "shard")
    assert await at.legacy() == {"users/ada": readable(LATER), "users/bob": readable(BOB)}
    echo = await at.crew.ledger.echoes.get("users/ada")
    assert (echo.version, echo.content, echo.awaited) == (version(7, epoch=2), digest(LATER), (digest(LATER),))
    assert at.counts == applied("users", 2)


async def test_what_is_as_new_or_newer_stays_and_is_counted_as_superseded() -> None:
    at = await stage("users")
    handler = await at.reverse()
    await handler.take([at.target_record("users", LATER, 7)], "shard")
    for sequence in (5, 7):
        await handler.take([at.target_record("users", ADA, sequence)], "shard")
        assert await ada_stands(at) == readable(LATER)
    assert (await at.crew.ledger.echoes.get("users/ada")).version == version(7)
    assert at.counts == applied("users", 1) | applied("users", 2, "superseded")


async def test_an_item_that_stands_there_already_gets_its_version_and_no_echo_is_awaited() -> None:
    """DynamoDB writes no record of a put that changes nothing: an echo would be awaited for ever."""
    at = await stage("users")
    await at.world.put("users", ADA)
    await (await at.reverse()).take([at.target_record("users", ADA, 5)], "shard")
    echo = await at.crew.ledger.echoes.get("users/ada")
    assert (echo.version, echo.content, echo.awaited) == (version(5), digest(ADA), ())


async def test_a_deletion_goes_back_and_is_awaited_too() -> None:
    at = await stage("users")
    await at.world.put("users", ADA, BOB)
    gone = at.target_record("users", ADA, 5)
    await (await at.reverse()).take([replace(gone, old=gone.new, new=None)], "shard")
    assert set(await at.legacy()) == {"users/bob"}
    echo = await at.crew.ledger.echoes.get("users/ada")
    assert (echo.version, echo.content, echo.awaited) == (version(5), GONE, (GONE,))


async def test_items_that_are_not_primary_or_nobodys_are_passed() -> None:
    at = await stage("audit")
    plan = at.world.plan
    beside = plan.translate("audit", audit("a1")).items
    others = [item for key, item in beside.items() if key.sk != "METADATA"]
    others.append({"PK": text("THEIRS#1"), "SK": text("OWN")})
    records = [replace(at.target_record("audit", audit("a1"), 5), keys=plan.target.key_of(o), new=o) for o in others]
    await (await at.reverse()).take(records, "shard")
    assert await at.legacy() == {}
    assert at.counts == applied("target", 2, "passed")


async def test_records_outside_the_spans_are_counted_and_nothing_else() -> None:
    at = await stage("users")
    handler = await at.reverse()
    for count in (2, 1):
        assert await handler.tail([at.target_record("users", ADA, 5)] * count) is None
    assert await at.legacy() == {}
    assert at.counts == applied("target", 3, "tailed")


async def irreversible(at: Stage, sequence: int) -> None:
    """A new application's item that no legacy table can hold: it is too large."""
    record = at.target_record("users", ADA, sequence, notes=HUGE)
    await (await at.reverse()).take([record], "shard")


async def test_what_cannot_go_back_is_quarantined_in_its_own_lane_until_it_can() -> None:
    at = await stage("users")
    await irreversible(at, 5)
    assert await at.quarantined(Lane.FORWARD) == {}
    entry = (await at.quarantined(Lane.REVERSE))["users/ada"]
    assert (entry.version, entry.reason) == (version(5), Reason.IRREVERSIBLE)
    assert "DynamoDB allows" in entry.detail
    assert at.counts == applied("users", 1, "quarantined")
    await (await at.reverse()).take([at.target_record("users", ADA, 6)], "shard")
    assert await at.quarantined(Lane.REVERSE) == {}
    assert await ada_stands(at) == readable(ADA)


async def test_an_older_change_clears_no_newer_quarantine() -> None:
    """Delivered again after a crash: what stands in quarantine is still what was written last."""
    at = await stage("users")
    await irreversible(at, 9)
    await (await at.reverse()).take([at.target_record("users", ADA, 5)], "shard")
    assert set(await at.quarantined(Lane.REVERSE)) == {"users/ada"}


async def test_each_record_is_counted_by_what_becomes_of_it() -> None:
    """Those folded away in a batch as well, so that the borders of batches do not matter."""
    at = await stage("users", "audit")
    target = at.world.plan.target
    standing, bob = (at.target_record("users", each, 4).new for each in (ADA, BOB))
    dark = replace(at.target_record("users", ADA, 5, theme=text("dark")), old=standing)
    aside = [item for key, item in at.world.plan.translate("audit", audit("a1")).items.items() if key.sk != "METADATA"]
    theirs: Item = {"PK": text("THEIRS#1"), "SK": text("OWN")}
    tally = await (await at.reverse()).take(
        [
            dark,
            replace(at.target_record("users", LATER, 6, theme=text("dark")), old=dark.new),
            replace(at.target_record("users", BOB, 7, status=text("SUSPENDED"), theme=text("dark")), old=bob),
            at.target_record("users", changed(BOB, id=text("eve")), 7, name=text("Eve")),
            replace(at.target_record("users", CYD, 8), new=None),
            *(replace(dark, keys=target.key_of(item), new=item) for item in (*aside, theirs)),
        ],
        "shard",
    )
    assert tally.fates == {"carried": 2, "held": 2, "overruled": 1, "beside": 1, "unmapped": 1}
    assert (tally.own, tally.derived, tally.overruled) == ({"theme": 2}, {"status": 1}, {"name": 1})
    assert (tally.bake, tally.causes) == (0, {})


async def test_what_cannot_go_back_is_counted_by_its_cause() -> None:
    at = await stage("users")
    handler = await at.reverse()
    deep: AttributeValue = {"S": "end"}
    for _ in range(32):
        deep = {"L": [deep]}
    records = [at.target_record("users", ADA, 5, notes=HUGE), at.target_record("users", BOB, 6, notes=deep)]
    assert (await handler.take(records, "shard")).causes == {"too-large": 1, "no-way-back": 1}
    at.crew.database.fail(transacts("echoes/"), DataError("an index of the legacy table refuses it"))
    refused = await handler.take([at.target_record("users", CYD, 7)], "shard")
    assert (refused.fates, refused.causes) == ({"stuck": 1}, {"refused": 1})
    assert set(await at.quarantined(Lane.REVERSE)) == {"users/ada", "users/bob", "users/cyd"}


async def test_one_batch_clears_the_quarantine_of_several_sources() -> None:
    at = await stage("users", "contractors")
    kim = contractor("kim", ttl=1_895_438_000)
    await irreversible(at, 5)
    broken = at.target_record("contractors", kim, 5, notes=HUGE)
    await (await at.reverse()).take([broken], "shard")
    assert set(await at.quarantined(Lane.REVERSE, "contractors")) == {"contractors/kim"}
    mended = [at.target_record("contractors", kim, 6), at.target_record("users", ADA, 6)]
    await (await at.reverse()).take(mended, "shard")
    assert await at.quarantined(Lane.REVERSE, "contractors") == await at.quarantined(Lane.REVERSE) == {}


@pytest.mark.parametrize("refusals", [1, 19])
async def test_a_version_row_that_somebody_else_wrote_is_read_again(refusals: int) -> None:
    at = await stage("users")
    for _ in range(refusals):
        at.crew.database.fail(transacts("echoes/"), ConditionFailed("the row moved on"))
    await (await at.reverse()).take([at.target_record("users", ADA, 5)], "shard")
    assert await ada_stands(at) == readable(ADA)
    assert at.counts == applied("users", 1)


async def test_a_version_row_that_never_holds_still_is_reported() -> None:
    at = await stage("users")
    for _ in range(20):
        at.crew.database.fail(transacts("echoes/"), ConditionFailed("the row moved on"))
    with pytest.raises(ExceptionGroup) as failed:
        await (await at.reverse()).take([at.target_record("users", ADA, 5)], "shard")
    assert failed.group_contains(TransientError, match="version row")
    assert await at.legacy() == {}
