"""CPU per item of the pure path, as ratios to the floor of the same run: parsing and dumping the item alone.

Figures are CPU µs per item (process time), the median of several rounds over the sample of all five legacy tables.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import orjson

from apply.stamping import stamped
from domain.items import Item, digest
from domain.positions import Version
from mapping.plan import Plan, load_plan

ROOT = Path(__file__).parent.parent
ROUNDS, REPEATS = 7, 10


def sample(plan: Plan) -> list[tuple[str, bytes]]:
    """Return (source, one item as the wire has it) for every item of the sample."""
    found = []
    for source in plan.sources:
        lines = (ROOT / "service" / "demo" / "sample" / f"{source}.jsonl").read_bytes().splitlines()
        found += [(source, orjson.dumps(orjson.loads(line)["Item"])) for line in lines]
    return found


def cost(step: Callable[[str, bytes], object], items: list[tuple[str, bytes]]) -> float:
    """Return the CPU µs per item of a step: the median of the rounds."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(REPEATS):
            for source, raw in items:
                step(source, raw)
        rounds.append((time.process_time() - began) / (REPEATS * len(items)) * 1e6)
    return statistics.median(rounds)


def steps(plan: Plan) -> dict[str, Callable[[str, bytes], object]]:
    """Return what is measured, the floor first; each step holds all of the one before it."""

    def floor(_: str, raw: bytes) -> object:
        return orjson.dumps(orjson.loads(raw))

    def translate(source: str, raw: bytes) -> object:
        made = plan.translate(source, orjson.loads(raw))
        return [orjson.dumps(item) for item in made.items.values()]

    def stamp(source: str, raw: bytes) -> object:
        image: Item = orjson.loads(raw)
        source_id, version = plan.source_id(source, image), Version(1)
        made = plan.translate(source, image).items.items()
        return [orjson.dumps(stamped(key, item, source_id, version).item) for key, item in made]

    def there_and_back(source: str, raw: bytes) -> object:
        made = plan.translate(source, orjson.loads(raw))
        back = plan.untranslate(made.items[made.primary])
        return None if back is None else digest(back.item)

    return {
        "parse and dump (the floor)": floor,
        "… and translate": translate,
        "… and stamp, as the copy writes it": stamp,
        "parse, translate, untranslate, digest": there_and_back,
    }


def main() -> None:
    """Print one line per step."""
    plan = load_plan(ROOT / "plans" / "tyler-setup.yaml", variables={"SECRETS_PREFIX": "bench"})
    items = sample(plan)
    print(f"{len(items)} items of five tables, {ROUNDS} rounds of {REPEATS}")
    floor = 0.0
    for name, step in steps(plan).items():
        spent = cost(step, items)
        floor = floor or spent
        print(f"{name:40} {spent:8.1f} µs an item   {spent / floor:6.1f} × the floor")


if __name__ == "__main__":
    main()
