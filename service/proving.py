"""``tableturn plan``: every legacy item read, translated and untranslated; nothing is written but the report."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from domain.errors import DataError
from domain.items import Item, TargetKey, digest
from dynamo.ports import Database, ScanRequest
from mapping.plan import Plan, SourceTable

_EXAMPLES = 20


@dataclass(slots=True)
class Proof:
    """What the scan found. Examples are masked; counts are exact."""

    items: Counter[str] = field(default_factory=Counter)
    target_items: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    samples: list[dict[str, object]] = field(default_factory=list)
    keys: dict[TargetKey, str] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Tell whether every item can go there and back."""
        return not self.faults

    def fault(self, kind: str, example: str) -> None:
        """Count a fault and keep a few examples."""
        self.faults[kind] += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(f"{kind}: {example}")


async def prove(database: Database, plan: Plan, *, told: Callable[[str, int], None]) -> Proof:
    """Scan every source and try both directions on each item; ``told`` hears of every page (source, items)."""
    proof = Proof()
    for source in plan.sources.values():
        start: Item | None = None
        while True:
            page = await database.scan_page(ScanRequest(source.definition.name, start=start))
            for image in source.definition.without_marks(page.items):
                _try(plan, source, image, proof)
            told(source.name, len(page.items))
            start = page.last_key
            if start is None:
                break
    return proof


def _try(plan: Plan, source: SourceTable, image: Item, proof: Proof) -> None:
    source_id = plan.source_id(source.name, image)
    proof.items[source.name] += 1
    try:
        made = plan.translate(source.name, image)
        back = plan.untranslate(made.items[made.primary])
    except DataError as fault:
        proof.fault("untranslatable", f"{plan.masked(source_id)}: {fault}")
        return
    proof.target_items += len(made.items)
    if back is None or digest(back.item) != digest(image):
        proof.fault("not invertible", plan.masked(source_id))
    for key in made.items:
        taken = proof.keys.setdefault(key, source_id)
        if taken != source_id:
            proof.fault("collision", f"{plan.masked(source_id)} and {plan.masked(taken)} at {plan.masked_target(key)}")
    if proof.items[source.name] == 1:
        after = [plan.masked_item(item) for item in made.items.values()]
        proof.samples.append({"source": source.name, "before": plan.masked_item(image), "after": after})
