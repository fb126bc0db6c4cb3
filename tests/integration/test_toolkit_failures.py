"""What passes unseen by the toolkit that AWS's people propose, or is reported falsely, and what ours says of it.

Each test brings both sides into the state in which a documented failure leaves them (`tests.integration.toolkit` is the
toolkit itself, on the twin), asks the toolkit, lets it clean up, and compares.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from domain.items import AttributeValue, Item, TargetKey, text
from domain.phases import Side
from domain.tables import ViewType
from dynamo.ports import Database, Delete, Put
from mapping.plan import Plan, load_plan
from reconcile.comparison import Kind
from reconcile.generation import Comparison, Generation
from reconcile.manner import ComparePorts, CompareSettings, Manner
from reconcile.rechecks import Patience
from tests.integration.toolkit import Toolkit, Transform, Verified, loaded
from tests.world import Venue

pytestmark = pytest.mark.looptime

MEMBERS = 300
"""One of them is less than the drift that the toolkit tolerates."""

_PLAN = """
plan: members
sources:
  members:
    table: members
    key: {pk: S, sk: S}
target:
  table: club
  key: {pk: S, sk: S}
  type_attribute: kind
entities:
  member:
    source: members
    carry: all
    key: ["MEMBER#{pk}", "{sk}"]
"""

BY_GRADE = """    beside:
      by-grade:
        when: {grade: [gold, tin]}
        key: ["GRADE#{grade}", "{pk}#{sk}"]
        carry: all
"""
ADA = "member-7"


def member(name: str, **attributes: AttributeValue) -> Item:
    return {"pk": text(name), "sk": text("M"), "grade": text("tin"), "mail": text(f"{name}@example.com"), **attributes}


@dataclass
class Club:
    """Both tables, and the plan between them."""

    plan: Plan
    database: Database
    venue: Venue

    @property
    def source(self) -> str:
        return self.plan.sources["members"].definition.name

    async def fill(self) -> None:
        """Create both tables and put the members into the source."""
        await self.database.create_table(self.plan.sources["members"].definition)
        await self.database.create_table(self.plan.target)
        await self.database.enable_stream(self.source, ViewType.NEW_AND_OLD_IMAGES)
        for count in range(MEMBERS):
            await self.put(member(f"member-{count}"))

    async def put(self, item: Item) -> None:
        await self.database.write(Put(self.source, item))

    async def put_target(self, item: Item) -> None:
        await self.database.write(Put(self.plan.target.name, item))

    def made(self, image: Item) -> dict[TargetKey, Item]:
        return self.plan.translate("members", image).items

    def transform(self, image: Item) -> Item:
        """Return the primary item: the toolkit makes one item of one."""
        translated = self.plan.translate("members", image)
        return translated.items[translated.primary]

    def toolkit(self, transform: Transform | None = None) -> Toolkit:
        definition = self.plan.sources["members"].definition
        return Toolkit(self.database, self.venue.clock, definition, self.plan.target, transform or self.transform)

    async def compared(self, plan: Plan | None = None) -> Generation:
        ports = ComparePorts(self.database, plan or self.plan, self.venue.clock, CompareSettings())
        return await Comparison(ports).generation(Side.SOURCE, Manner(Patience()))


Opened = Callable[..., Awaitable[Club]]


@pytest.fixture
def opened(twin: Venue, tmp_path: Path) -> Opened:
    """Open a club; its members may become two items each."""

    async def club(beside: str = "") -> Club:
        path = tmp_path / "members.yaml"
        path.write_text(_PLAN + beside, encoding="utf-8")
        made = Club(load_plan(path, variables={}), twin.database, twin)
        await made.fill()
        return made

    return club


def told(found: Generation) -> list[tuple[Kind, str]]:
    return [(each.kind, each.source_id.partition("/")[2].partition("/")[0]) for each in found.mismatches]


async def test_two_updates_within_a_second_leave_the_first(opened: Opened) -> None:
    club = await opened()
    toolkit = club.toolkit()
    await toolkit.backfill()
    await toolkit.replay()
    await asyncio.sleep(5)
    await club.put(member(ADA, grade=text("gold")))
    await club.put(member(ADA, grade=text("none")))
    await toolkit.replay()
    assert await toolkit.converged()
    samples = [(await toolkit.verified(MEMBERS // 10, Random(seed))).good for seed in range(20)]
    assert samples.count(True) > samples.count(False), "mostly it is not in the sample"
    await toolkit.clean_up()
    assert told(await club.compared()) == [(Kind.DIFFERENT, ADA)]


async def test_a_delete_under_the_key_of_the_source_leaves_the_item_standing(opened: Opened) -> None:
    club = await opened()
    toolkit = club.toolkit()
    await toolkit.backfill()
    await club.database.write(Delete(club.source, {"pk": text(ADA), "sk": text("M")}))
    await toolkit.replay()
    assert await toolkit.converged(), "what is left over is within the drift, and the sample is of the source"
    await toolkit.clean_up()
    assert told(await club.compared()) == [(Kind.EXTRA, ADA)]


async def test_a_derived_key_that_moves_orphans_the_item_at_its_former_place(opened: Opened) -> None:
    club = await opened(BY_GRADE)

    def beside(image: Item) -> Item:
        (item,) = [item for key, item in club.made(image).items() if key.pk.startswith("GRADE#")]
        return item

    both = [club.toolkit(), club.toolkit(beside)]
    for toolkit in both:
        await toolkit.backfill()
    await asyncio.sleep(5)
    await club.put(member(ADA, grade=text("gold")))
    for toolkit in both:
        await toolkit.replay()
        assert await toolkit.converged(counting=False), "counts cannot agree, so they are left out"
    await both[0].clean_up()
    found = await club.compared()
    assert [(each.kind, each.key) for each in found.mismatches] == [(Kind.EXTRA, TargetKey("GRADE#tin", f"{ADA}#M"))]


async def test_one_item_that_rightly_becomes_two_is_reported_as_drift(opened: Opened) -> None:
    club = await opened(BY_GRADE)
    for count in range(MEMBERS):
        for item in club.made(member(f"member-{count}")).values():
            await club.put_target(item)
    assert not await club.toolkit().converged()
    assert told(await club.compared()) == []


async def test_a_look_up_under_the_key_of_the_source_reports_every_item_of_another_key_as_missing(
    opened: Opened,
) -> None:
    club = await opened()
    toolkit = club.toolkit()
    await toolkit.backfill()
    assert await toolkit.verified(MEMBERS, Random(1), generously=False) == Verified(
        matched=0, missing=MEMBERS, diverged=0
    )
    await toolkit.clean_up()
    assert told(await club.compared()) == []


async def test_a_dead_consumer_is_taken_for_an_idle_table_after_two_minutes(opened: Opened) -> None:
    club = await opened()
    toolkit = club.toolkit()
    await toolkit.backfill()
    await toolkit.replay()
    await asyncio.sleep(600)
    for count in range(MEMBERS // 2):
        await club.put(member(f"member-{count}", grade=text("gold")))
    assert await toolkit.converged(), "nobody reads the stream: no figures, no dead letters, equal counts"
    await toolkit.clean_up()
    found = await club.compared()
    assert found.verdict.by_kind == {Kind.DIFFERENT: MEMBERS // 2}


async def test_a_transform_that_cannot_be_loaded_copies_as_is_and_agrees_with_itself(opened: Opened) -> None:
    club = await opened()
    toolkit = club.toolkit(loaded("club.transforms_that_nobody_installed"))
    await toolkit.backfill()
    await toolkit.replay()
    assert await toolkit.converged()
    assert (await toolkit.verified(MEMBERS, Random(1))).good, "all of them, compared with themselves"
    await toolkit.clean_up()
    found = await club.compared()
    assert (found.verdict.by_kind, found.unmapped) == ({Kind.MISSING: MEMBERS}, MEMBERS)


async def test_a_lost_item_is_within_the_drift(opened: Opened) -> None:
    club = await opened()
    toolkit = club.toolkit()
    await toolkit.backfill()
    await club.database.write(Delete(club.plan.target.name, {"pk": text(f"MEMBER#{ADA}"), "sk": text("M")}))
    await toolkit.replay()
    await club.database.write(Delete(club.plan.target.name, {"pk": text(f"MEMBER#{ADA}"), "sk": text("M")}))
    assert await toolkit.converged()
    samples = [(await toolkit.verified(MEMBERS // 10, Random(seed))).good for seed in range(20)]
    assert samples.count(True) > samples.count(False)
    await toolkit.clean_up()
    assert told(await club.compared()) == [(Kind.MISSING, ADA)]


async def test_what_nobody_should_have_put_there_is_looked_for_by_nobody(opened: Opened) -> None:
    club = await opened()
    toolkit = club.toolkit()
    await toolkit.backfill()
    await toolkit.replay()
    await club.put_target(club.transform(member("stranger")))
    assert await toolkit.converged()
    assert (await toolkit.verified(MEMBERS, Random(1))).good
    await toolkit.clean_up()
    assert told(await club.compared()) == [(Kind.EXTRA, "stranger")]


class Lossy:
    """A plan whose way there forgets an attribute; its way back is not asked by the toolkit."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def __getattr__(self, name: str) -> object:
        return getattr(self._plan, name)

    def translate(self, source: str, image: Item) -> object:
        return self._plan.translate(source, {name: value for name, value in image.items() if name != "mail"})


async def test_a_lossy_transform_agrees_with_itself(opened: Opened) -> None:
    club = await opened()
    lossy: Plan = Lossy(club.plan)  # type: ignore[assignment]
    toolkit = club.toolkit(lambda image: club.transform({name: image[name] for name in image if name != "mail"}))
    await toolkit.backfill()
    await toolkit.replay()
    assert await toolkit.converged()
    assert (await toolkit.verified(MEMBERS, Random(1))).good
    await toolkit.clean_up()
    found = await club.compared(lossy)
    assert found.verdict.by_kind == {Kind.DIFFERENT: MEMBERS}
    assert {each.attributes for each in found.mismatches} == {("mail",)}


async def test_attributes_that_look_like_the_toolkits_own_are_not_compared(opened: Opened) -> None:
    club = await opened()
    await club.put(member(ADA, _ttl_days=text("30")))
    toolkit = club.toolkit(lambda image: club.transform({name: image[name] for name in image if name != "_ttl_days"}))
    await toolkit.backfill()
    await toolkit.replay()
    assert await toolkit.converged()
    assert (await club.toolkit().verified(MEMBERS, Random(1))).good, "held against the right transform"
    await toolkit.clean_up()
    assert told(await club.compared()) == [(Kind.DIFFERENT, ADA)]


async def test_a_change_in_flight_is_reported_as_a_mismatch(opened: Opened) -> None:
    club = await opened()
    for count in range(MEMBERS):
        await club.put_target(club.transform(member(f"member-{count}")))
    changed = member(ADA, grade=text("gold"))
    await club.put(changed)
    assert not (await club.toolkit().verified(MEMBERS, Random(1))).good
    async with asyncio.TaskGroup() as group:
        comparing = group.create_task(club.compared())
        await asyncio.sleep(1)
        await club.put_target(club.transform(changed))
    found = comparing.result()
    assert (found.suspects, told(found)) == (1, [])
