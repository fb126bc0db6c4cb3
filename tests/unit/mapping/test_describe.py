"""The page about the plan is made of the plan."""

from pathlib import Path

import pytest

from mapping.describe import describe, main

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_in_the_documentation_is_current() -> None:
    """Else: python -m mapping.describe plans/tyler-setup.yaml > docs/reference/tyler-setup-mapping.md."""
    page = (ROOT / "docs" / "reference" / "tyler-setup-mapping.md").read_text(encoding="utf-8")
    assert describe(ROOT / "plans" / "tyler-setup.yaml") == page


def test_any_plan_can_be_described(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", str(ROOT / "plans" / "order-desk.yaml")]) == 0
    page = capsys.readouterr().out
    assert "Python `order_desk:priority`" in page
    assert "`S#{status}` / `{customerId}#{orderNo}`" in page


def test_a_plan_that_cannot_be_used_is_an_error_with_a_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", str(tmp_path / "none.yaml")]) == 1
    assert "none.yaml" in capsys.readouterr().err
    assert main(["describe"]) == 2
