"""Commands on wallets: what a person or a back office asks for, and what is said when it cannot be done."""

from __future__ import annotations

from typing import Any

import pytest

from rater.errors import WalletError
from rater.money import MoneyError
from rater.wallet.command import carry_out
from rater.wallet.entry import Decision
from schemas.commands import WalletCommand
from tests.rater.wallet.building import NOW_MS, Wallets, amount, join, usage


async def ask(wallets: Wallets, kind: str, event_id: str = "1", **fields: Any) -> Decision:
    command = WalletCommand(**({"tenant": "t", "source": "crm", "id": event_id, "wallet": "w", "kind": kind} | fields))
    return await carry_out(wallets.store, command, now_ms=NOW_MS)


async def test_a_life_of_a_wallet(wallets: Wallets) -> None:
    await ask(wallets, "create", "c", currency="EUR", amount="5", floor="-1")
    await ask(wallets, "top-up", "t", amount="2.50")
    await ask(wallets, "fee", "f", amount="8.50")
    assert (await wallets.state()).holds == ("balance",)
    await ask(wallets, "floor", "l", amount="-10")
    await ask(wallets, "hold", "h", hold="operator")
    assert (await wallets.state()).holds == ("operator",)
    await ask(wallets, "release", "r", hold="operator")
    state = await wallets.state()
    assert (state.holds, state.balance_nanos, state.floor_nanos) == ((), amount("-1"), amount("-10"))


async def test_a_top_up_that_is_sent_again_adds_nothing(wallets: Wallets) -> None:
    await ask(wallets, "create", "c", currency="EUR")
    first, again = await ask(wallets, "top-up", amount="5"), await ask(wallets, "top-up", amount="5")
    assert (first.known, again.known) == (False, True)
    assert await wallets.balance() == amount("5")
    with pytest.raises(WalletError, match="id: 1 was used before"):
        await ask(wallets, "top-up", amount="6")
    assert await wallets.balance() == amount("5")


async def test_the_key_of_a_top_up_and_the_id_of_a_call_are_apart(wallets: Wallets) -> None:
    await wallets.opened("5")
    await ask(wallets, "top-up", "same", source="test", amount="5")
    (call,) = await wallets.decide(usage("1", "same"))
    assert not call.known


@pytest.mark.parametrize(
    ("kind", "fields", "says"),
    [
        ("top-up", {}, "amount: top-up needs one"),
        ("top-up", {"amount": "-1"}, "amount: must not be negative"),
        ("top-up", {"amount": "1", "wallet": "x"}, "wallet: t has no wallet x"),
        ("top-up", {"amount": "9223372036"}, "amount: the balance would pass"),
        ("top-up", {"amount": "1", "currency": "USD"}, "currency: wallet w is kept in another"),
        ("fee", {"amount": "5.01"}, "amount: w does not have 5.01"),
        ("hold", {}, "hold: hold needs one of"),
        ("hold", {"hold": "fraud", "subscriber": "x"}, "subscriber: x is no member of wallet w"),
        ("create", {"wallet": "n"}, "currency: "),
        ("create", {"wallet": "n", "currency": "EURO"}, 'currency: "EURO" is no ISO 4217'),
        ("create", {"wallet": "n/m", "currency": "EUR"}, "wallet: "),
        ("create", {"currency": "EUR", "amount": "100"}, "wallet: t has w already"),
    ],
)
async def test_what_cannot_be_done_is_said_and_changes_nothing(
    wallets: Wallets, kind: str, fields: dict[str, str], says: str
) -> None:
    await wallets.opened("5")
    with pytest.raises(WalletError) as refused:
        await ask(wallets, kind, **fields)
    assert str(refused.value).startswith(says)
    assert await wallets.balance() == amount("5")


@pytest.mark.parametrize("text", ["1e5", "1,50", "0.0000000001", "9223372037", "", "NaN", "٣"])
async def test_an_amount_is_an_exact_decimal(wallets: Wallets, text: str) -> None:
    await wallets.opened("5")
    with pytest.raises((MoneyError, WalletError)):
        await ask(wallets, "top-up", amount=text)


async def test_a_hold_on_one_sim_leaves_the_others_alone(wallets: Wallets) -> None:
    await wallets.opened("5")
    await wallets.decide(join("sim-2"))
    await wallets.news()
    await ask(wallets, "hold", hold="fraud", subscriber="sim-2")
    assert await wallets.crossings() == [("suspended", "sim-2")]
