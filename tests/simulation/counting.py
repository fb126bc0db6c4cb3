"""Laws of what is shown to people: strays are somebody's, the rollback clock counts each write once (protocol §9)."""

from collections.abc import Mapping
from typing import Any

from tests.simulation.actors import Kind
from tests.simulation.law import Broken, Law
from tests.simulation.truth import Deed, LedgerRow, Truth, row


class Alarms(Law):
    """What is called a stray in the target was written by neither us, nor time to live, nor who obeys the flag."""

    def wrote(self, deed: Deed, written: LedgerRow) -> None:
        if written.partition != "quarantine/stray" or "in the target" not in written.fields["detail"]:
            return
        sequence = int(written.fields["version"].split(".")[1])
        record = self.truth.records[self.truth.plan.target.name, sequence]
        obeys = record.actor.is_application and not record.is_stray
        if record.actor.kind is Kind.WORKER or record.effect.by_ttl or obeys:
            who = record.actor.name
            raise Broken("strays are somebody's", f"{written.fields['source_id']} at {sequence} by {who}: {deed.at}")


class Clock(Law):
    """A checkpoint in the target's stream counts the writes that it passes, each once, however often they came."""

    def __init__(self, truth: Truth) -> None:
        super().__init__(truth)
        self.counted = 0

    def wrote(self, deed: Deed, written: LedgerRow) -> None:
        if written.partition != "shards/target/1":
            return
        before = row(deed.effect.old).fields if deed.effect.old is not None else {"checkpoint": None}
        was, now = _tally(before), _tally(written.fields)
        counted = sum(now["fates"].values()) - (sum(was["fates"].values()) if was["bake"] == now["bake"] else 0)
        writes, expired = self._passed(written.name, _place(before), _place(written.fields))
        if not writes <= counted <= writes + expired:
            told = f"{counted} writes counted in {written.name}, {writes} and {expired} expiries were passed"
            raise Broken("the rollback clock is exact", told)
        self.counted += counted

    def _passed(self, shard: str, after: int, upto: int) -> tuple[int, int]:
        """Return how many records of the application, and of time to live, lie between two checkpoints."""
        table = self.truth.plan.target.name
        passed = [
            self.truth.records[table, each]
            for each in self.truth.shards.get((table, shard), ())
            if after < each <= upto
        ]
        in_the_bake = [record for record in passed if record.served == "target" and not record.is_mark]
        expired = sum(record.effect.by_ttl for record in in_the_bake)
        return sum(record.actor.is_application for record in in_the_bake), expired


def _tally(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    return fields.get("tally") or {"bake": 0, "fates": {}}


def _place(fields: Mapping[str, Any]) -> int:
    return -1 if fields["checkpoint"] is None else int(fields["checkpoint"])
