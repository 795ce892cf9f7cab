"""Accounts in Redis: each change once for its id, whoever else changes them, wherever a process dies."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from rater.accounts.changes import Change, Details, GiveRole, PaymentDetails, TakeRole, Transfer
from rater.accounts.roles import Actor
from rater.errors import AccountError
from rater.wallet.store import WalletStore
from tests.rater.accounts.building import Book
from tests.rater.wallet.dying import Crash, DyingRedis


def dying(book: Book, steps: int, after: bool) -> Book:
    """The same accounts through a process that dies at one of its commands."""
    redis: Any = DyingRedis(book.redis, steps, after=after)
    return Book(redis, WalletStore(redis, book.store.shards, "process"))


async def test_a_change_is_made_once_for_its_id_at_any_age(book: Book) -> None:
    await book.make("acme")
    await book.change("acme", GiveRole("bob", "manager"), "1")
    await book.change("acme", TakeRole("bob"), "2")
    for number in range(5):
        await book.change("acme", Details(display_name=f"name {number}"), f"d{number}")
    account, known = await book.change("acme", GiveRole("bob", "manager"), "1")
    assert (account.roles, account.version, known) == ({}, 8, True)
    with pytest.raises(AccountError, match="the first one stands"):
        await book.change("acme", GiveRole("bob", "reader"), "1")
    assert [step.what for step in await book.accounts.steps("t", "acme")] == [
        "create", "give-role", "take-role", *["details"] * 5,
    ]  # fmt: skip


async def test_an_account_is_made_once(book: Book) -> None:
    made, known = await book.make("acme")
    await book.change("acme", Transfer("bob"), "1")
    again, known_again = await book.make("acme")
    assert (made.owner, known, again.owner, known_again) == ("alice", False, "bob", True)
    with pytest.raises(AccountError, match="account: t has an account acme already"):
        await book.make("acme", make_id="another")
    with pytest.raises(AccountError, match="id: "):
        await book.make("acme", owner="mallory")


async def test_changes_at_once_do_not_overwrite_each_other(book: Book) -> None:
    await book.make("acme")
    await asyncio.gather(*(book.change("acme", GiveRole(f"u{n}", "reader"), f"g{n}") for n in range(10)))
    account = await book.get("acme")
    assert (len(account.roles), account.version) == (10, 11)


@pytest.mark.parametrize("after", [False, True], ids=["before it", "after it"])
@pytest.mark.parametrize("steps", range(32))
async def test_a_process_that_dies_anywhere_leaves_what_a_repeat_finishes(book: Book, steps: int, after: bool) -> None:
    """And what somebody else did in between stands."""
    changes: list[tuple[str, Change]] = [("g", GiveRole("bob", "manager")), ("t", Transfer("dave"))]

    async def act(through: Book) -> None:
        await through.make("acme")
        await through.make("north", "acme", "carol")
        for change_id, change in changes:
            await through.change("north", change, change_id)

    with suppress(Crash):
        await act(dying(book, steps, after))
    if await book.accounts.get("t", "north"):
        await book.change("north", Details(display_name="by another"), "other")
    await act(book)
    await act(book)
    north = await book.get("north")
    assert (north.owner, north.roles) == ("dave", {"bob": "manager", "carol": "manager"})
    names = [account.name for account in await book.accounts.page("t", "", "", 10)]
    assert names == ["acme", "north"]
    kinds = [step.what for step in await book.accounts.steps("t", "north")]
    assert sorted(kind for kind in kinds if kind != "details") == ["create", "give-role", "transfer"]


async def test_without_the_list_of_steps_an_overwritten_change_would_be_made_again(book: Book) -> None:
    """What the third step of a change is for."""
    await book.make("acme")
    await book.change("acme", GiveRole("bob", "manager"), "1")
    await book.change("acme", TakeRole("bob"), "2")
    await book.redis.delete("accounts:t:steps:acme")
    account, known = await book.change("acme", GiveRole("bob", "manager"), "1")
    assert (account.roles, known) == ({"bob": "manager"}, False)


async def test_only_who_may_changes_it(book: Book) -> None:
    await book.make("acme")
    await book.make("north", "acme", "carol", roles={"erin": "reader", "hal": "manager"})
    hal = Actor("hal")
    with pytest.raises(AccountError, match=r"account: only the owner \(carol\), or the owner \(alice\) of its"):
        await book.change("north", GiveRole("ivy", "manager"), "1", hal)
    await book.change("north", GiveRole("ivy", "reader"), "2", hal)
    with pytest.raises(AccountError, match=r"only the owner"):
        await book.change("north", TakeRole("hal"), "3", Actor("ivy"))
    with pytest.raises(AccountError, match="only the operator may say whether"):
        await book.change("north", PaymentDetails(True), "4", Actor("carol"))
    await book.change("north", PaymentDetails(True), "5")
    assert (await book.get("north")).has_payment_details


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (GiveRole("alice", "reader"), "user: alice is the owner of acme; transfer"),
        (GiveRole("a b", "reader"), 'user: "a b"'),
        (TakeRole("alice"), "user: alice is the owner of acme, which needs one"),
        (TakeRole("nobody"), "user: nobody has no role in acme"),
        (Transfer("alice"), "owner: alice is the owner of acme already"),
        (Transfer("a/b"), 'owner: "a/b"'),
        (Details(zone="Mars/Base"), 'zone: "Mars/Base"'),
        (Details(country="de"), 'country: "de"'),
        (Details(display_name="x" * 257), "display_name: "),
    ],
    ids=str,
)
async def test_what_makes_no_sense_is_refused_and_changes_nothing(book: Book, change: Change, says: str) -> None:
    before, _ = await book.make("acme")
    with pytest.raises(AccountError, match=says):
        await book.change("acme", change, "1")
    assert await book.get("acme") == before


async def test_a_name_made_to_look_like_another_tenants_finds_nothing(book: Book) -> None:
    await book.make("acme")
    assert await book.accounts.get("t:one", "acme") is None
    with pytest.raises(AccountError, match="tenant: "):
        await book.make("x", tenant="t:one")
    with pytest.raises(AccountError, match="parent: "):
        await book.make("x", "acme", kind="organisation")


async def test_accounts_come_in_pages(book: Book) -> None:
    await book.make("org")
    companies = [f"c{number:02}" for number in range(25)]
    for name in companies:
        await book.make(name, "org")
    await book.redis.zadd("accounts:t:family:org", {"c05x": 0, "zz": 0})  # of a process that died
    found: list[str] = []
    while page := await book.accounts.page("t", "org", found[-1] if found else "", 4):
        found += [account.name for account in page]
    assert found == [*companies, "org"]


@pytest.mark.parametrize("steps", range(16))
@pytest.mark.parametrize("after", [False, True], ids=["before it", "after it"])
async def test_a_wallet_is_one_accounts_wherever_the_process_died(book: Book, steps: int, after: bool) -> None:
    await book.make("acme")
    await book.make("other")

    async def open_it(through: Book, name: str) -> tuple[Any, bool]:
        return await through.wallets.open(
            "t", name, "purse", "", Actor(is_operator=True), source="test", change_id=f"open-{name}", now_ms=1
        )

    with suppress(Crash):
        await open_it(dying(book, steps, after), "acme")
    await open_it(book, "acme")
    assert await book.wallets.account_of("t", "purse") == "acme"
    assert await book.wallets.page("t", "acme", "", 10) == ["purse"]
    await book.redis.zadd("accounts:t:wallets:other", {"purse": 0})  # of a process that died
    assert await book.wallets.page("t", "other", "", 10) == []


async def test_an_account_has_the_wallet_of_its_name_unless_another_claimed_it(book: Book) -> None:
    await book.wallet("north")
    await book.wallet("purse")
    operator = Actor(is_operator=True)
    await book.make("acme")
    await book.wallets.claim("t", "acme", "north", operator)
    await book.make("north", "acme")
    assert await book.wallets.account_of("t", "north") == "acme"
    assert await book.wallets.page("t", "north", "", 10) == []
    assert await book.wallets.account_of("t", "purse") == "purse", "nobody's: the account's of its name"
    await book.make("purse", "acme")
    assert await book.wallets.page("t", "purse", "", 10) == ["purse"]
    with pytest.raises(AccountError, match="wallet: the wallet purse is that of the account of this name"):
        await book.wallets.claim("t", "acme", "purse", operator)
