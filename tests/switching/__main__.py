"""``python -m tests.switching --cutovers 20 --rate 50``: what switches cost of writes, and that none of these is lost.

Both applications of the demo write all the time, and the flag says which of them may. Each switch is measured by the
worker and, from outside, by the applications; around each the demo's checker holds both sides against the journal.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import time

from rich.console import Console

from domain.errors import TableturnError
from service.demo.stage import Options
from service.supervisor import gravest
from tests.conftest import EMULATOR_ENVIRONMENT
from tests.switching.measures import MEDIAN_MS, MOST_MS, Measured
from tests.switching.rounds import campaign


def main() -> int:
    """Measure, print, and return 1 when something is not accounted for, 2 when only the limits were missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.switching")
    parser.add_argument("--cutovers", type=int, default=20, help="so many, each followed by its rollback")
    parser.add_argument("--rate", type=int, default=50, help="writes a second of the application that serves")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one document on standard output instead of a table")
    parser.add_argument("--keep", action="store_true", help="leave journal and logs behind")
    asked = parser.parse_args()
    os.environ.update(EMULATOR_ENVIRONMENT)
    began, console = time.monotonic(), Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        options = Options(asked.rate, asked.seed, asked.keep)
        measured = asyncio.run(campaign(options, asked.cutovers, console, lambda found: console.print(found.line())))
    except (TableturnError, BaseExceptionGroup) as error:
        cause = gravest(error)
        if not isinstance(cause, TableturnError):
            raise
        console.print(f"{cause.message}\n{cause.hint}", markup=False)
        return 1
    machine = f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[2]:.1f} over the last 15 minutes"
    if asked.json:
        document = {**measured.document(), "machine": machine, "seconds": round(time.monotonic() - began)}
        json.dump(document, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        print(f"{measured.table()}\n{verdict(measured)} in {time.monotonic() - began:.0f} s ({machine})")
    return 0 if measured.clean and measured.quick else 2 if measured.clean else 1


def verdict(measured: Measured) -> str:
    """Return it in a few words."""
    if not measured.clean:
        return "FAILED: not everything is accounted for"
    limits = f"median < {MEDIAN_MS / 1000:.0f} s, max < {MOST_MS / 1000:.0f} s"
    return f"nothing was lost; {limits}: {'kept' if measured.quick else 'MISSED'}"


if __name__ == "__main__":
    sys.exit(main())
