"""The laws, each held against what really happened (`truth`), at the very effect that would break it.

Independent of the engines: stamps, ledger rows and phases are read here by this code's own eyes; only the plan's
translation is shared, which has its own proofs. What must hold at rest is asked by `at_rest`.
"""

from bisect import bisect_right
from typing import Any

from domain.items import Item, TargetKey, digest
from tests.simulation.actors import Kind
from tests.simulation.law import Broken, Law, Seen, stamp
from tests.simulation.standing import Standing
from tests.simulation.storms import Flight
from tests.simulation.truth import Deed, LedgerRow, Truth, row

_READ_LATELY = 60.0
"""Virtual seconds from a read to the last landing of the write that follows it: all retries, and the latest landing."""

_AN_INSTANT = 1e-9

_PHASES = {
    "": {"PLANNED"},
    "PLANNED": {"CAPTURE"},
    "CAPTURE": {"BACKFILL", "ABORTED"},
    "BACKFILL": {"CATCHUP", "CAPTURE", "ABORTED"},
    "CATCHUP": {"VERIFY", "CAPTURE", "ABORTED"},
    "VERIFY": {"READY", "CAPTURE", "ABORTED"},
    "READY": {"VERIFY", "CUTOVER", "CAPTURE", "ABORTED"},
    "CUTOVER": {"READY", "BAKE"},
    "BAKE": {"ROLLED_BACK", "DONE"},
    "ROLLED_BACK": {"READY", "CAPTURE", "ABORTED"},
}


class OneWriter(Law):
    """The serving side belongs to its application; of ours only marks touch it, and TTL is nature's."""

    def saw(self, deed: Deed) -> None:
        if deed.actor.kind is not Kind.WORKER or deed.is_mark:
            return
        side = self.truth.side(deed.effect.table)
        if side == deed.served:
            raise Broken("one writer", f"{deed.actor.name} wrote the serving side at {_key(deed.effect.key)}")


class Origin(Law):
    """What we put on either side comes from a record of the application, and says what that record says (§9)."""

    def __init__(self, truth: Truth) -> None:
        super().__init__(truth)
        self._returned: dict[str, Item | None] = {}

    def saw(self, deed: Deed) -> None:
        if deed.actor.kind is not Kind.WORKER or deed.is_mark:
            return
        if self.truth.side(deed.effect.table) == "target":
            self._forward(deed)
        else:
            source_id = self.truth.id_of(deed.effect.table, deed.effect.key)
            self._returned[source_id or ""] = deed.effect.new

    def _forward(self, deed: Deed) -> None:
        seen, key = stamp(deed.effect.new), self.truth.plan.target_key(deed.effect.key)
        if deed.effect.new is None:
            if not getattr(stamp(deed.effect.old), "dead", False):
                raise Broken("origin", f"{deed.actor.name} deleted what is no tombstone at {key}")
            return
        if seen is None:
            raise Broken("origin", f"{deed.actor.name} put an item without a stamp at {key}")
        _, sequence, repair = (int(part) for part in seen.version.split("."))
        if repair or not sequence:
            self._known_image(deed, seen, key)
            return
        source = seen.source_id.partition("/")[0]
        record = self.truth.records.get((self.truth.plan.sources[source].definition.name, sequence))
        if record is None or record.is_stray or not (record.actor.is_application or record.effect.by_ttl):
            raise Broken("origin", f"{key} was put for a record that is not the application's: {seen}")
        self._says(deed, seen, key, record.effect.new)

    def _says(self, deed: Deed, seen: Seen, key: TargetKey, image: Item | None) -> None:
        expected = self.truth.translated(seen.source_id, image).get(key)
        if seen.dead is not (expected is None):
            raise Broken("origin", f"{key} is {'a tombstone' if seen.dead else 'alive'} against its record: {seen}")
        if expected is not None and digest(expected) != digest(deed.effect.new or {}):
            raise Broken("origin", f"{key} differs from what its record says: {seen}")

    def _known_image(self, deed: Deed, seen: Seen, key: TargetKey) -> None:
        """A copy or repair puts what the source item was when it was read: not long ago, and after the change it mends.

        It carries on the version it has seen, so an image from before that change would stay for ever (§7).
        """
        source, sequence = seen.source_id.partition("/")[0], int(seen.version.split(".")[1])
        mended = self.truth.records.get((self.truth.plan.sources[source].definition.name, sequence))
        since = max(deed.at - _READ_LATELY, mended.at + _AN_INSTANT if mended else 0.0)
        images = self.truth.images_since(seen.source_id, since)
        found = [self.truth.translated(seen.source_id, image).get(key) for image in images]
        wanted = None if seen.dead else digest(deed.effect.new or {})
        if not any((None if each is None else digest(each)) == wanted for each in found):
            raise Broken("origin", f"{key} was copied or repaired from nothing that ever was: {seen}")

    def wrote(self, deed: Deed, written: LedgerRow) -> None:
        """The version row of a legacy item names the record of the target that it was written for."""
        if not written.partition.startswith("echoes/"):
            return
        fields = written.fields
        if deed.effect.old is not None and row(deed.effect.old).fields["version"] == fields["version"]:
            return
        _, sequence, repair = (int(part) for part in fields["version"].split("."))
        if repair or not sequence:
            images = self.truth.images_since(fields["source_id"], deed.at - _READ_LATELY)
            if fields["content"] not in {"" if image is None else digest(image) for image in images}:
                raise Broken("origin", f"{fields['source_id']} was mended from nothing that ever was")
            return
        record = self.truth.records.get((self.truth.plan.target.name, sequence))
        if record is None or record.is_stray or not (record.actor.is_application or record.effect.by_ttl):
            raise Broken("reverse never echoes", f"{fields['source_id']} for a record not the application's")


class Forwards(Law):
    """No version goes backwards at any key, purged tombstones included; nor in the version rows of legacy items."""

    def __init__(self, truth: Truth) -> None:
        super().__init__(truth)
        self.reached: dict[TargetKey, str] = {}
        self._ours: dict[TargetKey, str] = {}

    def saw(self, deed: Deed) -> None:
        if deed.is_mark or self.truth.side(deed.effect.table) != "target":
            return
        seen, key = stamp(deed.effect.new), self.truth.plan.target_key(deed.effect.key)
        if deed.actor.kind is not Kind.WORKER:
            self._ours.pop(key, None)  # an application wrote here: what we write over it begins anew
        elif seen is not None:
            # Where nothing stands (any more) a repair begins anew.
            begins = deed.effect.old is None and not seen.version.endswith(".0000")
            before = "" if begins else self._ours.get(key, "")
            if seen.version <= before:
                raise Broken("no version goes backwards", f"{key}: {seen.version} after {before}, {deed.actor.name}")
            self._ours[key] = seen.version
            self.reached[key] = max(self.reached.get(key, ""), seen.version)

    def wrote(self, deed: Deed, written: LedgerRow) -> None:
        if not written.partition.startswith("echoes/") or deed.effect.old is None:
            return
        before = row(deed.effect.old).fields
        if written.fields["version"] < before["version"]:
            raise Broken("no version goes backwards", f"version row of {written.fields['source_id']}")


class Checkpoints(Law):
    """Checkpoints only grow, children wait for parents, and nothing before a checkpoint is unapplied (§5)."""

    def __init__(self, truth: Truth, forwards: Forwards) -> None:
        super().__init__(truth)
        self._reached = forwards.reached
        self._quarantined: dict[tuple[str, str], str] = {}
        self._versions: dict[str, str] = {}
        self._copied: dict[tuple[str, int], float] = {}
        self._copy_epochs: dict[str, int] = {}
        self._ended: set[tuple[str, str]] = set()
        self._known: set[tuple[str, str]] = set()

    def saw(self, deed: Deed) -> None:
        """Note when a source was first copied, by epoch; a shard that a recapture has forgotten is nobody's parent."""
        old, new = deed.effect.old, deed.effect.new
        if deed.effect.table == self.truth.ledger and new is None and old is not None:
            partition, _, rest = old["PK"]["S"].partition("/")
            if partition == "shards":
                self._known.discard((rest, old["SK"]["S"]))
        seen = stamp(deed.effect.new)
        if deed.actor.kind is Kind.WORKER and seen is not None:
            epoch, sequence, repair = (int(part) for part in seen.version.split("."))
            if not sequence and not repair:
                self._copied.setdefault((seen.source_id.partition("/")[0], epoch), deed.at)

    def wrote(self, deed: Deed, written: LedgerRow) -> None:
        kind, _, rest = written.partition.partition("/")
        fields = written.fields
        if kind == "quarantine":
            place = (rest, fields["source_id"])
            self._quarantined[place] = max(self._quarantined.get(place, ""), fields["version"])
        elif kind == "echoes":
            self._versions[fields["source_id"]] = max(self._versions.get(fields["source_id"], ""), fields["version"])
        elif kind == "streams":
            self._copy_epochs[written.name] = fields["copy_epoch"]
        elif kind == "shards":
            self._checkpoint(deed, rest, written)

    def _checkpoint(self, deed: Deed, rest: str, written: LedgerRow) -> None:
        stream, _, epoch = rest.partition("/")
        shard = written.name
        nothing: dict[str, Any] = {"checkpoint": None, "ended": False}
        old = row(deed.effect.old).fields if deed.effect.old is not None else nothing
        before, after = _number(old["checkpoint"]), _number(written.fields["checkpoint"])
        if after < before or (old["ended"] and not written.fields["ended"]):
            raise Broken("checkpoints are monotone", f"{stream} {shard}: {after} after {before}")
        parent = (rest, written.fields["parent"] or "")
        self._known.add((rest, shard))
        if after > before and parent in self._known and parent not in self._ended:
            raise Broken("parents before children", f"{stream} {shard} moved before its parent had ended")
        if written.fields["ended"]:
            self._ended.add((rest, shard))
        if int(epoch) == self.truth.epochs[stream]:  # else it is a place carried over to an epoch not yet in force
            self._applied(stream, shard, (before, after))

    def _applied(self, stream: str, shard: str, between: tuple[int, int]) -> None:
        plan = self.truth.plan
        table = plan.target.name if stream == "target" else plan.sources[stream].definition.name
        sequences = self.truth.shards.get((table, shard), [])
        for sequence in sequences[bisect_right(sequences, between[0]) : bisect_right(sequences, between[1])]:
            record = self.truth.records[table, sequence]
            if record.is_mark:
                continue
            if record.at < self._told_since(stream):
                continue
            if (record.actor.is_application and not record.is_stray) or (record.effect.by_ttl and record.writable):
                self._is_applied(stream, record, f"{self.truth.epochs[stream]:06}.{sequence:0>40}.0000")

    def _told_since(self, stream: str) -> float:
        """Return since when all that a stream tells of must be applied, in the epoch in force.

        What happened before the first page was copied, the copy has read (§4.1); where nothing is copied in an epoch,
        all is compared (§5).
        """
        since = self.truth.captured[stream] if self.truth.epochs[stream] > 1 else float("-inf")
        copied = self._copied.get((stream, self._copy_epochs[stream]), float("inf"))
        return since if stream == "target" else max(since, copied)

    def _is_applied(self, stream: str, record: Deed, version: str) -> None:
        side = self.truth.side(record.effect.table)
        if record.served != side:
            return  # time to live on the side that follows: tailed
        source_id = self.truth.id_of(record.effect.table, record.effect.key)
        lane = "reverse" if side == "target" else "forward"
        if source_id is None or self._quarantined.get((lane, source_id), "") >= version:
            return
        if side == "target":
            owner = self.truth.plan.owner(self.truth.plan.target_key(record.effect.key))
            if owner is not None and owner.primary and self._versions.get(source_id, "") < version:
                raise Broken("no checkpoint before its changes", f"reverse of {source_id} at {version}")
            return
        keys = self.truth.translated(source_id, record.effect.old) | self.truth.translated(source_id, record.effect.new)
        for key in keys:
            if self._reached.get(key, "") < version:
                raise Broken("no checkpoint before its changes", f"{key} of {source_id} at {version}, stream {stream}")


class Fences(Law):
    """One owner an epoch; no row goes back to an older epoch; who lost the lease sends nothing more (§6)."""

    def __init__(self, truth: Truth) -> None:
        super().__init__(truth)
        self._owners: dict[int, str] = {}
        self._epoch = 0

    def wrote(self, deed: Deed, written: LedgerRow) -> None:
        before = row(deed.effect.old).fields if deed.effect.old is not None else {"fence": 0}
        if written.fields["fence"] < before["fence"]:
            raise Broken("one writer an epoch", f"{written.partition}/{written.name} went back to an older epoch")
        fence = written.fields["fence"]
        if fence and self._owners.get(fence) != deed.actor.name:
            raise Broken("one writer an epoch", f"{deed.actor.name} wrote under epoch {fence} of another")
        if written.partition == "leases":
            self._lease(deed, written)

    def _lease(self, deed: Deed, written: LedgerRow) -> None:
        epoch = written.fields["epoch"]
        if epoch < self._epoch or self._owners.setdefault(epoch, deed.actor.name) != deed.actor.name:
            raise Broken("one writer an epoch", f"epoch {epoch} has two owners")
        self._epoch = epoch

    def sent(self, flight: Flight) -> None:
        """Look at a request as it is sent. Raises Broken."""
        if flight.actor.kind is not Kind.WORKER or not flight.is_write or flight.table == self.truth.ledger:
            return
        if self._owners.get(self._epoch) != flight.actor.name:
            raise Broken("who lost the lease sends nothing", f"{flight.actor.name}: {flight.operation} {flight.table}")


class Phases(Law):
    """The phase moves along the table, and a switch that is taken back leaves the side that served, writable (§8)."""

    def wrote(self, deed: Deed, written: LedgerRow) -> None:
        if (written.partition, written.name) != ("migration", "state"):
            return
        before = row(deed.effect.old).fields["phase"] if deed.effect.old is not None else ""
        after = written.fields["phase"]
        if after != before and after not in _PHASES.get(before, set()):
            raise Broken("phases move along the table", f"{before} → {after}")


class Switches(Law):
    """At the unfence both sides agree, no tombstone stands, and nothing of ours is on its way to it (§8, §3 c)."""

    def __init__(self, truth: Truth, flying: dict[int, Flight], standing: Standing) -> None:
        super().__init__(truth)
        self._flying = flying
        self._standing = standing

    def wrote(self, deed: Deed, written: LedgerRow) -> None:
        if (written.partition, written.name) != ("migration", "flag") or deed.effect.old is None:
            return
        before = row(deed.effect.old).fields
        fields = written.fields
        if not fields["writable"] or before["writable"] or fields["serving"] != before["serving"]:
            return
        if self._opens(fields["serving"]):
            self._unfence(fields["serving"])

    def _opens(self, serving: str) -> bool:
        """Tell an unfence from a take-back: the journal's goal is the side that now serves."""
        return self.truth.switching_to == serving

    def _unfence(self, serving: str) -> None:
        if serving == "target":
            late = [each for each in self._flying.values() if self._is_ours(each)]
            if late:
                raise Broken("nothing of ours lands in a serving table", f"{len(late)} writes still fly: {late[0]}")
        problems = self._standing.differences(
            serving="source" if serving == "target" else "target", excused=self.truth.strays
        )
        if problems:
            raise Broken("both sides agree at the switch", f"to {serving}: {'; '.join(problems[:3])}")

    def _is_ours(self, flight: Flight) -> bool:
        """Tell whether it could still put something: purges and marks can do no harm, wherever they land."""
        return flight.actor.kind is Kind.WORKER and flight.puts_an_item and flight.table == self.truth.plan.target.name


def _number(checkpoint: str | None) -> int:
    return -1 if checkpoint is None else int(checkpoint)


def _key(key: Item) -> str:
    return "/".join(str(next(iter(value.values()))) for value in key.values())
