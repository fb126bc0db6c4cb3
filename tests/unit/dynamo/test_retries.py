"""The retry loop, in a time of its own: nothing here really waits."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

import pytest

from domain.errors import (
    ConditionFailed,
    FencedError,
    IteratorExpired,
    TableturnError,
    ThrottledError,
    TransientError,
)
from domain.guards import Attempt
from dynamo.failures import Unwritten
from dynamo.observer import Kind
from dynamo.retries import Retrier, RetryPolicy, Subject

POLICY = RetryPolicy(attempt_timeout_s=2, budget_s=10, base_delay_s=0.1, throttled_base_delay_s=1, max_delay_s=3)
SUBJECT = Subject("PutItem", "users")


class Longest(Random):
    """Jitter that always draws the longest delay."""

    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


class Diary:
    """Time, guard and observer in one: everything that happened, in order."""

    def __init__(self, *, permits: int = 100, seconds: float = 60) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self.told: list[str] = []
        self.permits = permits
        self.seconds = seconds

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.now += seconds

    def begin(self) -> Attempt:
        if not self.permits:
            raise FencedError("no lease")
        self.permits -= 1
        self.told.append("begin")
        return Attempt(len(self.told), self.seconds)

    def end(self, attempt: Attempt, *, answered: bool) -> None:
        del attempt
        self.told.append(f"end {answered}")

    def on_attempt(self, operation: str, seconds: float) -> None:
        self.told.append(f"{operation} took {seconds}")

    def on_throttled(self, table: str, operation: str) -> None:
        self.told.append(f"throttled {operation} on {table}")

    def on_consumed(self, table: str, kind: Kind, units: float) -> None:
        self.told.append(f"{units} {kind} of {table}")


def retrier(diary: Diary, policy: RetryPolicy = POLICY) -> Retrier:
    return Retrier(policy, random=Longest(), observer=diary, now=diary.time, sleep=diary.sleep)


def script(*outcomes: TableturnError | str) -> Callable[[], Awaitable[str]]:
    """Return an attempt that fails and succeeds as told, the last outcome for ever."""
    left = list(outcomes)

    async def attempt() -> str:
        outcome = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(outcome, str):
            return outcome
        raise outcome

    return attempt


async def test_a_passing_trouble_is_tried_again_with_doubling_delays_up_to_the_longest() -> None:
    diary = Diary()
    troubles = [TransientError("5xx")] * 7
    assert await retrier(diary).run(script(*troubles, "done"), SUBJECT) == "done"
    assert diary.slept == [0.1, 0.2, 0.4, 0.8, 1.6, 3, 3]


async def test_throttling_waits_longer_and_is_told() -> None:
    diary = Diary()
    assert await retrier(diary).run(script(ThrottledError("slow"), ThrottledError("slow"), "done"), SUBJECT) == "done"
    assert diary.slept == [1, 2]
    assert diary.told.count("throttled PutItem on users") == 2


async def test_the_budget_ends_it_with_the_number_of_attempts_and_the_last_error_as_cause() -> None:
    diary = Diary()
    last = ThrottledError("slow")
    with pytest.raises(ThrottledError, match=r"slow; gave up after 5 attempts in 9\.0 s") as failure:
        await retrier(diary).run(script(last), SUBJECT)
    assert failure.value.__cause__ is last
    assert diary.now <= POLICY.budget_s


async def test_a_spent_budget_says_unknown_even_if_the_last_attempt_wrote_nothing() -> None:
    with pytest.raises(TransientError) as failure:
        await retrier(Diary()).run(script(TransientError("5xx"), Unwritten("no connection")), SUBJECT)
    assert type(failure.value) is TransientError


@pytest.mark.parametrize("final", [ConditionFailed("no"), IteratorExpired("old"), FencedError("gone")])
async def test_what_no_repetition_mends_is_raised_at_once(final: TableturnError) -> None:
    diary = Diary()
    with pytest.raises(type(final)):
        await retrier(diary).run(script(final), SUBJECT)
    assert diary.slept == []


async def test_the_guard_is_asked_before_and_told_after_every_attempt() -> None:
    diary = Diary()
    outcomes = (TransientError("5xx"), ThrottledError("slow"), Unwritten("no line"), ConditionFailed("no"))
    with pytest.raises(ConditionFailed):
        await retrier(diary).run(script(*outcomes), SUBJECT, guard=diary)
    guarded = [each for each in diary.told if each.startswith(("begin", "end"))]
    assert guarded == ["begin", "end False", "begin", "end True", "begin", "end True", "begin", "end True"]


async def test_a_lease_that_ends_between_attempts_fences_the_next() -> None:
    diary = Diary(permits=2)
    with pytest.raises(FencedError):
        await retrier(diary).run(script(TransientError("5xx")), SUBJECT, guard=diary)
    assert diary.told.count("begin") == 2
    assert diary.told.count("end False") == 2


@pytest.mark.parametrize(("seconds", "policy_s"), [(0.01, 60.0), (60.0, 0.01)])
async def test_an_attempt_is_cut_off_by_the_shorter_of_lease_and_policy(seconds: float, policy_s: float) -> None:
    diary = Diary(permits=1, seconds=seconds)
    cut_off = False

    async def hang() -> None:
        nonlocal cut_off
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cut_off = True
            raise

    with pytest.raises(FencedError):
        async with asyncio.timeout(5):
            await retrier(diary, RetryPolicy(attempt_timeout_s=policy_s)).run(hang, SUBJECT, guard=diary)
    assert cut_off
    assert "end False" in diary.told


async def test_a_cancelled_caller_still_closes_its_attempt_as_unanswered() -> None:
    diary = Diary()
    started = asyncio.Event()

    async def hang() -> None:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(retrier(diary).run(hang, SUBJECT, guard=diary))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert diary.told[:2] == ["begin", "end False"]


def test_jitter_is_full_and_comes_from_the_random_given() -> None:
    drawn = [POLICY.delay(6, Random(seed), throttled=False) for seed in range(200)]
    assert 0 <= min(drawn) < 0.2
    assert 2.8 < max(drawn) <= 3
    assert drawn[0] == POLICY.delay(6, Random(0), throttled=False)
    assert POLICY.delay(10_000, Longest(), throttled=True) == POLICY.max_delay_s
