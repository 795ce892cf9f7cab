"""Crossings: who is suspended or resumed, once each, in which order, with which number."""

from __future__ import annotations

import pytest

from rater.errors import WalletError
from rater.wallet.entry import Kind, Stale
from schemas.lifecycle import LifecycleEvent, WalletEntry
from tests.rater.wallet.building import NOW_MS, Wallets, amount, create, entry, join, usage

MANY = [f"sim-{number:05}" for number in range(10_000)]


async def test_suspended_once_and_resumed_once(wallets: Wallets) -> None:
    await wallets.opened("1", "sim-1", "sim-2")
    assert await wallets.crossings() == []
    await wallets.decide(usage("0.4"), usage("0.6"), usage("1"), usage("1"))
    assert await wallets.crossings() == [("suspended", ""), ("suspended", "sim-1"), ("suspended", "sim-2")]
    await wallets.decide(entry(Kind.CREDIT, "1"), entry(Kind.CREDIT, "1"))
    assert await wallets.crossings() == [("resumed", ""), ("resumed", "sim-1"), ("resumed", "sim-2")]


async def test_the_news_says_why_and_where_in_the_sequence(wallets: Wallets) -> None:
    await wallets.opened("1")
    await wallets.news()
    (decision,) = await wallets.decide(usage("3", "call-7"))
    of_wallet, of_sim = await wallets.news()
    assert of_wallet == LifecycleEvent(
        type="suspended", tenant="t", wallet="w", subscriber="", reason="balance", holds=("balance",),
        status_version=1, balance_nanos=0, currency="EUR", epoch=1, n=decision.n, cause="test/call-7",
        occurred_ms=NOW_MS,
    )  # fmt: skip
    assert isinstance(of_sim, LifecycleEvent)
    assert (of_sim.subscriber, of_sim.holds, of_sim.status_version) == ("sim-1", ("parent",), 1)
    await wallets.decide(entry(Kind.CREDIT, "1"))
    versions = [event.status_version for event in await wallets.news() if isinstance(event, LifecycleEvent)]
    assert versions == [2, 2]


async def test_a_refill_does_not_lift_an_operators_hold(wallets: Wallets) -> None:
    await wallets.opened("1", "sim-1", "sim-2")
    await wallets.decide(entry(Kind.HOLD, hold="operator"), usage("1"))
    await wallets.crossings()
    await wallets.decide(entry(Kind.CREDIT, "5"))
    assert await wallets.crossings() == []
    assert (await wallets.state()).holds == ("operator",)
    await wallets.decide(entry(Kind.RELEASE, hold="operator"))
    assert await wallets.crossings() == [("resumed", ""), ("resumed", "sim-1"), ("resumed", "sim-2")]


async def test_a_sim_with_a_hold_of_its_own_stays_suspended_when_the_wallet_resumes(wallets: Wallets) -> None:
    await wallets.opened("1", "sim-1", "sim-2")
    await wallets.decide(entry(Kind.HOLD, subscriber="sim-1", hold="fraud"))
    assert await wallets.crossings() == [("suspended", "sim-1")]
    await wallets.decide(usage("1", subscriber="sim-2"))
    assert await wallets.crossings() == [("suspended", ""), ("suspended", "sim-2")], "sim-1 was suspended already"
    await wallets.decide(entry(Kind.CREDIT, "5"))
    assert await wallets.crossings() == [("resumed", ""), ("resumed", "sim-2")]
    await wallets.decide(entry(Kind.RELEASE, subscriber="sim-1", hold="fraud"))
    assert await wallets.crossings() == [("resumed", "sim-1")]


async def test_moving_the_floor_is_a_crossing_too(wallets: Wallets) -> None:
    await wallets.opened("5")
    await wallets.news()
    await wallets.decide(entry(Kind.FLOOR, "5"))
    await wallets.decide(entry(Kind.FLOOR, "-5"))
    assert await wallets.crossings() == [(kind, who) for kind in ("suspended", "resumed") for who in ("", "sim-1")]


async def test_joining_and_leaving_a_held_wallet_is_news_of_the_sim_alone(wallets: Wallets) -> None:
    await wallets.decide(create("0"))
    assert await wallets.crossings() == [("suspended", "")], "born empty, born held"
    await wallets.decide(join("sim-1"))
    assert await wallets.crossings() == [("suspended", "sim-1")]
    await wallets.decide(entry(Kind.LEAVE, subscriber="sim-1", subscriber_version=2))
    assert await wallets.crossings() == [("resumed", "sim-1")]


async def test_a_joining_brings_holds_along_without_news(wallets: Wallets) -> None:
    await wallets.decide(create("5"))
    await wallets.decide(join("sim-1", hold="operator,fraud"))
    assert await wallets.crossings() == []
    member = await wallets.store.member("t", "w", "sim-1")
    assert member is not None
    assert member.holds == ("operator", "fraud")


async def test_an_old_joining_cannot_bring_back_who_has_left(wallets: Wallets) -> None:
    await wallets.opened("5")
    await wallets.decide(entry(Kind.LEAVE, subscriber="sim-1", subscriber_version=3))
    late, again = await wallets.decide(join("sim-1", 2), join("sim-1", 3))
    assert late.n == 0, "nothing was changed, so no number was taken"
    assert again.n > 0, "at the same version it undoes the leaving"
    (stale,) = await wallets.apply(usage("1", subscriber_version=2))
    assert stale == Stale("assignment", subscriber_version=3)


async def test_who_has_left_cannot_be_held_here(wallets: Wallets) -> None:
    await wallets.opened("5")
    await wallets.decide(entry(Kind.LEAVE, subscriber="sim-1", subscriber_version=2))
    (answer,) = await wallets.apply(entry(Kind.HOLD, subscriber="sim-1", hold="fraud"))
    assert answer == Stale("assignment")


@pytest.mark.parametrize("hold", ["balance", "parent", "operator,balance", "nonsense"])
async def test_holds_that_follow_from_something_else_cannot_be_set(wallets: Wallets, hold: str) -> None:
    await wallets.opened("5")
    with pytest.raises(WalletError, match="hold: "):
        await wallets.apply(entry(Kind.HOLD, hold=hold))


async def test_every_change_but_usage_leaves_one_line_in_the_journal(wallets: Wallets) -> None:
    await wallets.opened("5")
    await wallets.decide(
        usage("1"), entry(Kind.DEBIT, "2", "fee-1", note="November"), entry(Kind.DEBIT, "9"), join("sim-1")
    )
    journal = [event for event in await wallets.news() if isinstance(event, WalletEntry)]
    assert [(line.kind, line.n) for line in journal] == [("create", 1), ("join", 2), ("debit", 4)]
    assert (journal[-1].source, journal[-1].id, journal[-1].note) == ("test", "fee-1", "November")
    assert (journal[-1].amount_nanos, journal[-1].balance_before_nanos) == (amount("2"), amount("4"))
    assert journal[-1].balance_after_nanos == amount("2")


async def company(wallets: Wallets, money: str) -> None:
    await wallets.decide(create(money))
    for start in range(0, len(MANY), 2000):
        await wallets.decide(*map(join, MANY[start : start + 2000]))
    await wallets.redis.delete(*await wallets.redis.keys("*:o"))


async def follow(wallets: Wallets, pages: int = 1000) -> int:
    shard = wallets.store.shard_of("t", "w")
    done = 0
    while done < pages and await wallets.outbox.fan_out(shard, 500, now_ms=NOW_MS):
        done += 1
    return done


async def test_a_wallet_of_ten_thousand_sims_crosses_in_order_and_the_charge_does_not_wait(wallets: Wallets) -> None:
    await company(wallets, "1")
    await wallets.decide(usage("1", subscriber=MANY[0]))
    inline = await wallets.crossings()
    assert inline == [("suspended", ""), *(("suspended", sim) for sim in MANY[:32])], "of the call itself"
    assert await wallets.outbox.following() == 1
    assert await follow(wallets) == 20, "pages of 500 for the other 9,968"
    assert await wallets.crossings() == [("suspended", sim) for sim in MANY[32:]]
    assert await wallets.outbox.following() == 0


async def test_a_refill_while_members_still_follow_gives_each_its_own_news_at_most_once(wallets: Wallets) -> None:
    await company(wallets, "1")
    await wallets.decide(usage("1", subscriber=MANY[0]))
    assert await follow(wallets, pages=4) == 4
    reached = 32 + 4 * 500
    assert len(await wallets.crossings()) == 1 + reached
    await wallets.decide(entry(Kind.CREDIT, "1"))
    await follow(wallets)
    news = await wallets.news()
    resumed = [event for event in news if isinstance(event, LifecycleEvent)]
    assert {event.type for event in resumed} == {"resumed"}, "nobody is suspended after the refill"
    assert sorted(event.subscriber for event in resumed) == ["", *MANY[:reached]]
    assert {event.status_version for event in resumed} == {2}


async def test_who_joins_while_members_follow_is_told_at_once_and_only_once(wallets: Wallets) -> None:
    await company(wallets, "1")
    await wallets.decide(usage("1", subscriber=MANY[0]), join("sim-99999"))
    await follow(wallets)
    assert (await wallets.crossings()).count(("suspended", "sim-99999")) == 1


async def test_who_joins_in_the_very_call_in_which_the_wallet_crosses_follows_too(wallets: Wallets) -> None:
    await wallets.opened("1", "sim-1")
    await wallets.news()
    await wallets.decide(join("sim-0"), join("sim-2"), usage("1"), usage("1", subscriber="sim-2"))
    await follow(wallets)
    assert await wallets.crossings() == [("suspended", ""), *(("suspended", f"sim-{number}") for number in range(3))]
