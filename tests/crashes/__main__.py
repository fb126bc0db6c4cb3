"""``python -m tests.crashes --kills 100``: real workers on DynamoDB Local, a broken network between, killed everywhere.

``--rolls 2`` adds a tour on a database whose clock runs faster (`tests.crashes.clocks`), so that shards roll.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import boto3

from dynamo.local import LocalDatabase, run_local
from tests.acceptance.conftest import one_scene
from tests.conftest import EMULATOR_ENVIRONMENT
from tests.crashes.campaign import Tour
from tests.crashes.clocks import run_fast
from tests.crashes.proxy import FaultProxy, Weather
from tests.crashes.tally import PLACES, Tally

ROLLING = ("BACKFILL", "READY", "cutover: drain", "BAKE", "rollback: drain", "ROLLED_BACK")
"""Where somebody is killed while shards roll: the rolls are waited for in READY and in BAKE."""


def main() -> int:
    """Tour after tour, until enough kills are done; return 1 when anything was lost, or a place or fault was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.crashes")
    parser.add_argument("--kills", type=int, default=100, help="go on until so many are done")
    parser.add_argument("--steady", type=int, default=14, help="kills of each tour in READY, and again in BAKE")
    parser.add_argument("--rolls", type=int, default=0, help="then a tour in which each source's shard rolls so often")
    parser.add_argument("--speed", type=int, default=60, help="how fast the database's clock runs in that tour")
    parser.add_argument("--lease", type=float, default=4.0, help="seconds; more where the machine is very busy")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    os.environ.update(EMULATOR_ENVIRONMENT)
    random, good = Random(asked.seed), True
    if asked.kills:
        with run_local() as database:
            good = _campaign(Arena(database, random, asked.lease), asked.kills, asked.steady)
    if asked.rolls:
        with run_fast(asked.speed) as database:
            good = _rolling(Arena(database, random, asked.lease), asked.rolls) and good
    return 0 if good else 1


@dataclass(frozen=True, slots=True)
class Arena:
    """Where tours take place."""

    database: LocalDatabase
    random: Random
    lease: float


def _campaign(arena: Arena, kills: int, steady: int) -> bool:
    """Kill everywhere once in each tour, and more often where a migration spends its weeks."""
    places = (*PLACES, *("READY", "BAKE") * steady)
    tally, met, began = Tally(), Counter[str](), time.monotonic()
    while tally.killed < kills:
        with _tour(arena, tally, met) as tour:
            tour.run(places)
        print(f"{tally.killed} kills after {time.monotonic() - began:.0f} s", flush=True)
    missed = [*tally.missed, *(fault for fault, count in met.items() if not count)]
    print(f"missed: {', '.join(missed) or 'nothing'}", flush=True)
    return not tally.wrong and not missed


def _rolling(arena: Arena, rolls: int) -> bool:
    tally, met = Tally(), Counter[str]()
    with _tour(arena, tally, met) as tour:
        tour.run(tuple(place for place in PLACES if place in ROLLING), rolls=rolls)
    return not tally.wrong and tally.rolls["users"] >= rolls


@contextmanager
def _tour(arena: Arena, tally: Tally, met: Counter[str]) -> Iterator[Tour]:
    """Yield a tour with a scene and a proxy of its own; at its end, whatever that is, print all that was counted."""
    url = arena.database.endpoint_url
    client = boto3.client("dynamodb", endpoint_url=url, region_name="us-east-1")
    with (
        tempfile.TemporaryDirectory() as folder,
        FaultProxy(url, arena.random.randrange(10**6), Weather.for_lease(arena.lease)) as proxy,
        one_scene(client, url, Path(folder)) as scene,
    ):
        try:
            yield Tour(scene, proxy, arena.random, tally, arena.lease)
        finally:
            met.update({**proxy.met, "requests": proxy.passed, **dict.fromkeys(proxy.never_met, 0)})
            print(tally.table(lease=arena.lease))
            print("network: " + ", ".join(f"{count} × {fault}" for fault, count in sorted(met.items())), flush=True)
    client.close()


if __name__ == "__main__":
    sys.exit(main())
