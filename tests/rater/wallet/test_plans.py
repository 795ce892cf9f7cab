"""A step of a subscription is its fee and what it is for in one; the balance decides which outcome comes true."""

from __future__ import annotations

from typing import Any

from rater.identity import identity
from rater.wallet.entry import Entry, Kind, Outcome, Stale, Steps
from rater.wallet.keys import document_key
from rater.wallet.member import HEAD_BYTES, pack_upon
from rater.wallet.news import pack_notice
from rater.wallet.timers import DueEntry, Timers
from schemas.fates import Fate, Reason
from schemas.lifecycle import LifecycleEvent
from schemas.notice import Notice
from tests.rater.wallet.building import NOW_MS, Wallets, amount, charged, entry, join, usage

NONE, ACTIVE, COVERED, WAITING = b"", pack_upon(1, False, {}), pack_upon(1, True, {}), pack_upon(1, False, {})
SAID = Notice("n", "plan.renewed", "t", NOW_MS, wallet="w")


def outcome(upon: bytes = ACTIVE, document: bytes = b"paid", **fields: Any) -> Outcome:
    return Outcome(**({"upon": upon, "document": document, "hold": "", "reason": "payment", "due_ms": None} | fields))


UNPAID = outcome(WAITING, b"unpaid", hold="payment", waits=True)


def step(fee: str, paid: Outcome | None = None, unpaid: Outcome | None = None, **fields: Any) -> Entry:
    before = fields.pop("before", NONE)
    steps = Steps(before, paid or outcome(), unpaid)
    return entry(Kind.PLAN, fee, **({"subscriber": "sim-1", "steps": steps} | fields))


async def document(wallets: Wallets) -> bytes | None:
    ref = wallets.store.wallet_ref("t", "w")
    (found,) = await wallets.store.documents([document_key(wallets.store.member_key(ref, "sim-1"))])
    return found


async def upon(wallets: Wallets) -> bytes:
    ref = wallets.store.wallet_ref("t", "w")
    (state,) = await wallets.store.member_states([wallets.store.member_key(ref, "sim-1")])
    return state[HEAD_BYTES:]


async def test_a_fee_that_is_paid_brings_what_it_is_for(wallets: Wallets) -> None:
    await wallets.opened("5")
    await wallets.news()
    said = outcome(COVERED, news=(pack_notice(SAID),), due_ms=NOW_MS + 7)
    (decision,) = await wallets.decide(step("3", said, UNPAID))
    assert (decision.fate, decision.reason, decision.charged_nanos) == (Fate.RATED, Reason.NONE, amount("3"))
    assert (await wallets.balance(), await document(wallets), await upon(wallets)) == (amount("2"), b"paid", COVERED)
    assert [event for event in await wallets.news() if isinstance(event, Notice)] == [SAID]
    timers = Timers(wallets.redis, wallets.store)
    assert await timers.next_ms() == NOW_MS + 7
    shard = wallets.store.shard_of("t", "w")
    assert await timers.due(shard, NOW_MS + 6, 10) == []
    (due,) = await timers.due(shard, NOW_MS + 7, 10)
    assert due == DueEntry("t", "w", "sim-1", NOW_MS + 7)
    await timers.drop(shard, due._replace(due_ms=1))
    assert await timers.next_ms() == NOW_MS + 7, "it is not the one that was read"
    await timers.drop(shard, due)
    assert await timers.next_ms() is None


async def test_a_fee_that_cannot_be_paid_holds_the_sim_until_the_wallet_is_refilled(wallets: Wallets) -> None:
    await wallets.opened("2.99")
    await wallets.news()
    (decision,) = await wallets.decide(step("3", unpaid=UNPAID))
    assert (decision.fate, decision.reason, decision.charged_nanos) == (Fate.RATED, Reason.INSUFFICIENT_BALANCE, 0)
    assert (await wallets.balance(), await document(wallets)) == (amount("2.99"), b"unpaid")
    (event,) = [event for event in await wallets.news() if isinstance(event, LifecycleEvent)]
    assert (event.type, event.subscriber, event.reason, event.holds) == ("suspended", "sim-1", "payment", ("payment",))
    (refused,) = await wallets.decide(usage("1"))
    assert refused.reason is Reason.SUSPENDED
    timers, shard = Timers(wallets.redis, wallets.store), wallets.store.shard_of("t", "w")
    assert await timers.next_ms() is None
    await wallets.decide(entry(Kind.CREDIT, "1"))
    assert await timers.due(shard, NOW_MS, 10) == [DueEntry("t", "w", "", NOW_MS)]
    assert [name async for name in timers.waiting("t", "w")] == ["sim-1"]
    await wallets.decide(step("3", outcome(pack_upon(2, False, {})), UNPAID, before=WAITING))
    assert (await wallets.balance(), await wallets.crossings()) == (amount("0.99"), [("resumed", "sim-1")])
    assert [name async for name in timers.waiting("t", "w")] == []


async def test_a_fee_without_a_second_way_is_refused_and_nothing_changes(wallets: Wallets) -> None:
    await wallets.opened("2.99")
    (refused,) = await wallets.decide(step("3"))
    assert (refused.fate, refused.reason) == (Fate.REFUSED, Reason.INSUFFICIENT_BALANCE)
    assert (await wallets.balance(), await document(wallets), await upon(wallets)) == (amount("2.99"), None, NONE)


async def test_a_step_upon_an_old_view_changes_nothing_and_says_what_there_is(wallets: Wallets) -> None:
    await wallets.opened("10")
    await wallets.decide(usage("1", uses=(("2026-11-01:c", 5),)))
    (stale,) = await wallets.apply(step("3"))
    assert isinstance(stale, Stale)
    assert stale.state is not None
    assert (stale.why, stale.state[HEAD_BYTES:]) == ("counters", await upon(wallets))
    assert await wallets.balance() == amount("9")


async def test_a_step_that_comes_again_is_the_same_step(wallets: Wallets) -> None:
    await wallets.opened("10")
    one = step("3", event_id="sim-1/1")
    first, again = await wallets.decide(one, one)
    assert (first.known, again.known, await wallets.balance()) == (False, True, amount("7"))
    known = await wallets.store.remembered("t", "w", identity("t", "test", "sim-1/1"))
    assert known is not None
    assert known.charged_nanos == amount("3")


async def test_money_is_given_back(wallets: Wallets) -> None:
    await wallets.opened("0")
    await wallets.news()
    await wallets.decide(step("-2.5"))
    assert (await wallets.balance(), await wallets.crossings()) == (
        amount("2.5"), [("resumed", ""), ("resumed", "sim-1")]
    )  # fmt: skip


async def test_a_step_may_move_the_floor_and_then_be_paid_from_there(wallets: Wallets) -> None:
    await wallets.opened("0")
    await wallets.decide(step("3", outcome(floor_nanos=amount("-5")), UNPAID))
    assert (await wallets.state()).floor_nanos == amount("-5")
    assert await wallets.balance() == amount("-3")


async def test_who_is_no_member_takes_no_step(wallets: Wallets) -> None:
    await wallets.opened("5")
    (stale,) = await wallets.apply(step("3", subscriber="stranger"))
    assert isinstance(stale, Stale)
    assert stale.why == "assignment"


async def test_an_empty_wallet_does_not_hold_a_sim_that_an_allowance_covers(wallets: Wallets) -> None:
    """What its allowances do not cover is refused; when they are used up it is suspended."""
    await wallets.opened("1", "sim-1", "sim-2")
    await wallets.decide(step("0", outcome(COVERED)))
    await wallets.news()
    await wallets.decide(usage("1", subscriber="sim-2"))
    assert await wallets.crossings() == [("suspended", ""), ("suspended", "sim-2")]
    free, costly = await wallets.decide(usage("0"), usage("2"))
    assert (free.fate, costly.fate, costly.reason) == (Fate.RATED, Fate.REFUSED, Reason.INSUFFICIENT_BALANCE)
    await wallets.decide(step("0", outcome(pack_upon(2, False, {}), reason="balance"), before=COVERED))
    assert await wallets.crossings() == [("suspended", "sim-1")]


async def test_an_operators_hold_on_an_empty_wallet_also_stops_who_is_covered(wallets: Wallets) -> None:
    await wallets.opened("0")
    await wallets.news()
    await wallets.decide(step("0", outcome(COVERED)))
    assert await wallets.crossings() == [("resumed", "sim-1")]
    await wallets.decide(entry(Kind.HOLD, hold="operator"))
    assert await wallets.crossings() == [("suspended", "sim-1")]
    await wallets.decide(entry(Kind.RELEASE, hold="operator"))
    assert await wallets.crossings() == [("resumed", "sim-1")]


async def test_a_sim_that_joins_an_empty_wallet_is_held_until_it_is_covered(wallets: Wallets) -> None:
    await wallets.opened("0")
    await wallets.news()
    await wallets.decide(join("sim-2"))
    await wallets.decide(step("0", outcome(COVERED), subscriber="sim-2"))
    assert await wallets.crossings() == [("suspended", "sim-2"), ("resumed", "sim-2")]


async def low(wallets: Wallets) -> list[str]:
    return [str(event.data["available"]) for event in await wallets.news() if isinstance(event, Notice)]


async def test_a_wallet_says_once_that_it_is_low_and_again_after_a_refill(wallets: Wallets) -> None:
    await wallets.opened("10")
    await wallets.decide(entry(Kind.THRESHOLD, "4"))
    assert (await wallets.state()).threshold_nanos == amount("4")
    assert charged(await wallets.decide(usage("3"), usage("2"))) == [amount("3"), amount("2")]
    assert await low(wallets) == []
    await wallets.decide(usage("1"), usage("1"))
    assert await low(wallets) == ["4.00"]
    await wallets.decide(usage("1"))
    await wallets.decide(entry(Kind.CREDIT, "3"), entry(Kind.DEBIT, "5"))
    assert await low(wallets) == ["0.00"]
    await wallets.decide(entry(Kind.THRESHOLD, note="none"))
    assert (await wallets.state()).threshold_nanos is None
    await wallets.decide(entry(Kind.CREDIT, "9"), entry(Kind.DEBIT, "9"))
    assert await low(wallets) == []


async def test_a_threshold_above_the_balance_is_told_at_once(wallets: Wallets) -> None:
    await wallets.opened("3")
    await wallets.decide(entry(Kind.THRESHOLD, "4"))
    assert await low(wallets) == ["3.00"]
