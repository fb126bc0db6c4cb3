"""After a gap: the stream stands still, `recapture` begins a new epoch, and both sides agree again (protocol §5)."""

import pytest

from domain.items import AttributeValue, Item, TargetKey, number, text
from domain.phases import Phase, Side
from domain.tables import TableDefinition, ViewType
from dynamo.ports import Delete, Put
from ledger.requests import Request, RequestKind, RequestState
from tests.crew import Crew
from tests.examples import ADA, BOB, audit, changed, order
from tests.seams import Call, Matches
from tests.world import Venue, World, ready

ADA_AT = TargetKey("USER#ada", "METADATA")


def many(count: int, **attributes: AttributeValue) -> list[Item]:
    return [changed(ADA, id=text(f"user-{each}"), **attributes) for each in range(count)]


def bulky(count: int) -> Item:
    """Return an order that fits into the legacy table, and not into the target any more."""
    return order(count, notes=text("x" * 409_300))


async def switched_on(world: World, definition: TableDefinition) -> None:
    """Switch a table's stream on: a new one, which DynamoDB Local wants a record in before it is read."""
    await world.database.enable_stream(definition.name, ViewType.NEW_AND_OLD_IMAGES)
    sentinel: Item = {part.name: {part.type: "sentinel" if part.type == "S" else "0"} for part in definition.key}
    await world.database.write(Put(definition.name, sentinel))
    await world.database.write(Delete(definition.name, sentinel))


async def switched_off_and_on(world: World, definition: TableDefinition) -> None:
    """Replace a table's stream by another one, as a deploy does that forgot it."""
    await world.database.disable_stream(definition.name)
    await switched_on(world, definition)


def users_of(world: World) -> TableDefinition:
    return world.plan.sources["users"].definition


async def lost(world: World, name: str) -> str:
    """Wait until a stream stands still; return what was lost."""

    async def has_a_gap() -> bool:
        return bool((await world.ledger.streams.get(name)).gap)

    await world.until(has_a_gap)
    return (await world.ledger.streams.get(name)).gap


async def switched(world: World, crew: Crew, kind: RequestKind) -> None:
    """Ask for a switch until every gate lets it pass."""

    async def is_done() -> bool:
        return (await world.ask(crew, kind)).state is RequestState.DONE

    await world.until(is_done, seconds=90)


async def recaptured(world: World, crew: Crew, name: str) -> Request:
    """Ask for a recapture; return the answer."""
    stream = await world.ledger.streams.get(name)
    return await world.ask(crew, RequestKind.RECAPTURE, stream=name, epoch=stream.epoch)


async def test_what_happened_without_a_stream_is_copied_again_and_what_was_deleted_is_swept(venue: Venue) -> None:
    async with ready(venue, "tyler-setup", users=[ADA, BOB, *many(9)]) as (world, crew):
        await world.database.disable_stream(world.table("users"))
        await world.put("users", changed(ADA, lastLogin=number(3)), *many(12, name=text("unseen")))
        await world.delete("users", BOB)
        await switched_on(world, users_of(world))
        assert "replaced" in await lost(world, "users")
        answer = await recaptured(world, crew, "users")
        assert answer.state is RequestState.DONE
        assert answer.answer["epoch"] == 2
        await world.put("users", changed(ADA, lastLogin=number(4)))
        await world.reach(Phase.READY)
    target = await world.settled(crew)
    assert len(target) == 13
    assert target[ADA_AT]["lastLogin"] == number(4)
    assert (await world.ledger.streams.get("users")).gap == ""


async def test_a_gap_refuses_the_cutover_by_name_until_it_is_mended(venue: Venue) -> None:
    async with ready(venue, "tyler-setup", users=[ADA]) as (world, crew):
        await switched_off_and_on(world, world.plan.target)
        await lost(world, "target")
        answer = await world.ask(crew, RequestKind.CUTOVER)
        assert answer.state is RequestState.REFUSED
        assert "no-gap" in answer.answer["why"]
        await recaptured(world, crew, "target")
        assert (await world.ledger.migration.state()).phase is Phase.READY, "nothing of the target's stream was owed"
        await switched(world, crew, RequestKind.CUTOVER)
        await world.put_target(changed(await world.get_target(*ADA_AT), lastLogin=number(5)))
        await switched(world, crew, RequestKind.ROLLBACK)
    assert (await world.sources())["users/ada"]["lastLogin"] == number(5)


@pytest.mark.looptime
async def test_the_other_streams_go_on_while_one_stands_still(twin: Venue) -> None:
    """And none of theirs is skipped while the lost one is captured anew."""
    async with ready(twin, "tyler-setup", users=[ADA], config=[]) as (world, crew):
        await world.database.disable_stream(world.table("users"))
        await world.put("users", BOB)
        await switched_on(world, users_of(world))
        await lost(world, "users")
        await world.put("config", *({"key": text(f"k{number}"), "value": text("1")} for number in range(9)))
        await recaptured(world, crew, "users")
        await world.put("config", *({"key": text(f"k{number}"), "value": text("2")} for number in range(9)))
        await world.reach(Phase.READY)
    assert len(await world.settled(crew)) == 11
    assert (await world.ledger.streams.get("config")).epoch == 1
    assert crew.gaps == ["users"]


async def test_what_the_target_did_without_a_stream_is_brought_back_before_a_rollback(venue: Venue) -> None:
    async with ready(venue, "tyler-setup", users=[ADA, BOB, *many(5)]) as (world, crew):
        await switched(world, crew, RequestKind.CUTOVER)
        await world.database.disable_stream(world.plan.target.name)
        await world.put_target(changed(await world.get_target(*ADA_AT), lastLogin=number(3)))
        await world.delete_target(await world.get_target("USER#bob", "METADATA"))
        await switched_on(world, world.plan.target)
        await lost(world, "target")
        refused = await world.ask(crew, RequestKind.ROLLBACK)
        assert "no-gap" in refused.answer["why"]
        await recaptured(world, crew, "target")
        assert (await world.ledger.migration.state()).phase is Phase.BAKE
        await switched(world, crew, RequestKind.ROLLBACK)
    sources = await world.sources()
    assert sources["users/ada"]["lastLogin"] == number(3)
    assert "users/bob" not in sources
    assert len(sources) == 6


@pytest.mark.looptime
async def test_a_source_that_is_only_tailed_is_captured_anew_without_a_copy(twin: Venue) -> None:
    async with ready(twin, "tyler-setup", users=[ADA]) as (world, crew):
        await switched(world, crew, RequestKind.CUTOVER)
        await world.database.disable_stream(world.table("users"))  # and no sentinel: it would be a stray
        await world.database.enable_stream(world.table("users"), ViewType.NEW_AND_OLD_IMAGES)
        await lost(world, "users")
        await recaptured(world, crew, "users")
        assert (await world.ledger.migration.state()).phase is Phase.BAKE
        await world.put_target(changed(await world.get_target(*ADA_AT), lastLogin=number(5)))
        await switched(world, crew, RequestKind.ROLLBACK)
        await world.put("users", changed(ADA, lastLogin=number(6)))
        await world.reach(Phase.READY)
        await world.caught_up()
    assert (await world.settled(crew))[ADA_AT]["lastLogin"] == number(6)


async def test_a_recapture_of_a_stream_that_is_off_or_was_captured_meanwhile_changes_nothing(venue: Venue) -> None:
    async with ready(venue, "tyler-setup", users=[ADA]) as (world, crew):
        await world.database.disable_stream(world.table("users"))
        await lost(world, "users")
        before = await world.ledger_rows()
        answer = await recaptured(world, crew, "users")
        assert answer.state is RequestState.REFUSED
        assert "is off" in answer.answer["why"]
        answer = await world.ask(crew, RequestKind.RECAPTURE, stream="users", epoch=7)
        assert "captured anew meanwhile" in answer.answer["why"]
        assert await world.ledger_rows() == before
        answer = await world.ask(crew, RequestKind.RECAPTURE, stream="target", epoch=1)
        assert "has lost nothing" in answer.answer["why"]
        answer = await world.ask(crew, RequestKind.RECAPTURE, stream="nobody", epoch=1)
        assert "follows no stream nobody" in answer.answer["why"]


@pytest.mark.looptime
async def test_quarantined_items_that_are_gone_after_a_gap_are_cleared_with_their_keys(twin: Venue) -> None:
    orders = [order(number) for number in range(4)]
    async with ready(twin, "order-desk", orders=orders) as (world, crew):
        await world.put("orders", bulky(0), bulky(1))
        await world.until(lambda: quarantined(world, 2))
        await world.database.disable_stream(world.table("orders"))
        await world.delete("orders", orders[0])
        await world.put("orders", orders[1])
        await switched_on(world, world.plan.sources["orders"].definition)
        await lost(world, "orders")
        await recaptured(world, crew, "orders")
        await world.until(lambda: quarantined(world, 0))
        await world.reach(Phase.READY)
    await world.settled(crew)


async def quarantined(world: World, count: int) -> bool:
    """Tell whether so many ids are in quarantine."""
    return len(await world.ledger.quarantine.everything()) == count


@pytest.mark.looptime
async def test_what_was_looked_at_before_a_gap_is_no_stray_after_it(twin: Venue) -> None:
    """One shard of a tailed stream loses records; the echoes seen in the others are not judged a second time."""
    async with ready(twin, "tyler-setup", users=[*many(24)]) as (world, crew):
        await switched(world, crew, RequestKind.CUTOVER)
        stream = await world.ledger.streams.get("users")
        held, *_ = await world.database.describe_stream(stream.arn)
        seam = crew.database.hold(
            lambda call: call.method == "get_records" and call.mentions(stream.arn, held.shard_id)
        )
        await seam.reached.wait()
        await logins(world, range(24), moment=5)
        unread = (await world._records())["users"][held.shard_id][-1]
        await logins(world, range(24), moment=6)
        world.twin.trim(world.table("users"), unread + 1)
        seam.release()
        await lost(world, "users")
        await recaptured(world, crew, "users")
        await switched(world, crew, RequestKind.ROLLBACK)
        assert await world.ledger.quarantine.everything() == []


async def logins(world: World, numbers: range, *, moment: int) -> None:
    """Let users log in with the new application, and wait until the legacy table knows."""
    for each in numbers:
        await world.put_target(
            changed(await world.get_target(f"USER#user-{each}", "METADATA"), lastLogin=number(moment))
        )

    async def are_back() -> bool:
        return all(item["lastLogin"] == number(moment) for item in (await world.sources()).values())

    await world.until(are_back)


@pytest.mark.looptime
async def test_a_gap_right_after_a_rollback_leaves_nothing_of_the_new_application_behind(twin: Venue) -> None:
    """The source with the gap is copied again; what was left among the others' items is mended all the same.

    Also when nobody came to it before the phase moved on: here the first comparison is held up until its worker ends.
    """
    async with ready(twin, "tyler-setup", users=[ADA], audit=[audit("a1"), audit("a2")]) as (world, crew):
        await switched(world, crew, RequestKind.CUTOVER)
        await world.delete_target(await world.get_target("USER#ada", "AUDIT#a1"))
        await world.put_target({**await world.get_target("USER#ada", "AUDIT#a2"), "note": text("new")})
        await world.caught_up(Side.TARGET)
        await world.database.disable_stream(world.table("users"))
        await world.database.enable_stream(world.table("users"), ViewType.NEW_AND_OLD_IMAGES)
        await lost(world, "users")
        await recaptured(world, crew, "users")
        comparing = crew.database.hold(scans_after(Phase.ROLLED_BACK))
        await switched(world, crew, RequestKind.ROLLBACK)
        await switched_off_and_on(world, users_of(world))
        await lost(world, "users")
        await recaptured(world, crew, "users")
        await comparing.reached.wait()
    await crew.retire()
    assert await world.target() != await world.expected(), "what the new application left must still be there"
    second = await world.lead(wait=True)
    async with second.working():
        await world.until(lambda: is_ready(world), seconds=120)
    await world.settled(second)


def scans_after(phase: Phase) -> Matches:
    """Match pages of a scan once the phase was written."""
    written = False

    def matches(call: Call) -> bool:
        nonlocal written
        written = written or call.mentions(f"'phase': {{'S': '{phase}'}}")
        return written and call.method == "scan_page"

    return matches


async def is_ready(world: World) -> bool:
    return (await world.ledger.migration.state()).phase is Phase.READY
