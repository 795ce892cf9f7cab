"""What an entry has to say goes out once, in its own call; money between wallets is one or the other's, or between."""

from __future__ import annotations

from rater.wallet.entry import Entry, Kind
from rater.wallet.news import Onward, pack_notice, pack_onward
from schemas.commands import WalletCommand
from schemas.notice import Notice
from tests.rater.wallet.building import NOW_MS, Wallets, amount, create, entry

NOTICE = Notice("n-1", "plan.changed", "t", NOW_MS, wallet="w", data={"plan": "b"})


def leg(wallet: str, event_id: str, money: str = "3") -> WalletCommand:
    return WalletCommand("t", "transfer", event_id, wallet, "top-up", amount=money, currency="EUR")


def transfer(money: str, to: str = "v") -> Entry:
    onward = Onward(leg(to, "7-in", money), leg("w", "7-back", money))
    return entry(Kind.DEBIT, money, event_id="7-out", news=(pack_onward(onward),))


async def test_a_notice_goes_out_with_its_entry_and_not_again_with_the_same(wallets: Wallets) -> None:
    await wallets.opened("5")
    await wallets.news()
    said = entry(Kind.NOTE, event_id="n", news=(pack_notice(NOTICE),))
    await wallets.decide(said, said)
    assert await wallets.news() == [NOTICE]


async def test_an_entry_that_is_refused_says_nothing(wallets: Wallets) -> None:
    await wallets.opened("5")
    await wallets.news()
    await wallets.decide(entry(Kind.DEBIT, "6", event_id="fee", news=(pack_notice(NOTICE),)))
    assert await wallets.news() == []


async def test_money_on_its_way_to_another_wallet_is_counted_and_arrives_once(wallets: Wallets) -> None:
    await wallets.decide(create("5"), create("0", wallet="v", event_id="c2"))
    await wallets.decide(transfer("3"))
    assert await wallets.outbox.in_transit() == {"EUR": amount("3")}
    assert (await wallets.balance(), await wallets.balance("v")) == (amount("2"), 0)
    (onward,) = [event for event in await wallets.news() if isinstance(event, Onward)]
    for _ in range(2):
        await wallets.outbox.forward(onward, now_ms=NOW_MS)
    assert (await wallets.balance(), await wallets.balance("v")) == (amount("2"), amount("3"))


async def test_money_that_no_wallet_takes_comes_back(wallets: Wallets) -> None:
    await wallets.opened("5")
    await wallets.decide(transfer("3", to="nobody"))
    (onward,) = [event for event in await wallets.news() if isinstance(event, Onward)]
    await wallets.outbox.forward(onward, now_ms=NOW_MS)
    await wallets.decide(create("0", wallet="nobody", event_id="late"))
    await wallets.outbox.forward(onward, now_ms=NOW_MS)
    assert (await wallets.balance(), await wallets.balance("nobody")) == (amount("5"), 0)
