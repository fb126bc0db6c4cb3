"""``tableturn report``: read what the operator adds, retell the ledger, write it down."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.markdown import Markdown

from domain.errors import FatalError
from service.baseline import compare, read_baseline
from service.console import OUT, Exit, as_json
from service.documents import read_document
from service.postreport import markdown, write_report
from service.retelling import Told, retold
from service.session import session
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """Where the report goes, the baselines in the order of time, the proof's report, and ticks by hand."""

    output: Path | None
    baselines: Sequence[Path]
    proof: Path | None
    ticks: Sequence[str]

    def told(self) -> Told:
        """Read all that is named. Raises FatalError naming what cannot be read or ticked."""
        ticks = dict(_tick(each) for each in self.ticks)
        baselines = sorted(map(read_baseline, self.baselines), key=lambda each: each["begun_ms"])
        several = len(baselines) > 1
        return Told(
            compared=compare(*baselines) if several else None,
            last_baseline=baselines[-1] if baselines else None,
            proof=read_document(self.proof, "a report", hint="name what `plan --report` wrote") if self.proof else None,
            ticks=ticks,
        )


async def report_migration(settings: Settings, options: ReportOptions, *, json: bool) -> Exit:
    """Print the report, or write it where it was asked for."""
    told = options.told()
    async with session(settings) as opened:
        await opened.check_ledger()
        sources, limits = list(opened.plan.sources), settings.limits()
        document = await retold(opened.ledger, sources, limits, told, opened.clock.wall_ms())
    unknown = told.ticks.keys() - {each["criterion"] for each in document["criteria"]}
    if unknown:
        known = "; ".join(each["criterion"] for each in document["criteria"])
        raise FatalError(f"there is no criterion {', '.join(sorted(unknown))}", hint=f"there are: {known}")
    if options.output is not None:
        write_report(document, options.output)
    if json:
        as_json(document)
    elif options.output is None:
        OUT.print(Markdown(markdown(document)))
    else:
        OUT.print(f"✓ {options.output}")
    return Exit.DONE


def _tick(words: str) -> tuple[str, str]:
    criterion, _, who = (part.strip() for part in words.partition("="))
    if not criterion or not who:
        raise FatalError(f"--tick {words!r} names nobody", hint='write --tick "CRITERION=who says so"')
    return criterion, who
