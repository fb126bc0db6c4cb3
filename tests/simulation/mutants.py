"""Seeded bugs: each takes one thing away that the protocol says is needed. The simulation must catch every one.

A mutant is an edit of a product module's text, made while that module is imported, in a process of its own; a text that
is no longer there is an error, so that no mutant quietly turns into none. `hunt` tries seeds until a law breaks.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Edit:
    """One text of a module, and what stands there instead."""

    module: str
    was: str
    now: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """A bug: its name, what it does, and the edits that make it."""

    name: str
    edits: tuple[Edit, ...]


MUTANTS = [
    Mutant(
        "writes folded away are not counted",
        (Edit("sync.reverse", "tally = tally.plus(latest[weighed.source_id].counted(bake))", "pass"),),
    ),
    Mutant(
        "our own repairs are strays",
        (Edit("sync.strays", "before.version < stamp.version", "before.version[:47] < stamp.version[:47]"),),
    ),
    Mutant(
        "no condition on the put",
        (Edit("apply.door", "Put(self._table, write.item, condition)", "Put(self._table, write.item)"),),
    ),
    Mutant(
        "timestamp instead of position",
        (Edit("sync.fold", "Version(epoch, last.sequence)", "Version(epoch, last.created_ms)"),),
    ),
    Mutant(
        "no tombstone",
        (Edit("sync.fold", "for key in sorted(former - items.keys()))", "for key in ())"),),
    ),
    Mutant(
        "tombstone purged too early",
        (
            Edit("sync.purging", "if passed(stone, shards, stream.epoch)]", "if shards]"),
            Edit("sync.purging", "await self._ports.guard.quiet()", "pass"),
        ),
    ),
    Mutant(
        "checkpoint before apply",
        (
            Edit(
                "sync.followers",
                "        afterwards: list[Afterwards] = []\n",
                "        afterwards: list[Afterwards] = []\n"
                "        await self._save(replace(self.shard, checkpoint=batch[-1].sequence))\n",
            ),
        ),
    ),
    Mutant(
        "child before parent",
        (Edit("sync.lineage", "return parent is None or parent.ended", "return True or parent.ended"),),
    ),
    Mutant(
        "fold that forgets intermediate keys",
        (Edit("sync.fold", "for change in changes:\n        former", "for change in changes[-1:]:\n        former"),),
    ),
    Mutant(
        "unprocessed keys dropped",
        (Edit("dynamo.batches", "asked, pending = pending, answers[-1].left", "asked, pending = pending, []"),),
    ),
    Mutant(
        "backfill begun before capture",
        (
            Edit("tests.crew", "if phase is Phase.BACKFILL:", "if phase in {Phase.CAPTURE, Phase.BACKFILL}:"),
            # Without the net below it: followers apply even in CAPTURE once a segment of their source is begun.
            Edit("sync.loss", "return stream.side is Side.SOURCE and bool(await ledger.segments.of(stream.name))",
                 "return False"),
        ),
    ),
    Mutant(
        "recheck left out",
        (Edit("reconcile.rechecks", "for attempt in range(patience.rounds):", "for attempt in range(0):"),),
    ),
    Mutant(
        "origin decided by content instead of position",
        (
            Edit(
                "sync.followers",
                "        return any(span.holds(",
                "        if self._stream.name == 'target':\n"
                "            from domain.stamps import Stamp\n"
                "            image = change.new or change.old or {}\n"
                "            stamp = Stamp.of(image)\n"
                "            return stamp is None or not stamp.fits(image)\n"
                "        return any(span.holds(",
            ),
        ),
    ),
    Mutant(
        "no mark on the target",
        (
            Edit(
                "cutover.sequence",
                "cuts |= await self._mark(opened, self._switch.open_marks)",
                "cuts |= {stream.name: Cut() for stream in opened}\n"
                "            for name, mark in self._switch.open_marks.items():\n"
                "                await self._ledger.marks.announce(mark, name)",
            ),
        ),
    ),
    Mutant(
        "forward applied during the bake",
        (
            Edit(
                "sync.followers",
                "        return any(span.holds(",
                "        return self._stream.name != 'target' or any(span.holds(",
            ),
        ),
    ),
    Mutant(
        "unfence without waiting for what may still land",
        (
            Edit(
                "cutover.sequence",
                "        await self._ports.guard.quiet()\n        self._ports.bell.ring()",
                "        self._ports.bell.ring()",
            ),
        ),
    ),
    Mutant(
        "repair that reads source before stamp",
        (
            Edit(
                "reconcile.rechecks",
                "            standing = await self._standing({key for own in keys.values() for key in own}, reading)\n"
                "            images = await self._images(keys, reading)\n",
                "            images = await self._images(keys, reading)\n"
                "            standing = await self._standing({key for own in keys.values() for key in own}, reading)\n",
            ),
        ),
    ),
    Mutant(
        "drain without marks",
        (
            Edit(
                "cutover.sequence",
                "cuts = await self._mark(drained, self._switch.drain_marks)",
                "cuts = {}\n"
                "            for stream, mark in ((each, self._switch.drain_marks[each.name]) for each in drained):\n"
                "                shards = await self._ledger.streams.shards(stream.name)\n"
                "                await self._ledger.marks.announce(mark, stream.name)\n"
                "                cuts[stream.name] = Cut({name: at.checkpoint or 0 for name, at in shards.items()})",
            ),
        ),
    ),
    Mutant(
        "fence not awaited",
        (
            Edit(
                "cutover.sequence",
                "        await asyncio.sleep(self._ports.settings.staleness + self._ports.settings.longest_request)\n",
                "",
            ),
        ),
    ),
    Mutant(
        "no sweep after a second copy",
        (Edit("backfill.sweep", "elif key not in called[source_id]:", "elif not called:"),),
    ),
    Mutant(
        "copied again without a new epoch",
        (
            Edit("backfill.runner", "partial(self._settle, stream.name, Version(stream.copy_epoch))",
                 "partial(self._settle, stream.name, Version(1))"),
            Edit("sync.forward", "self._epoch = stream.epoch", "self._epoch = 1"),
        ),
    ),
    Mutant(
        "records of other sources skipped while one is captured anew",
        (
            Edit("sync.loss", "return stream.side is Side.SOURCE and bool(await ledger.segments.of(stream.name))",
                 "return False"),
        ),
    ),
    Mutant(
        "what the target lost is not brought back",
        (Edit("reconcile.runner", "        if owed is not None:", "        if owed is None and False:"),
         Edit("reconcile.runner", "if owed and found.verdict.is_explained_by(await self._waiting()):",
              "if owed:")),
    ),
    Mutant(
        "lease not checked on retry",
        (
            Edit("dynamo.retries", "        tries = 0\n        while True:", "        tries, first = 0, guard.begin()\n"
                 "        while True:"),
            Edit("dynamo.retries", "return await self._once(attempt, subject, guard)",
                 "return await self._once(attempt, subject, guard, first)"),
            Edit("dynamo.retries", "guard: WriteGuard) -> Answer:\n        permit = guard.begin()",
                 "guard: WriteGuard, permit) -> Answer:"),
        ),
    ),
]  # fmt: skip


class _Mutating(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the modules of a mutant from their changed text, everything else as ever."""

    def __init__(self, mutant: Mutant) -> None:
        self._edits = {edit.module for edit in mutant.edits}
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        return importlib.util.spec_from_loader(fullname, self) if fullname in self._edits else None

    def exec_module(self, module: ModuleType) -> None:
        file = _ROOT / (module.__name__.replace(".", "/") + ".py")
        text = file.read_text()
        for edit in self._mutant.edits:
            if edit.module == module.__name__:
                if text.count(edit.was) != 1:
                    message = f"{file.name} no longer has the one place that the mutant {self._mutant.name!r} changes"
                    raise LookupError(message)
                text = text.replace(edit.was, edit.now)
        module.__file__ = str(file)
        exec(compile(text, str(file), "exec"), module.__dict__)  # our own text, changed


def become(mutant: Mutant) -> None:
    """Make this process run the mutant from here on. Raises RuntimeError when a module of it was imported before."""
    imported = [edit.module for edit in mutant.edits if edit.module in sys.modules]
    if imported:
        message = f"{imported[0]} was imported before it could be changed"
        raise RuntimeError(message)
    sys.meta_path.insert(0, _Mutating(mutant))
