"""Money between wallets: in one of them or on its way, to the nano, wherever a publisher or a sender dies."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as redis_async
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from rater.errors import WalletError
from rater.identity import identity
from rater.money import AMOUNT_MAX_NANOS, NANOS, format_nanos, parse_nanos
from rater.wallet.command import carry_out
from rater.wallet.entry import Decision, Kind
from rater.wallet.legs import forward
from rater.wallet.news import Onward
from rater.wallet.outbox import Outbox
from rater.wallet.store import WalletStore
from rater.wallet.transfer import Order, Transfers
from schemas.commands import WalletCommand
from schemas.fates import Fate
from streams.publisher import Publisher
from streams.spool_sink import SpoolSink
from streams.transit import watch_transit
from tests.rater.wallet.building import NOW_MS, Wallets, create, entry
from tests.rater.wallet.dying import Crash, DyingRedis

SHARDS = 4
NAMES = ("a", "b", "c")
TENANT = "t"


def publisher_of(redis: Any, store: WalletStore, folder: Path) -> Publisher:
    """Another process: it has a lease token of its own."""
    return Publisher(Outbox(redis, store), SHARDS, SpoolSink(folder), lambda: NOW_MS)


@pytest.fixture
async def wallets(redis: Any) -> Wallets:
    made = Wallets(redis, await WalletStore.open(redis, shards=SHARDS))
    await made.decide(*(create("10", wallet=name) for name in NAMES))
    return made


async def send(wallets: Wallets, money: str = "3", transfer_id: str = "1", **fields: str) -> Any:
    order = Order(TENANT, transfer_id, **({"from_wallet": "a", "to_wallet": "b", "amount": money} | fields))
    return await Transfers(wallets.redis, wallets.store).make(order, now_ms=NOW_MS)


async def status(wallets: Wallets, transfer_id: str = "1") -> str:
    found = await Transfers(wallets.redis, wallets.store).find(TENANT, transfer_id)
    return found.status if found else ""


async def test_a_transfer_is_in_transit_and_then_done(wallets: Wallets, tmp_path: Path) -> None:
    made = await send(wallets)
    assert (made.status, made.known, made.balance_before_nanos) == ("in_transit", False, 10 * NANOS)
    assert await wallets.outbox.in_transit() == {"EUR": 3 * NANOS}
    await publisher_of(wallets.redis, wallets.store, tmp_path).drain()
    assert await status(wallets) == "done"
    again = await send(wallets)
    assert (again.status, again.known) == ("done", True)
    assert [await wallets.balance(name) for name in NAMES] == [7 * NANOS, 13 * NANOS, 10 * NANOS]


async def test_the_id_stands_for_the_first_order(wallets: Wallets) -> None:
    await send(wallets, "3")
    await send(wallets, "3.00")
    for other in ({"amount": "4"}, {"to_wallet": "c"}, {"note": "x"}, {"from_wallet": "c"}):
        with pytest.raises(WalletError, match="id: 1 was used before"):
            await send(wallets, **other)
    assert await wallets.outbox.in_transit() == {"EUR": 3 * NANOS}


async def test_what_is_refused_for_want_of_money_stays_refused(wallets: Wallets) -> None:
    for _ in range(2):
        with pytest.raises(WalletError, match=r"amount: a does not have 11\.00 available"):
            await send(wallets, "11")
        await wallets.decide(entry(Kind.CREDIT, "5", wallet="a"))
    assert await status(wallets) == "refused"
    assert await wallets.outbox.in_transit() == {}


async def test_what_the_other_wallet_cannot_hold_comes_back(wallets: Wallets, tmp_path: Path) -> None:
    await send(wallets)
    await fill(wallets, "b")
    await publisher_of(wallets.redis, wallets.store, tmp_path).drain()
    assert await status(wallets) == "returned"
    assert await wallets.balance("a") == 10 * NANOS


async def test_what_neither_wallet_can_hold_stays_on_its_way_until_one_can(wallets: Wallets, tmp_path: Path) -> None:
    await send(wallets)
    await fill(wallets, "b")
    await fill(wallets, "a")
    for _ in range(3):
        await publisher_of(wallets.redis, wallets.store, tmp_path).drain()
    assert (await status(wallets), await wallets.outbox.in_transit()) == ("in_transit", {"EUR": 3 * NANOS})
    await wallets.decide(entry(Kind.DEBIT, "5", wallet="a"))
    await publisher_of(wallets.redis, wallets.store, tmp_path).drain()
    assert (await status(wallets), await wallets.outbox.in_transit()) == ("returned", {})
    assert await wallets.balance("a") == AMOUNT_MAX_NANOS - 2 * NANOS


async def test_a_refusal_of_the_way_back_is_not_taken_for_its_end(wallets: Wallets) -> None:
    """A wallet that is filled up between the look and the credit: the next try has an identity of its own."""
    await send(wallets)
    (onward,) = [event for event in await wallets.news() if isinstance(event, Onward)]
    await fill(wallets, "b")
    await fill(wallets, "a")
    with pytest.raises(WalletError):
        await carry_out(wallets.store, onward.back, now_ms=NOW_MS)
    assert not await forward(wallets.store, onward, now_ms=NOW_MS)
    await wallets.decide(entry(Kind.DEBIT, "5", wallet="a"))
    for _ in range(2):
        assert await forward(wallets.store, onward, now_ms=NOW_MS)
    assert await wallets.balance("a") == AMOUNT_MAX_NANOS - 2 * NANOS


async def fill(wallets: Wallets, name: str) -> None:
    room = AMOUNT_MAX_NANOS - await wallets.balance(name)
    await wallets.decide(entry(Kind.CREDIT, wallet=name, amount_nanos=room))


async def test_money_that_has_arrived_is_not_in_transit_though_the_publisher_died_before_it_said_so(
    wallets: Wallets,
) -> None:
    await send(wallets)
    ((shard, _),) = [
        (shard, item)
        for shard, page in (await wallets.outbox.read(range(SHARDS), 10)).items()
        for item in page.entries
        if isinstance(item.event, Onward)
    ]
    page = (await wallets.outbox.read([shard], 10))[shard]
    (onward,) = [item.event for item in page.entries if isinstance(item.event, Onward)]
    await forward(wallets.store, onward, now_ms=NOW_MS)
    assert await wallets.outbox.in_transit() == {}


@pytest.mark.parametrize("after", [False, True], ids=["before it", "after it"])
@pytest.mark.parametrize("dies_at", range(20))
async def test_wherever_sender_or_publisher_die_the_money_is_somewhere_once(
    wallets: Wallets, tmp_path: Path, dies_at: int, after: bool
) -> None:
    """At each of their commands in turn: Redis has it, or has it not."""
    dying: Any = DyingRedis(wallets.redis, dies_at, after=after)
    store = WalletStore(dying, SHARDS, "process")
    order = Order(TENANT, "1", "a", "b", "3")
    with suppress(Crash):
        await Transfers(dying, store).make(order, now_ms=NOW_MS)
    assert await total(wallets) == 30 * NANOS
    await send(wallets)
    dying = DyingRedis(wallets.redis, dies_at, after=after)
    with suppress(Crash):
        await publisher_of(dying, WalletStore(dying, SHARDS, "process"), tmp_path).drain()
    assert await total(wallets) == 30 * NANOS
    await wallets.redis.delete(*(f"{{s{shard}}}:lease" for shard in range(SHARDS)))
    await publisher_of(wallets.redis, wallets.store, tmp_path).drain()
    assert [await wallets.balance(name) for name in NAMES] == [7 * NANOS, 13 * NANOS, 10 * NANOS]
    assert await status(wallets) == "done"


async def test_money_in_transit_is_a_metric(wallets: Wallets) -> None:
    await send(wallets, "2.50")
    watching = asyncio.create_task(watch_transit(wallets.outbox))
    for _ in range(100):
        if REGISTRY.get_sample_value("rater_in_transit_units", {"currency": "EUR"}) == 2.5:
            break
        await asyncio.sleep(0.02)
    assert REGISTRY.get_sample_value("rater_in_transit_units", {"currency": "EUR"}) == 2.5
    watching.cancel()


@dataclass(frozen=True)
class Step:
    """Something done by a process that dies at one of its commands, or does not if there are fewer."""

    kind: str
    first: str
    second: str
    nanos: int
    event_id: int
    dies_at: int
    after: bool


LARGE = AMOUNT_MAX_NANOS // 2
steps = st.builds(
    Step,
    kind=st.sampled_from(["send", "send", "publish", "top-up", "fee"]),
    first=st.sampled_from(NAMES),
    second=st.sampled_from(NAMES),
    nanos=st.one_of(st.integers(1, 4 * NANOS), st.sampled_from([LARGE, LARGE + 1])),
    event_id=st.integers(0, 6),
    dies_at=st.one_of(st.integers(0, 20), st.just(1000)),
    after=st.booleans(),
)


@settings(max_examples=120, deadline=None)
@given(history=st.lists(steps, max_size=25))
def test_money_is_conserved_and_every_transfer_ends_once(redis_socket: Path, history: list[Step]) -> None:
    """Balances + in transit = opened with + topped up - fees, after each step; and each wallet by itself at the end."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(redis_socket, Path(folder), history))


async def play(socket: Path, folder: Path, history: list[Step]) -> None:
    redis = redis_async.Redis(unix_socket_path=str(socket))
    await redis.flushall()
    wallets = Wallets(redis, await WalletStore.open(redis, shards=SHARDS))
    await wallets.decide(*(create("10", wallet=name) for name in NAMES))
    commands: dict[tuple[str, int], WalletCommand] = {}
    orders: dict[str, Order] = {}
    for step in history:
        dying: Any = DyingRedis(redis, step.dies_at, after=step.after)
        store = WalletStore(dying, SHARDS, "process")
        with suppress(Crash, WalletError):
            await take(step, dying, store, folder, commands, orders)
        assert await total(wallets) == await expected(wallets, commands)
        # The lease of a publisher that died runs out.
        await redis.delete(*(f"{{s{shard}}}:lease" for shard in range(SHARDS)))
    await settle(wallets, folder)
    assert await total(wallets) == await expected(wallets, commands)
    assert await ends(wallets, orders) <= {"done", "returned", "refused", ""}
    await check_balances(wallets, commands, orders)
    await redis.aclose()


async def take(
    step: Step, redis: Any, store: WalletStore, folder: Path, commands: dict[tuple[str, int], WalletCommand],
    orders: dict[str, Order],
) -> None:  # fmt: skip
    if step.kind == "publish":
        await publisher_of(redis, store, folder).drain()
    elif step.kind == "send":
        order = Order(TENANT, str(step.event_id), step.first, step.second, format_nanos(step.nanos))
        order = orders.setdefault(order.id, order)  # a repeat is of the same
        await Transfers(redis, store).make(order, now_ms=NOW_MS)
    else:
        kind: Any = step.kind
        made = WalletCommand(TENANT, kind, str(step.event_id), step.first, kind, amount=format_nanos(step.nanos))
        command = commands.setdefault((step.kind, step.event_id), made)
        await carry_out(store, command, now_ms=NOW_MS)


async def settle(wallets: Wallets, folder: Path) -> None:
    """Everything is published; what finds both of its wallets full stays on its way, neither lost nor doubled."""
    for _ in range(3):
        await publisher_of(wallets.redis, wallets.store, folder).drain()


async def total(wallets: Wallets) -> int:
    moving = await wallets.outbox.in_transit()
    return sum([await wallets.balance(name) for name in NAMES]) + moving.get("EUR", 0)


async def expected(wallets: Wallets, commands: dict[tuple[str, int], WalletCommand]) -> int:
    """By what the wallets decided of what came from outside."""
    money = 10 * NANOS * len(NAMES)
    for command in commands.values():
        if await decided(wallets, command.wallet, command.source, command.id):
            money += parse_nanos(command.amount) * (1 if command.kind == "top-up" else -1)
    return money


async def decided(wallets: Wallets, wallet: str, source: str, event_id: str) -> bool:
    found = await wallets.store.remembered(TENANT, wallet, identity(TENANT, source, event_id))
    return isinstance(found, Decision) and found.fate is Fate.RATED


async def ends(wallets: Wallets, orders: dict[str, Order]) -> set[str]:
    moving = await wallets.outbox.in_transit()
    found = {transfer_id: await status(wallets, transfer_id) for transfer_id in orders}
    return {end for end in found.values() if end != "in_transit" or not moving}


async def check_balances(
    wallets: Wallets, commands: dict[tuple[str, int], WalletCommand], orders: dict[str, Order]
) -> None:
    """Each wallet is what its commands and the ends of its transfers say: no leg came twice."""
    balances = dict.fromkeys(NAMES, 10 * NANOS)
    for command in commands.values():
        if await decided(wallets, command.wallet, command.source, command.id):
            balances[command.wallet] += parse_nanos(command.amount) * (1 if command.kind == "top-up" else -1)
    for order in orders.values():
        end, nanos = await status(wallets, order.id), parse_nanos(order.amount)
        balances[order.from_wallet] -= nanos if end in ("in_transit", "done") else 0
        balances[order.to_wallet] += nanos if end == "done" else 0
    assert {name: await wallets.balance(name) for name in NAMES} == balances
