"""``python -m tests.crashes.steps``: the worker is killed before and after every step of a switch, in both directions.

``--kills 6`` draws so many of them; without it all are done, which takes a quarter of an hour.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from random import Random

import boto3

from dynamo.local import run_local
from tests.acceptance.conftest import one_scene
from tests.conftest import EMULATOR_ENVIRONMENT
from tests.crashes.ambush import Ambush
from tests.crashes.campaign import LONGEST_REQUEST, prepare
from tests.crashes.people import Application
from tests.crashes.proxy import FaultProxy
from tests.crashes.siege import WITHIN, Siege, table


def main() -> int:
    """Kill, print, and return 1 when a write was lost, a kill missed, or the application waited too long."""
    parser = argparse.ArgumentParser(prog="python -m tests.crashes.steps")
    parser.add_argument("--kills", type=int, default=0, help="draw so many; 0: all")
    parser.add_argument("--lease", type=float, default=10.0, help="seconds; the program's default")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one document on standard output instead of a table")
    asked = parser.parse_args()
    os.environ.update(EMULATOR_ENVIRONMENT)
    random, began = Random(asked.seed), time.monotonic()
    with run_local() as database, tempfile.TemporaryDirectory() as folder:
        client = boto3.client("dynamodb", endpoint_url=database.endpoint_url, region_name="us-east-1")
        with (
            FaultProxy(database.endpoint_url, asked.seed) as proxy,
            one_scene(client, database.endpoint_url, Path(folder)) as scene,
        ):
            prepare(scene, proxy.url, asked.lease)
            proxy.ambush = Ambush(scene.program.kill_last)
            with Application(scene, seed=random.randrange(10**6), longest=LONGEST_REQUEST) as application:
                siege = Siege(scene, proxy.ambush, application)
                _lay_and_strike(siege, random, asked.kills)
            writes = application.writes
        client.close()
    slow = [fall for fall in siege.falls if fall.writable > WITHIN]
    good = not siege.missed and not slow
    if asked.json:
        document = {"good": good, "writes": writes, "lease": asked.lease, "routes": siege.routes}
        document |= {"missed": [str(kill) for kill in siege.missed], "kills": [asdict(fall) for fall in siege.falls]}
        json.dump(document, sys.stdout, indent=2)
        return 0 if good else 1
    print(table(siege.falls))
    print(
        f"{writes} writes of the application, the lease is {asked.lease:.0f} s, {time.monotonic() - began:.0f} s in all"
    )
    print(f"missed: {', '.join(map(str, siege.missed)) or 'nothing'}; later than {WITHIN:.0f} s: {len(slow)}")
    return 0 if good else 1


def _lay_and_strike(siege: Siege, random: Random, kills: int) -> None:
    siege.lay()
    for command, route in siege.routes.items():
        print(f"{command}: {', '.join(route)}", file=sys.stderr, flush=True)
    todo = list(siege.todo())
    try:
        for fall in siege.carry_out(random.sample(todo, kills) if kills else todo):
            outcome = "switched" if fall.switched else "taken back"
            print(f"{fall.kill}: {outcome}, writable after {fall.writable:.1f} s", file=sys.stderr, flush=True)
    except AssertionError:
        print(table(siege.falls), file=sys.stderr)
        raise


if __name__ == "__main__":
    sys.exit(main())
