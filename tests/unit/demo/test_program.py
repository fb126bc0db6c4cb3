"""Running the real program: what it says when it fails is part of the error, and a dead worker is noticed."""

import asyncio
from pathlib import Path

import pytest

from service.demo.program import Program, ProgramFailed, ProgramRefused

NOWHERE = {"TABLETURN_ENDPOINT_URL": "http://127.0.0.1:9", "SECRETS_PREFIX": "demo-nowhere"}


async def test_a_command_that_fails_is_told_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(ProgramFailed, match=r"(?s)`tableturn nonsense` ended with code 2: .*nonsense") as failed:
        await Program(NOWHERE, tmp_path).command("nonsense")
    assert not isinstance(failed.value, ProgramRefused)


async def test_a_worker_that_ends_by_itself_is_noticed_with_its_last_lines(tmp_path: Path) -> None:
    program = Program({**NOWHERE, "TABLETURN_LEASE_SECONDS": "not a number"}, tmp_path)
    await program.start_worker()
    async with asyncio.timeout(30):
        while await _is_alive(program):
            await asyncio.sleep(0.1)
    with pytest.raises(ProgramFailed, match="ended with code 1") as failed:
        program.check_worker()
    assert "TABLETURN_LEASE_SECONDS" in failed.value.hint
    assert await program.stop_worker() == 1


async def _is_alive(program: Program) -> bool:
    try:
        program.check_worker()
    except ProgramFailed:
        return False
    return True


async def test_the_users_own_migration_is_none_of_the_demos_business(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TABLETURN_PLAN", "/no/such/plan.yaml")
    monkeypatch.setenv("DRY_RUN", "true")
    program = Program(NOWHERE, tmp_path)
    assert not {"TABLETURN_PLAN", "DRY_RUN"} & program._environment.keys()
