"""Settings of a process: from the environment, frozen, each with its unit and reason. The plan is no setting."""

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from cutover.gates import Limits
from cutover.judgement import Rules
from domain.errors import FatalError
from dynamo.local import endpoint_from_environment

ENVIRONMENT = {
    "plan": "TABLETURN_PLAN",
    "ledger": "TABLETURN_LEDGER",
    "account_endpoint_url": "TABLETURN_ACCOUNT_ENDPOINT_URL",
    "region": "AWS_REGION",
    "dry_run": "DRY_RUN",
    "preserve_sources": "PRESERVE_OLD_TABLES",
    "log_level": "MIGRATION_LOG_LEVEL",
    "lease_seconds": "TABLETURN_LEASE_SECONDS",
    "request_seconds": "TABLETURN_REQUEST_SECONDS",
    "flag_staleness_seconds": "TABLETURN_FLAG_STALENESS_SECONDS",
    "longest_request_seconds": "TABLETURN_LONGEST_REQUEST_SECONDS",
    "max_blocked_seconds": "TABLETURN_MAX_BLOCKED_SECONDS",
    "prepare_seconds": "TABLETURN_PREPARE_SECONDS",
    "verify_seconds": "TABLETURN_VERIFY_SECONDS",
    "bake_seconds": "TABLETURN_BAKE_SECONDS",
    "window_opens": "TABLETURN_WINDOW_OPENS",
    "window_closes": "TABLETURN_WINDOW_CLOSES",
    "require_backups": "TABLETURN_REQUIRE_BACKUPS",
    "backup_age_seconds": "TABLETURN_BACKUP_AGE_SECONDS",
    "target_triggers": "TABLETURN_TARGET_TRIGGERS",
    "reconcile_interval_seconds": "TABLETURN_RECONCILE_INTERVAL_SECONDS",
    "reconcile_read_units": "TABLETURN_RECONCILE_READ_UNITS",
    "folder": "TABLETURN_FOLDER",
    "switch_file": "TABLETURN_SWITCH_FILE",
    "notices_file": "TABLETURN_NOTICES_FILE",
    "auto_repair": "TABLETURN_AUTO_REPAIR",
    "auto_repair_kinds": "TABLETURN_AUTO_REPAIR_KINDS",
    "page_items": "TABLETURN_PAGE_ITEMS",
    "segments": "TABLETURN_SEGMENTS",
    "host": "TABLETURN_HOST",
    "port": "TABLETURN_PORT",
}
"""Where each setting stands in the environment; the endpoint has `dynamo.local.ENDPOINT_VARIABLES`."""


_LONGEST = 10 * 365 * 86_400
Seconds = Annotated[float, Field(le=_LONGEST, allow_inf_nan=False)]
"""At most ten years: for ever is no time to wait for, and no number of milliseconds either."""


class Settings(BaseModel):
    """What one process is told; all of it can differ between two workers of one migration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: str = Field("tyler-setup", description="path of the plan file, or the name of a plan that ships with it")
    ledger: str = Field("", description="name of the ledger table; empty: the target's name and -tableturn")
    endpoint_url: str | None = Field(None, description="where DynamoDB answers; none: AWS")
    account_endpoint_url: str | None = Field(
        None, description="where IAM, Lambda … answer; none: AWS, or nobody when DynamoDB has an endpoint"
    )
    region: str | None = Field(None, description="AWS region; none: what the AWS profile says")
    dry_run: bool = Field(default=False, description="only say what would be done, where a command knows --dry-run")
    preserve_sources: bool = Field(default=True, description="archive: the legacy tables are not deleted, ever")
    log_level: str = Field("info", pattern="(?i)^(debug|info|warning|warn|error)$", description="least level logged")
    lease_seconds: Seconds = Field(10.0, gt=0, description="s: a standby takes over after it; 5 at least where busy")
    request_seconds: Seconds = Field(3.0, gt=0, description="s: longest time-out of one write; fits into the lease")
    flag_staleness_seconds: Seconds = Field(
        1.0, ge=0, description="s: how old an application's view of the flag may be"
    )
    longest_request_seconds: Seconds = Field(2.0, ge=0, description="s: the application's longest write request")
    max_blocked_seconds: Seconds = Field(
        10.0, gt=0, description="s: a switch that blocks writes longer takes itself back"
    )
    verify_seconds: Seconds = Field(
        1.0, gt=0, description="s: under the fence everything is compared if that takes no longer, else what changed"
    )
    prepare_seconds: Seconds = Field(
        300.0, gt=0, description="s: what comes before the fence of a switch may take so long; nothing is blocked then"
    )
    bake_seconds: Seconds = Field(604_800.0, ge=0, description="s: the least time between cutover and complete: 7 days")
    window_opens: AwareDatetime | None = Field(
        None, description="a cutover waits until then: ISO 8601 with its zone; none: at any time"
    )
    window_closes: AwareDatetime | None = Field(None, description="… and is refused from then on")
    require_backups: Literal["auto", "true", "false"] = Field(
        "auto", description="a cutover wants a backup of every source and recovery on; auto: where there is an account"
    )
    backup_age_seconds: Seconds = Field(604_800.0, gt=0, description="s: how old those backups may be: 7 days")
    target_triggers: str = Field(
        "", description="who may act on the target's stream from the cutover on, as the gate names them; with commas"
    )
    reconcile_interval_seconds: Seconds = Field(60.0, gt=0, description="s: between scheduled full comparisons")
    reconcile_read_units: int | None = Field(
        None, gt=0, description="RCU/s that a scheduled comparison may consume; none: as fast as it can"
    )
    folder: Path | None = Field(
        None, description="where a comparison keeps what it has seen; none: nowhere, and one that is killed begins anew"
    )
    switch_file: Path | None = Field(
        None, description="what acts with a switch besides the flag (docs/reference/switch-file.md); none: nothing does"
    )
    notices_file: Path | None = Field(
        None, description="who is told what, and how (docs/operating/notices.md); none: nobody is told anything"
    )
    auto_repair: int = Field(
        0, ge=0, le=10_000, description="so many items that disagree are mended without being asked; more are not"
    )
    auto_repair_kinds: str = Field(
        "missing,different",
        pattern=r"^(missing|extra|different)(,(missing|extra|different))*$",
        description="which kinds of them, with commas between",
    )
    page_items: int | None = Field(
        None, gt=0, le=1_000_000, description="items a scanned page holds at most; none: 1 MB pages"
    )
    segments: int = Field(2, gt=0, le=1_000_000, description="scan segments per source, at least")
    host: str = Field("127.0.0.1", description="address to listen on: loopback unless told otherwise")
    port: int = Field(9464, ge=0, le=65_535, description="port of /metrics and /healthz; 0: any free one")

    @classmethod
    def from_environment(cls, **flags: object) -> "Settings":
        """Read the environment; flags that are not None win. Raises FatalError naming each variable that is wrong."""
        found: dict[str, object] = {
            name: os.environ[variable] for name, variable in ENVIRONMENT.items() if os.environ.get(variable)
        }
        found["endpoint_url"] = endpoint_from_environment()
        found |= {name: value for name, value in flags.items() if value is not None}
        try:
            return cls.model_validate(found)
        except ValidationError as error:
            wrong = [
                f"{ENVIRONMENT.get(str(each['loc'][0]), each['loc'][0])}: {each['msg']}" for each in error.errors()
            ]
            message = f"settings cannot be used: {'; '.join(wrong)}"
            raise FatalError(message, hint="see `tableturn run --help`") from error

    def limits(self) -> Limits:
        """Return what the gates demand under these settings."""
        verify_ms = int(min(self.max_blocked_seconds / 2, self.verify_seconds) * 1000)
        return Limits(
            bake_ms=int(self.bake_seconds * 1000),
            verify_ms=verify_ms,
            stable_ms=int(self.lease_seconds * 1000),
            rules=self._rules(),
        )

    @property
    def has_account(self) -> bool:
        """Tell whether there is an account around the tables: not behind an endpoint of DynamoDB alone."""
        return self.endpoint_url is None or self.account_endpoint_url is not None

    def _rules(self) -> Rules:
        return Rules(
            opens_ms=_in_ms(self.window_opens),
            closes_ms=_in_ms(self.window_closes),
            account=self.has_account,
            backups={"auto": None, "true": True, "false": False}[self.require_backups],
            backup_age_ms=int(self.backup_age_seconds * 1000),
            triggers=frozenset(name.strip() for name in self.target_triggers.split(",") if name.strip()),
        )

    def plan_path(self) -> Path:
        """Return the plan file: as named, or the one of that name that ships with the program."""
        given = Path(self.plan)
        shipped = Path(__file__).parent.parent / "plans" / f"{self.plan}.yaml"
        return shipped if not _stands(given) and _stands(shipped) else given


def _in_ms(moment: datetime | None) -> int:
    return 0 if moment is None else int(moment.timestamp() * 1000)


def _stands(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long for any file; reading it says so by name
        return False
