"""A bulk run moves everybody once, by the terms of the plan they leave, wherever it is cut short; a dry one nobody."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from rater.accounts.book import Accounts
from rater.accounts.wallets import AccountWallets
from rater.catalogue import Catalogue
from rater.directory import Directory
from rater.money import parse_nanos
from rater.plans.life import Subscription, read_subscription
from rater.subscriptions import Subscriptions
from rater.wallet.keys import document_key
from rater.wallet.store import WalletStore
from streams.migration import listing as listings
from streams.migration.listing import Listing
from streams.migration.migration import Migration, Row
from tests.rater.pipeline.conftest import NOW_MS, PLAN, TARIFF
from tests.rater.pipeline.test_plans import Planned
from tests.rater.wallet.dying import Crash, DyingRedis

PLANS = """
plan: {name}
currency: EUR
zone: UTC
versions:
  - version: "1"
    effective_from: "2026-01-01T00:00"
    tariff: test-eur
    recurring_fee: "{fee}"
    allowances: [{{name: minutes, quantity: 10 min}}]
    leaving: {{when: {when}, refund: {refund}}}
    joining: {{payment_details: {details}}}
"""
SIMS = [f"sim-{number}" for number in range(7)]
DECEMBER_MS = 1_796_083_200_000


class Moved(Planned):
    """Subscribers of "old", and runs that move them to another plan."""

    when = "at-once"
    refund = "none"
    now_ms = NOW_MS

    def clock_ms(self) -> int:
        return self.now_ms

    def catalogue(self) -> Catalogue:
        plans = {
            "old": PLANS.format(name="old", fee="5.00", when=self.when, refund=self.refund, details="false"),
            "new": PLANS.format(name="new", fee="3.00", when="at-once", refund="none", details="false"),
            "strict": PLANS.format(name="strict", fee="3.00", when="at-once", refund="none", details="true"),
        }
        dollars = PLANS.format(name="dollars", fee="3.00", when="at-once", refund="none", details="false")
        plans["dollars"] = dollars.replace("EUR", "USD").replace("test-eur", "test-usd")
        files = {f"plans/{name}.yaml": text for name, text in plans.items()}
        tariff = TARIFF.format(price="1.00")
        files["tariffs/usd.yaml"] = tariff.replace("EUR", "USD").replace("test-eur", "test-usd")
        return Catalogue({"tariffs/test.yaml": tariff, "plans/payg.yaml": PLAN} | files)

    async def begun(self) -> None:
        await self.planned("1000", "old", *SIMS, from_ms=NOW_MS)
        for sim in SIMS[1:]:  # the first has not begun
            found = await self.directory.get("t", sim)
            assert found is not None
            subscriptions = Subscriptions(self.store, self.catalogue())
            await subscriptions.begin(subscriptions.subject(found, NOW_MS))

    def run(self, to: str = "new", redis: Any = None) -> tuple[Migration, Directory, Subscriptions]:
        """Of another process."""
        redis = redis or self.redis
        store = WalletStore(redis, self.store.shards, "process")
        directory, catalogue = Directory(redis, store), self.catalogue()
        accounts = Accounts(redis, store, directory)
        subscriptions = Subscriptions(store, catalogue)
        new = catalogue.plan(to, NOW_MS)
        assert new is not None
        wallets = AccountWallets(redis, store, accounts)
        made = Migration(directory, accounts, wallets, subscriptions, "old", new, self.clock_ms)
        return made, directory, subscriptions

    async def whole(self, folder: Path, to: str = "new", redis: Any = None) -> list[Row]:
        """A run from its start, or on from where one was cut short, to its end."""
        migration, directory, subscriptions = self.run(to, redis)
        listing, rows = Listing(folder, "run"), []
        await listing.open(directory, subscriptions, "old", "", NOW_MS)
        for page in listing.pages():
            rows += await migration.carry_out(page)
        listing.close()
        return rows

    async def subscription(self, sim: str) -> Subscription:
        ref = self.store.wallet_ref("t", "w")
        (document,) = await self.store.documents([document_key(self.store.member_key(ref, sim))])
        assert document is not None
        return read_subscription(document)


@pytest.fixture
async def moved(redis: Any) -> Moved:
    return Moved(redis, await WalletStore.open(redis, shards=2))


def states(rows: list[Row]) -> dict[str, str]:
    return {row.subscriber: row.state for row in rows}


async def test_everybody_is_moved_and_a_second_run_finds_nobody(moved: Moved, tmp_path: Path) -> None:
    await moved.begun()
    before = await moved.balance_nanos("w")
    assert states(await moved.whole(tmp_path)) == {"sim-0": "not_begun"} | dict.fromkeys(SIMS[1:], "changed")
    after = await moved.balance_nanos("w")
    assert {(await moved.subscription(sim)).plan for sim in SIMS[1:]} == {"new"}
    assert before - after == 6 * 3_000_000_000
    assert states(await moved.whole(tmp_path)) == {"sim-0": "not_begun"}
    assert await moved.balance_nanos("w") == after
    assert not list(tmp_path.iterdir()), "a run that is at its end leaves nothing"


async def test_a_dry_run_says_all_that_and_changes_nothing(moved: Moved) -> None:
    await moved.begun()
    before = [await moved.subscription(sim) for sim in SIMS[1:]], await moved.balance_nanos("w")
    migration, _, _ = moved.run()
    rows = await migration.preview([("t", sim) for sim in SIMS] + [("t", "nobody"), ("u", "sim-1")])
    assert states(rows) == {"sim-0": "not_begun"} | dict.fromkeys(SIMS[1:], "would_change")
    row = rows[-1]
    assert (row.when_ms, row.fee, row.currency, row.account) == (NOW_MS, "3.00", "EUR", "w")
    assert [(left.allowance, left.left, left.unit) for left in row.forfeited] == [("minutes", "600000", "ms")]
    assert ([await moved.subscription(sim) for sim in SIMS[1:]], await moved.balance_nanos("w")) == before


async def test_who_cannot_be_moved_is_named_and_left_alone(moved: Moved, tmp_path: Path) -> None:
    await moved.begun()
    rows = {row.subscriber: row for row in await moved.whole(tmp_path, "strict")}
    assert rows["sim-1"].refusals == ["plan strict needs payment details; add them first"]
    assert (await moved.subscription("sim-1")).plan == "old"


async def test_nobody_is_moved_to_a_plan_in_another_currency(moved: Moved, tmp_path: Path) -> None:
    await moved.begun()
    before = await moved.balance_nanos("w")
    rows = {row.subscriber: row for row in await moved.whole(tmp_path, "dollars")}
    assert rows["sim-1"].refusals == ["plan dollars is sold in USD, wallet w is kept in EUR"]
    assert ((await moved.subscription("sim-1")).plan, await moved.balance_nanos("w")) == ("old", before)


async def test_terms_that_wait_for_the_months_end_plan_the_change(moved: Moved, tmp_path: Path) -> None:
    moved.when = "month-end"
    await moved.begun()
    assert states(await moved.whole(tmp_path))["sim-1"] == "planned"
    found = await moved.subscription("sim-1")
    assert found.planned is not None
    assert (found.plan, found.planned.when_ms) == ("old", DECEMBER_MS)
    assert states(await moved.whole(tmp_path))["sim-1"] == "planned_already"
    assert await moved.subscription("sim-1") == found


@pytest.mark.parametrize("steps", range(0, 60, 7))
async def test_a_run_that_dies_goes_on_and_each_is_moved_once(
    moved: Moved, tmp_path: Path, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listings, "PAGE", 2)
    await moved.begun()
    before = await moved.balance_nanos("w")
    for after in (False, True):
        with suppress(Crash):
            await moved.whole(tmp_path, redis=DyingRedis(moved.redis, steps, after=after))
    await moved.whole(tmp_path)
    assert {(await moved.subscription(sim)).plan for sim in SIMS[1:]} == {"new"}
    assert before - await moved.balance_nanos("w") == 6 * 3_000_000_000


async def test_a_run_that_dies_as_it_is_forgotten_leaves_no_place_to_the_next(
    moved: Moved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next run dies on its first page; the one that goes on with it begins at the first of the list."""
    await moved.begun()

    unlinked: list[Path] = []

    def unlink(path: Path, **_: Any) -> None:  # one of the two, then death
        if unlinked:
            raise Crash
        unlinked.append(path)
        os.unlink(path)

    with monkeypatch.context() as patched, suppress(Crash):
        patched.setattr(Path, "unlink", unlink)
        await moved.whole(tmp_path, "strict")  # nobody is moved
    assert len(list(tmp_path.iterdir())) == 1
    _, directory, subscriptions = moved.run()
    await Listing(tmp_path, "run").open(directory, subscriptions, "old", "", NOW_MS)
    assert states(await moved.whole(tmp_path)) == {"sim-0": "not_begun"} | dict.fromkeys(SIMS[1:], "changed")


async def test_who_began_a_period_while_the_run_went_on_is_moved_within_it(moved: Moved) -> None:
    """A run that began before midnight, on the 1st: what was paid for December is given back, not November's rest."""
    moved.refund = "days-after"
    await moved.begun()
    moved.now_ms = DECEMBER_MS - 60_000
    migration, directory, subscriptions = moved.run()
    moved.now_ms = DECEMBER_MS + 60_000
    found = await directory.get("t", "sim-1")
    assert found is not None
    before = await moved.balance_nanos("w")
    await subscriptions.present(subscriptions.subject(found, moved.now_ms))
    (row,) = await migration.carry_out([("t", "sim-1")])
    assert (row.state, row.when_ms, row.fee) == ("changed", moved.now_ms, "-1.94")
    moved.now_ms += 60_000
    await subscriptions.present(subscriptions.subject(found, moved.now_ms))
    charged = before - await moved.balance_nanos("w")
    assert charged == parse_nanos("5.00") - parse_nanos("4.84") + parse_nanos("2.90")


async def test_who_began_a_period_at_this_very_moment_is_left_to_the_next_run(moved: Moved) -> None:
    await moved.begun()
    migration, directory, subscriptions = moved.run()
    found = await directory.get("t", "sim-1")
    assert found is not None
    await subscriptions.present(subscriptions.subject(found, DECEMBER_MS))
    moved.now_ms = DECEMBER_MS - 1
    (row,) = await migration.carry_out([("t", "sim-1")])
    assert (row.state, row.refusals) == ("refused", ["sim: a step of sim-1 was made at this moment; send it again"])
    moved.now_ms = DECEMBER_MS
    (row,) = await migration.carry_out([("t", "sim-1")])
    assert (row.state, row.when_ms) == ("changed", DECEMBER_MS)


async def test_pages_have_every_subscriber_of_the_tenant_whatever_its_name(moved: Moved) -> None:
    await moved.begun()
    found = [one.id async for page in Directory(moved.redis, moved.store).pages("t", 3) for one in page]
    assert sorted(set(found)) == SIMS
    assert [page async for page in Directory(moved.redis, moved.store).pages("*")] == []
    assert [page async for page in Directory(moved.redis, moved.store).pages("[t]")] == []
