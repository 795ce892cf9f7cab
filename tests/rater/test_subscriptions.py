"""What may be asked of a subscription, and as of when."""

from __future__ import annotations

import msgspec
import pytest

from rater.errors import WalletError
from rater.plans.life import Step, Subscription, View
from rater.subscriber import Assignment, Subscriber
from rater.subscriptions import Subscriptions
from tests.rater.pipeline.conftest import NOW_MS
from tests.rater.pipeline.test_plans import OCTOBER_MS, Planned, bench

__all__ = ["bench"]

DAY_MS = 86_400_000


async def sold(bench: Planned, plan: str) -> tuple[Subscriptions, Subscriber]:
    await bench.planned("20", plan)
    subscriptions = Subscriptions(bench.store, bench.catalogue())
    found = await bench.directory.get("t", "sim-1")
    assert found is not None
    await subscriptions.begin(subscriptions.subject(found, OCTOBER_MS))
    return subscriptions, found


@pytest.mark.parametrize("wallet", ["other", "w"], ids=["another wallet", "another plan"])
async def test_nothing_is_assigned_as_of_before_the_plan_that_a_subscriber_has(bench: Planned, wallet: str) -> None:
    """Its numbers and fees would go on in a wallet that does not pay for it any more."""
    subscriptions, found = await sold(bench, "data-5")
    wanted = Assignment(NOW_MS, wallet, wallet, "payg", "EUR")
    began_ms = found.assignments[-1].from_ms
    for from_ms in (NOW_MS, began_ms):
        await subscriptions.check_move(found, msgspec.structs.replace(wanted, from_ms=from_ms))
    with pytest.raises(WalletError, match="from: sim-1 has its plan since"):
        await subscriptions.check_move(found, msgspec.structs.replace(wanted, from_ms=began_ms - 1))


async def test_who_has_no_subscription_is_moved_as_of_any_time(bench: Planned) -> None:
    await bench.planned("20", "payg")
    subscriptions = Subscriptions(bench.store, bench.catalogue())
    found = await bench.directory.get("t", "sim-1")
    assert found is not None
    await subscriptions.check_move(found, Assignment(1, "other", "other", "payg", "EUR"))


async def test_nothing_is_changed_as_of_before_a_step_that_was_made(bench: Planned) -> None:
    """Another process, whose clock is ahead, has begun a period: what was paid for that would be lost."""
    subscriptions, found = await sold(bench, "data-5")
    december = subscriptions.subject(found, OCTOBER_MS + 62 * DAY_MS)
    await subscriptions.present(december)
    before = await bench.balance_nanos("w")

    def wanted(_: Subscription, __: View) -> Step:
        raise AssertionError("nobody asks")

    with pytest.raises(WalletError, match="was made at this moment; send it again"):
        await subscriptions.decide(subscriptions.subject(found, OCTOBER_MS + 40 * DAY_MS), wanted, "test/1")
    assert await bench.balance_nanos("w") == before
