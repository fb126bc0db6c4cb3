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
from pathlib import Path
from random import Random

import boto3

from dynamo.local import LocalDatabase, run_local
from tests.acceptance.conftest import one_scene
from tests.conftest import EMULATOR_ENVIRONMENT
from tests.crashes.campaign import LEASE, Tour
from tests.crashes.clocks import run_fast
from tests.crashes.proxy import FaultProxy
from tests.crashes.tally import PLACES, Tally

ROLLING = ("BACKFILL", "READY", "cutover: drain", "BAKE", "rollback: drain", "ROLLED_BACK")
"""Where somebody is killed while shards roll: the rolls are waited for in READY and in BAKE."""


def main() -> int:
    """Tour after tour, until enough kills are done; return 1 when anything was lost, or a place or fault was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.crashes")
    parser.add_argument("--kills", type=int, default=100, help="go on until so many are done")
    parser.add_argument("--steady", type=int, default=14, help="kills of each tour in READY, and again in BAKE")
    parser.add_argument("--rolls", type=int, default=0, help="then a tour in which each source's shard rolls so often")
    parser.add_argument("--speed", type=int, default=90, help="how fast the database's clock runs in that tour")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    os.environ.update(EMULATOR_ENVIRONMENT)
    random, good = Random(asked.seed), True
    if asked.kills:
        with run_local() as database:
            good = _campaign(database, asked.kills, (*PLACES, *("READY", "BAKE") * asked.steady), random)
    if asked.rolls:
        with run_fast(asked.speed) as database:
            good = _rolling(database, asked.rolls, random) and good
    return 0 if good else 1


def _campaign(database: LocalDatabase, kills: int, places: tuple[str, ...], random: Random) -> bool:
    """Kill everywhere once in each tour, and more often where a migration spends its weeks."""
    tally, met, began = Tally(), Counter[str](), time.monotonic()
    while tally.killed < kills:
        with _tour(database, random, tally, met) as tour:
            tour.run(places)
        print(f"{tally.killed} kills after {time.monotonic() - began:.0f} s", flush=True)
    missed = [*tally.missed, *_told(tally, met)]
    print(f"missed: {', '.join(missed) or 'nothing'}", flush=True)
    return not tally.wrong and not missed


def _rolling(database: LocalDatabase, rolls: int, random: Random) -> bool:
    tally, met = Tally(), Counter[str]()
    with _tour(database, random, tally, met) as tour:
        tour.run(tuple(place for place in PLACES if place in ROLLING), rolls=rolls)
    _told(tally, met)
    return not tally.wrong and tally.rolls["users"] >= rolls


@contextmanager
def _tour(database: LocalDatabase, random: Random, tally: Tally, met: Counter[str]) -> Iterator[Tour]:
    """Yield a tour with a scene and a proxy of its own; what the proxy did is added to ``met``."""
    client = boto3.client("dynamodb", endpoint_url=database.endpoint_url, region_name="us-east-1")
    with (
        tempfile.TemporaryDirectory() as folder,
        FaultProxy(database.endpoint_url, random.randrange(10**6)) as proxy,
        one_scene(client, database.endpoint_url, Path(folder)) as scene,
    ):
        try:
            yield Tour(scene, proxy, random, tally)
        except AssertionError:
            print(tally.table(lease=LEASE), flush=True)
            raise
        met.update(proxy.met)
        met["requests"] += proxy.passed
        met.update(dict.fromkeys(proxy.never_met, 0))
    client.close()


def _told(tally: Tally, met: Counter[str]) -> list[str]:
    """Print what was counted; return the faults that never struck."""
    print(tally.table(lease=LEASE))
    print("the network: " + ", ".join(f"{count} × {fault}" for fault, count in sorted(met.items())), flush=True)
    return [fault for fault, count in met.items() if not count]


if __name__ == "__main__":
    sys.exit(main())
