"""The hard fence: a table's resource policy denies item writes to all but us and AWS, until a moment by itself.

The other side's fence is lifted in the same step, should one still stand: that side is about to serve. DynamoDB
blocks a second change of a policy for 15 seconds, so whoever undoes at once waits that long or until the fence expires,
and it applies any change within seconds, not at once. Sources: DynamoDB API reference, PutResourcePolicy,
GetResourcePolicy and DeleteResourcePolicy; developer guide, "Resource-based policy considerations".
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aws.account import Account
from aws.calls import Calls
from aws.statements import Statement, fence, fence_in, fenced, lasts_ms, replication_of, undone, unfenced
from aws.waiting import Waits, awaited
from domain.errors import RefusedError
from domain.phases import Side

NO_POLICY: Final = "NO_POLICY"
"""The revision of a policy that is not there. Source: PutResourcePolicy, ExpectedRevisionId."""
_ABSENT: Final = frozenset({"PolicyNotFoundException"})
_OVERTAKEN: Final = frozenset({"PolicyNotFoundException", "ResourceInUseException", "LimitExceededException"})
"""Another revision stands than the one that was read, or it was changed less than 15 seconds ago: try again."""

_WAITS: Final = Waits(45.0)


@dataclass(frozen=True, slots=True)
class _Standing:
    """A table's policy as it was read."""

    policy: str | None
    revision: str


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the tables are, and whom no fence keeps out."""

    tables: str
    exempt: tuple[str, ...]

    def arn(self, table: str) -> str:
        return table if table.startswith("arn:") else f"{self.tables}/{table}"


class TableFence:
    """The fence around the tables of the side that is not going to serve: an actuator (`cutover.actuators`)."""

    def __init__(
        self,
        calls: Calls,
        tables: Mapping[Side, Sequence[str]],
        *,
        wall_ms: Callable[[], int],
        exempt: Sequence[str] = (),
        lasts: float = 60.0,
        waits: Waits = _WAITS,
    ) -> None:
        """Take the tables of either side, by name or ARN, and ARNs of principals who may write beside the caller.

        ``lasts``: seconds until a fence expires by itself, by ``wall_ms``; ``waits``: how long one change may take.
        """
        self._calls = calls
        self._tables = {side: tuple(tables.get(side, ())) for side in Side}
        self._wall_ms = wall_ms
        self._exempt = tuple(exempt)
        self._lasts_ms = int(lasts * 1000)
        self._waits = waits
        self._replaced: dict[str, set[str]] = {}
        """Revisions that were replaced here: a reading that shows one is older than our own write."""
        self._place: _Place | None = None

    async def preview(self, to: Side) -> str:
        """Name tables and the principals that keep their writes. Raises RefusedError, TransientError."""
        place, lifted = await self._where(), []
        for table in self._tables[to.other]:
            fenced((await self._read(place.arn(table))).policy, self._statement(place, place.arn(table)))
        for table in self._tables[to]:
            lifted += [table] if fence_in((await self._read(place.arn(table))).policy) else []
        told = [f"deny item writes to {', '.join(self._tables[to.other])} for {self._lasts_ms // 1000} s"]
        told += [f"lift the fence of {', '.join(lifted)}"] if lifted else []
        return f"{'; '.join(told)}; not denied: {', '.join(place.exempt)}"

    async def standing(self, to: Side) -> dict[str, Any]:
        """Return ``{"policies": {ARN: text, or None where there is none}}`` of both sides' tables."""
        del to
        place = await self._where()
        arns = [place.arn(table) for side in self._tables.values() for table in side]
        return {"policies": {arn: (await self._read(arn)).policy for arn in arns}}

    async def do(self, to: Side, standing: Mapping[str, Any]) -> None:
        """Fence the other side's tables and lift the fence of this side's, all at once. Raises as `preview`.

        A fence of ours with half of its time ahead stays: each change blocks the next one for 15 seconds.
        """
        del standing
        place = await self._where()

        def raised(arn: str, policy: str | None) -> str | None:
            fresh, stands = self._statement(place, arn), fence_in(policy)
            halfway = self._wall_ms() + self._lasts_ms // 2
            if stands is not None and _timeless(stands) == _timeless(fresh) and lasts_ms(stands) >= halfway:
                return policy
            return fenced(policy, fresh)

        await self._all(
            [self._change(place.arn(table), raised) for table in self._tables[to.other]]
            + [self._change(place.arn(table), lambda _, policy: unfenced(policy)) for table in self._tables[to]]
        )

    async def verify(self, to: Side) -> None:
        """Return when DynamoDB shows every fence, in force, and none around the side that serves.

        Raises RefusedError naming the table, TransientError.
        """
        place, now = await self._where(), self._wall_ms()
        for table in self._tables[to.other]:
            if lasts_ms(fence_in((await self._read(place.arn(table))).policy)) <= now:
                message = f"no fence stands around {table}"
                raise RefusedError(message, hint="look who else changes its resource policy, then try again")
        for table in self._tables[to]:
            if lasts_ms(fence_in((await self._read(place.arn(table))).policy)) > now:
                raise RefusedError(f"a fence still stands around {table}", hint="wait until it expires, then try again")

    async def undo(self, to: Side, standing: Mapping[str, Any]) -> None:
        """Bring back each policy as it was, to the letter; what others changed since stays. Raises as `preview`.

        Within 15 seconds of `do` this waits for DynamoDB.
        """
        del to
        prior: Mapping[str, str | None] = standing["policies"]
        await self._all([self._change(arn, lambda arn, policy: undone(policy, prior[arn])) for arn in prior])

    async def _change(self, arn: str, change: Callable[[str, str | None], str | None]) -> None:
        """Read, change, write under the revision that was read, until nobody comes between."""

        async def tried() -> bool | None:
            found = await self._read(arn)
            policy = change(arn, found.policy)
            return True if policy == found.policy or await self._write(arn, policy, found.revision) else None

        await awaited(tried, f"the resource policy of {arn}", self._waits)

    async def _write(self, arn: str, policy: str | None, revision: str) -> bool:
        """Tell whether the policy stood as it was read, and is now replaced, or deleted where there is none to come."""
        expected = {"ResourceArn": arn, "ExpectedRevisionId": revision}
        if policy is None:
            answer = await self._calls.find("dynamodb", "delete_resource_policy", _OVERTAKEN, **expected)
            became = NO_POLICY
        else:
            answer = await self._calls.find("dynamodb", "put_resource_policy", _OVERTAKEN, Policy=policy, **expected)
            became = "" if answer is None else answer["RevisionId"]
        if answer is None:
            return False
        self._replaced[arn] = (self._replaced.get(arn, set()) | {revision}) - {became}
        return True

    async def _read(self, arn: str) -> _Standing:
        """Return what stands, as soon as DynamoDB shows nothing older than what was written here."""

        async def look() -> _Standing | None:
            answer = await self._calls.find("dynamodb", "get_resource_policy", _ABSENT, ResourceArn=arn)
            found = _Standing(None, NO_POLICY) if answer is None else _Standing(answer["Policy"], answer["RevisionId"])
            return None if found.revision in self._replaced.get(arn, ()) else found

        return await awaited(look, f"the resource policy of {arn}", self._waits)

    async def _where(self) -> _Place:
        """Ask once who we are: a fence must not keep us out."""
        if self._place is None:
            caller = await Account(self._calls).caller()
            owner = caller.principal or f"arn:{caller.partition}:iam::{caller.account}:root"
            exempt = {owner, replication_of(caller.partition, caller.account), *self._exempt}
            tables = f"arn:{caller.partition}:dynamodb:{caller.region}:{caller.account}:table"
            self._place = _Place(tables, tuple(sorted(exempt)))
        return self._place

    def _statement(self, place: _Place, arn: str) -> Statement:
        return fence(arn, place.exempt, self._wall_ms() + self._lasts_ms)

    @staticmethod
    async def _all(deeds: Sequence[Awaitable[None]]) -> None:
        """Let each come to its end, whatever befalls the others, and raise the first error."""
        ended = await asyncio.gather(*deeds, return_exceptions=True)
        for each in ended:
            if isinstance(each, BaseException):
                raise each


def _timeless(statement: Statement) -> Statement:
    """Return a fence without its end."""
    conditions = statement.get("Condition")
    kept = {key: each for key, each in conditions.items() if key != "DateLessThan"} if conditions else None
    return statement | {"Condition": kept}
