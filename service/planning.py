"""``tableturn plan``: the proof with its options, and the files it leaves when it has come to its end."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from proof.forecast import Pace
from proof.prices import read_prices
from proof.runner import Proof, ProofPorts, ProofSettings
from service.documents import check_report
from service.planreport import write_files
from service.rehearsing import rehearse


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What the operator asks of a proof; ``report`` None leaves no file; ``principal`` None: who asks.

    ``record``: keep it in the ledger of the migration that is under way; ``override``: why, though it failed.
    """

    pace: Pace
    sample: int | None = None
    shown: int = 1
    report: Path | None = None
    prices: Path | None = None
    principal: str | None = None
    record: bool = False
    override: str = ""


async def proven(ports: ProofPorts, options: PlanOptions, ledger: str) -> dict[str, Any]:
    """Prove the plan and return the report. One that is interrupted is taken up by the next with the same report file.

    Raises FatalError for a table that is not there, or a file that cannot be read or written.
    """
    check_report(options.report)
    workbook = None if options.report is None else options.report.with_suffix(".workbook")
    settings = ProofSettings(
        options.pace, read_prices(options.prices), ledger, options.principal, options.sample, options.shown, workbook
    )
    ports = replace(ports, rehearse=partial(rehearse, ports.plan, ports.clock))
    proof, done = await Proof.begin(ports, settings), False
    try:
        document = await proof.run()
        if options.report is not None:
            write_files(document, proof.offenders(), options.report)
        done = True
    finally:
        proof.close(done=done)
    return document
