"""Usage: what one entry takes, what is remembered of it, and what comes back undecided."""

from __future__ import annotations

import pytest

from rater.money import AMOUNT_MAX_NANOS, AMOUNT_MIN_NANOS
from rater.wallet.debit import Debit
from rater.wallet.entry import Decision, Kind, Stale
from rater.wallet.member import Member, counters_of
from schemas.fates import Fate, Reason
from tests.rater.wallet.building import NOW_MS, Wallets, amount, charged, create, entry, join, usage


async def test_a_charge_is_debited_and_numbered(wallets: Wallets) -> None:
    await wallets.opened("10")
    first, second = await wallets.decide(usage("0.000000001"), usage("2.5"))
    assert (first.charged_nanos, first.balance_before_nanos) == (1, amount("10"))
    assert second.balance_before_nanos == amount("10") - 1
    assert second.n == first.n + 1
    assert (second.epoch, second.decided_ms, second.wallet) == (1, NOW_MS, "w")
    assert await wallets.balance() == amount("7.499999999")


async def test_the_last_event_takes_what_is_left_and_the_next_is_refused(wallets: Wallets) -> None:
    await wallets.opened("1.5")
    answers = await wallets.decide(usage("1"), usage("1"), usage("1"))
    assert charged(answers) == [amount("1"), amount("0.5"), 0]
    assert [(answer.fate, answer.reason) for answer in answers] == [
        (Fate.RATED, Reason.NONE),
        (Fate.RATED, Reason.NONE),
        (Fate.REFUSED, Reason.SUSPENDED),
    ]
    assert answers[2].n == 0, "a refusal takes no number"
    assert await wallets.balance() == 0


async def test_a_negative_floor_is_credit(wallets: Wallets) -> None:
    await wallets.opened("1", floor_nanos=amount("-2"))
    assert charged(await wallets.decide(usage("2.5"), usage("2.5"), usage("1"))) == [amount("2.5"), amount("0.5"), 0]
    assert await wallets.balance() == amount("-2")


async def test_an_id_has_one_verdict_whatever_happened_since(wallets: Wallets) -> None:
    """After a refill, in another batch, twice in a batch, with another token and with other content."""
    await wallets.opened("1")
    first = await wallets.decide(usage("3", "a", token=b"1" * 12), usage("3", "b"))
    await wallets.decide(entry(Kind.CREDIT, "100"))
    again = await wallets.decide(
        usage("3", "b"), usage("3", "a", token=b"2" * 12), usage("7", "a", fingerprint=b"another!"), usage("3", "b")
    )
    assert [answer.known for answer in again] == [True] * 4
    assert charged(again) == [0, amount("1"), amount("1"), 0]
    assert again[1].token == again[2].token == first[0].token == b"1" * 12
    assert again[2].fingerprint == first[0].fingerprint, "the caller sees the conflict"
    assert await wallets.balance() == amount("100")


async def test_a_repeat_within_a_batch_is_known(wallets: Wallets) -> None:
    await wallets.opened("10")
    answers = await wallets.decide(usage("1", "a"), usage("1", "a"))
    assert [answer.known for answer in answers] == [False, True]
    assert await wallets.balance() == amount("9")


async def test_a_refusal_by_the_tariff_is_remembered_and_costs_nothing(wallets: Wallets) -> None:
    await wallets.opened("10")
    (refused,) = await wallets.decide(usage("0", "a", refuse=Reason.REGION_BLOCKED, uses=(("2026-11-01:c", 5),)))
    (again,) = await wallets.decide(usage("1", "a"))
    assert (refused.fate, refused.reason) == (again.fate, again.reason) == (Fate.REFUSED, Reason.REGION_BLOCKED)
    member = await wallets.store.member("t", "w", "sim-1")
    assert member is not None
    assert member.counters == {}, "a refused event has used nothing"


async def test_emergency_calls_pass_every_hold(wallets: Wallets) -> None:
    await wallets.opened("0")
    await wallets.decide(entry(Kind.HOLD, subscriber="sim-1", hold="fraud"))
    held, free = await wallets.decide(usage("0"), usage("0", free=True))
    assert (held.fate, free.fate) == (Fate.REFUSED, Fate.RATED)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"wallet": "nowhere"}, "no_wallet"),
        ({"subscriber_version": 2}, "assignment"),
        ({"subscriber": "stranger"}, "assignment"),
        ({"currency": "USD"}, "currency"),
        ({"uses": (("2026-11-01:c", 1),), "believed": {"2026-11-01:c": 1}}, "counters"),
    ],
)
async def test_a_wrong_assumption_changes_nothing_and_keeps_the_order(
    wallets: Wallets, fields: dict[str, object], why: str
) -> None:
    await wallets.opened("10")
    await wallets.decide(usage("1", "known"))
    stale, known, behind = await wallets.apply(usage("1", "x", **fields), usage("1", "known"), usage("1", "y"))
    assert isinstance(stale, Stale)
    assert stale.why == why
    assert isinstance(known, Decision)
    if why in ("no_wallet", "currency"):
        assert isinstance(behind, Decision), "nothing waits behind what someone has to repair"
    else:
        assert isinstance(behind, Stale)
        assert behind.why == "behind"
        assert await wallets.balance() == amount("9")
    (later,) = await wallets.apply(usage("1", "x"))
    assert isinstance(later, Decision)
    assert not later.known, "a stale answer burns no id"


async def test_an_old_epoch_is_turned_away(wallets: Wallets) -> None:
    await wallets.opened("10")
    answers = await wallets.apply(usage("1"), entry(Kind.CREDIT, "1"), epoch=2)
    assert answers == [Stale("epoch", 0), Stale("epoch", 0)]
    assert await wallets.balance() == amount("10")


@pytest.mark.parametrize(("believed", "holds"), [(250, True), (249, False), (0, False)])
async def test_a_counter_is_held_to_what_was_assumed(wallets: Wallets, believed: int, holds: bool) -> None:
    await wallets.opened("10")
    await wallets.decide(usage("1", uses=(("2026-11-01:c", 250),)))
    (answer,) = await wallets.apply(usage("1", uses=(("2026-11-01:c", 1),), believed={"2026-11-01:c": believed}))
    if holds:
        assert isinstance(answer, Decision)
        assert answer.counters == (250,)
    else:
        assert isinstance(answer, Stale)
        assert answer.state is not None
        assert (answer.why, counters_of(answer.state)) == ("counters", {"2026-11-01:c": 250})


async def test_counters_advance_by_all_of_it_though_money_ran_out(wallets: Wallets) -> None:
    await wallets.opened("1")
    uses = (("2026-11-01:c", 700), ("session:s:used", 70))
    (first,) = await wallets.decide(usage("5", uses=uses))
    assert first.counters == (0, 0)
    await wallets.decide(entry(Kind.CREDIT, "5"))
    (second,) = await wallets.decide(usage("1", uses=uses))
    assert second.counters == (700, 70)


@pytest.mark.parametrize("over", [Reason.AMOUNT_LIMIT, Reason.ALLOWANCE_USED_UP])
async def test_a_refusal_that_follows_from_a_counter_needs_the_right_one(wallets: Wallets, over: Reason) -> None:
    await wallets.opened("10")
    use = (("2026-11-01:c", 5),)
    await wallets.decide(usage("1", uses=use))
    (wrong,) = await wallets.apply(usage("1", "a", uses=use, refuse=over, believed={"2026-11-01:c": 7}))
    assert isinstance(wrong, Stale)
    (right,) = await wallets.decide(usage("1", "a", uses=use, refuse=over))
    assert (right.fate, right.reason, right.n) == (Fate.REFUSED, over, 0)
    assert await wallets.balance() == amount("9")


async def test_counters_of_one_batch_follow_each_other(wallets: Wallets) -> None:
    await wallets.opened("10", "sim-1", "sim-2")
    use = ("session:s:used", 5)
    answers = await wallets.decide(usage(uses=(use,)), usage(uses=(use,), subscriber="sim-2"), usage(uses=(use,)))
    assert [answer.counters for answer in answers] == [(0,), (0,), (5,)], "a session belongs to its SIM"


async def test_an_event_that_was_not_rated_upon_the_one_before_it_is_not_charged(wallets: Wallets) -> None:
    """A worker rated them in another order than it sends them: then what they cost together is not what it says."""
    await wallets.opened("10")
    wallet = wallets.store.wallet_ref("t", "w")
    key = wallets.store.member_key(wallet, "sim-1")
    member = Member[Debit](key, (await wallets.store.member_states([key]))[0])
    made = {}
    for name, after in (("first", 100), ("third", 200), ("second", 300)):
        before, own = member.state, member.advance(["2026-11-01:c"], [after], NOW_MS)
        made[name] = Debit(wallet, member, name.encode().ljust(16), bytes(24), "", "EUR", amount("1"), 1, before, own)
    await wallets.store.charge([made["first"], made["second"], made["third"]], now_ms=NOW_MS)
    assert made["first"].decision is not None
    assert [isinstance(made[name].answer, Stale) for name in ("second", "third")] == [True, True]
    state = await wallets.store.member("t", "w", "sim-1")
    assert state is not None
    assert state.counters == {"2026-11-01:c": 100}
    assert await wallets.balance() == amount("9")


async def test_counters_of_long_closed_periods_are_dropped_when_a_new_one_begins(wallets: Wallets) -> None:
    await wallets.opened("10")
    for period in ("2026-06-01", "2026-08-01", "2026-11-01"):
        await wallets.decide(usage(uses=((f"{period}:c", 1),)))
    member = await wallets.store.member("t", "w", "sim-1")
    assert member is not None
    assert set(member.counters) == {"2026-08-01:c", "2026-11-01:c"}


@pytest.mark.parametrize("start", [2**53 - 1, 2**53, 2**53 + 1, 2**60 + 1, AMOUNT_MAX_NANOS])
async def test_large_balances_stay_exact_to_the_nano(wallets: Wallets, start: int) -> None:
    """2^53 nanos are nine million units: a company's wallet, or 550 dollars in rupiah."""
    await wallets.decide(create(amount_nanos=start), join())
    answers = await wallets.decide(usage(amount_nanos=1), usage(amount_nanos=2**53 - 2), usage(amount_nanos=1))
    expected, before = [], start
    for wanted in (1, 2**53 - 2, 1):
        expected.append(min(wanted, before))
        before -= expected[-1]
    assert charged(answers) == expected
    assert await wallets.balance() == before


async def test_a_balance_never_passes_int64(wallets: Wallets) -> None:
    await wallets.decide(create(amount_nanos=AMOUNT_MAX_NANOS), join())
    over, fits = await wallets.decide(entry(Kind.CREDIT, amount_nanos=1), entry(Kind.DEBIT, amount_nanos=1))
    assert (over.fate, over.reason, over.n) == (Fate.REFUSED, Reason.BALANCE_LIMIT, 0)
    assert fits.fate is Fate.RATED
    (back,) = await wallets.decide(entry(Kind.CREDIT, amount_nanos=1))
    assert back.fate is Fate.RATED
    assert await wallets.balance() == AMOUNT_MAX_NANOS


async def test_a_forced_debit_stops_at_the_lowest_int64(wallets: Wallets) -> None:
    await wallets.decide(create("-0"), join())
    first, second, third = await wallets.decide(
        entry(Kind.FORCE, amount_nanos=AMOUNT_MAX_NANOS),
        entry(Kind.FORCE, amount_nanos=1),
        entry(Kind.FORCE, amount_nanos=1),
    )
    assert [answer.fate for answer in (first, second, third)] == [Fate.RATED, Fate.RATED, Fate.REFUSED]
    assert await wallets.balance() == AMOUNT_MIN_NANOS


async def test_credit_between_the_two_ends_of_int64_is_available(wallets: Wallets) -> None:
    """available = balance - floor may be twice what an int64 holds."""
    await wallets.decide(create(amount_nanos=AMOUNT_MAX_NANOS, floor_nanos=AMOUNT_MIN_NANOS), join())
    answers = await wallets.decide(*(usage(amount_nanos=AMOUNT_MAX_NANOS) for _ in range(3)))
    assert charged(answers) == [AMOUNT_MAX_NANOS, AMOUNT_MAX_NANOS, 1]
    assert await wallets.balance() == AMOUNT_MIN_NANOS


async def test_the_order_of_a_wallet_is_kept_over_the_calls_of_a_large_batch(
    wallets: Wallets, monkeypatch: pytest.MonkeyPatch
) -> None:
    await wallets.opened("10")
    monkeypatch.setattr("rater.wallet.store.CALL_ENTRIES_MAX", 1)
    wrong = usage("1", "first", uses=(("2026-11-01:used", 1),), believed={"2026-11-01:used": 5})
    first, second = await wallets.apply(wrong, usage("1", "second"))
    assert isinstance(first, Stale)
    assert (first.why, second) == ("counters", Stale("behind"))
    assert await wallets.balance() == amount("10")
