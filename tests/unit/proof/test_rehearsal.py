"""What a share keeps, and what is wrong with a query whose answers differ."""

from dataclasses import replace

import pytest

import proof.rehearsal as rehearsing
from domain.items import MARK_PREFIX, Item, text
from mapping.plan import Plan
from proof.examination import Examiner
from proof.rehearsal import Asked, Differing, Share, document_of, faults_of
from tests.examples import ADA, BOB, CYD, changed
from tests.world import plan_named

PLAN: Plan = plan_named("tyler-setup", "p")
BY_CREATION = PLAN.queries["users-by-creation"]
NULL = {"NULL": True}


def shared(*images: Item, share: Share | None = None) -> Share:
    """Take users into a share, as a page."""
    examiner, share = Examiner(PLAN, now_s=0), share or Share()
    share.take(images, [examiner.examine(PLAN.sources["users"], image) for image in images])
    return share


def names(share: Share) -> list[str]:
    return [each.found.source_id for each in share.kept()]


def differing(*missing: str, extra: tuple[str, ...] = (), disordered: bool = False) -> Differing:
    return Differing("users/ada", missing, extra, disordered)


def test_items_are_kept_once_and_in_an_order_of_their_own() -> None:
    assert names(shared(CYD, ADA, share=shared(BOB, ADA))) == ["users/ada", "users/bob", "users/cyd"]


def test_what_has_no_target_item_is_left_out() -> None:
    mark: Item = {"id": text(f"{MARK_PREFIX}1#2")}
    assert names(shared(ADA, mark, changed(BOB, id=text("x" * 2045)))) == ["users/ada"]


def test_a_share_is_bounded_by_items_and_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsing, "MOST_ITEMS", 2)
    full = shared(ADA, BOB, CYD)
    assert (len(full.kept()), full.is_full) == (2, True)
    monkeypatch.setattr(rehearsing, "MOST_ITEMS", 9)
    assert not full.is_full
    monkeypatch.setattr(rehearsing, "_MOST_BYTES", 1)
    assert names(shared(ADA, BOB)) == ["users/ada"]


def test_every_kind_of_difference_is_a_fault_of_its_own_and_an_item_counts_once() -> None:
    cases = (differing("users/bob"), differing("users/bob", extra=("users/cyd",)), differing(disordered=True))
    found = list(faults_of(BY_CREATION, Asked(3, 9, cases), shared(ADA, BOB, CYD)))
    assert found == [("query-lacks", "users/bob"), ("query-adds", "users/cyd"), ("query-disordered", "users/ada")]


def test_equal_answers_and_an_empty_table_are_no_fault_and_a_query_never_asked_is_one() -> None:
    assert list(faults_of(BY_CREATION, Asked(1, 3), shared(ADA))) == []
    assert list(faults_of(BY_CREATION, Asked(0, 0), Share())) == []
    assert list(faults_of(BY_CREATION, Asked(0, 0), shared(ADA))) == [("query-unasked", "")]


def test_an_item_is_excused_by_a_warning_about_that_very_index_if_others_do_answer() -> None:
    share, lacking = shared(ADA, changed(BOB, createdAt=NULL), changed(CYD, email=NULL)), differing("users/bob")
    assert list(faults_of(BY_CREATION, Asked(1, 3, (lacking,)), share)) == [("query-lacks-told", "users/bob")]
    assert list(faults_of(BY_CREATION, Asked(1, 1, (lacking,)), share)) == [("query-lacks", "users/bob")]
    other = differing("users/cyd")
    assert list(faults_of(BY_CREATION, Asked(1, 3, (other,)), share)) == [("query-lacks", "users/cyd")]
    renamed = replace(BY_CREATION, target=replace(BY_CREATION.target, index="GSI"))
    assert list(faults_of(renamed, Asked(1, 3, (lacking,)), share)) == [("query-lacks", "users/bob")]


def test_the_document_shows_a_few_differences_masked_and_the_gravest_of_its_faults() -> None:
    token = "TOPSECRETTOKEN"
    cases = tuple(Differing(f"refresh-tokens/{token}{each}", (), (), disordered=True) for each in range(9))
    document = document_of(PLAN, Asked(9, 9, cases), ["query-lacks-told", "query-disordered"])
    assert (document["verdict"], document["differing"], len(document["differences"])) == ("fail", 9, 5)
    assert token not in str(document)
    assert document_of(PLAN, Asked(1, 1), [])["verdict"] == "pass"
