"""Whatever happens to wallets, plans, pools and SIMs at once, and whatever is lost on the way: the laws hold."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import redis.asyncio as redis_async
from hypothesis import given, settings
from hypothesis import strategies as st

from rater.pipeline.batch import Batch, Door, RawEvent
from rater.wallet.entry import Kind
from rater.wallet.store import WalletStore
from rater.wallet.transfer import Order, Transfers
from schemas.fates import Fate
from tests.rater.pipeline.engine import HOUR_MS, ICCIDS, SIMS, WALLETS, Engine
from tests.rater.pipeline.laws import check_holds, check_money, check_used, check_waking
from tests.rater.pipeline.offers import PLANS

workers, sims, wallets, plans = st.integers(0, 1), st.sampled_from(SIMS), st.sampled_from(WALLETS), sorted(PLANS)
volumes = st.sampled_from([1, 400_000, 2_500_000, 9_000_000])
hours = st.sampled_from([0, 2, 30, 100, 24 * 20])
events = st.tuples(st.sampled_from([*SIMS, *ICCIDS.values()]), hours, st.sampled_from([0, 3, 50]), volumes | st.none())
some = st.lists(events, min_size=1, max_size=4)
steps = st.one_of(
    st.tuples(st.just("use"), workers, some),
    st.tuples(st.just("use"), workers, some),
    st.tuples(st.just("torn"), workers, some, some, st.booleans()),
    st.tuples(st.just("together"), some, some, st.sampled_from(["3", "12"]), sims, wallets, st.sampled_from(plans)),
    st.tuples(st.just("transfer"), wallets, st.sampled_from(["0.20", "3"]), st.booleans()),
    st.tuples(st.just("order"), sims),
    st.tuples(st.just("again"), workers, st.integers(0, 9)),
    st.tuples(st.just("copy"), workers, st.integers(0, 9)),
    st.tuples(st.just("refill"), wallets, st.sampled_from(["0.30", "3", "12"]), st.booleans()),
    st.tuples(st.just("wait"), st.sampled_from([1, 30, 24 * 9, 24 * 31]), st.booleans()),
    st.tuples(st.just("move"), sims, wallets, st.sampled_from(plans), st.booleans()),
    st.tuples(st.just("ask"), sims, st.sampled_from(["", *plans]), st.sampled_from([0, 0, 5])),
    st.tuples(st.just("floor"), wallets, st.sampled_from(["-2", "0"])),
    st.tuples(st.just("restart"), workers),
    st.tuples(st.just("hold"), sims | st.just(""), st.booleans()),
    st.tuples(st.just("lose"), st.integers(1, 6), st.booleans()),
)
histories = st.lists(steps, min_size=1, max_size=12)


class History(Engine):
    """What can happen."""

    async def use(self, worker: int, batch_events: list[Any]) -> None:
        batch = self.delivery(batch_events)
        self.note(batch, await self.process(worker, batch))

    async def torn(self, worker: int, one: list[Any], other: list[Any], is_first: bool) -> None:
        """Two batches of one worker that overtake each other between being rated and being charged."""
        pipeline, batches = self.workers[worker], [self.delivery(one), self.delivery(other, Door("file:other"))]
        works = [pipeline.begin(batch) for batch in batches]
        for place in (1, 0) if is_first else (0, 1):
            await self.patiently(lambda place=place: pipeline.resolve(works[place]))
        for place in (0, 1) if is_first else (1, 0):
            await self.patiently(lambda place=place: pipeline.charge(works[place]))
            self.note(batches[place], pipeline.settle(works[place]))

    async def together(self, one: list[Any], other: list[Any], money: str, sim: str, wallet: str, plan: str) -> None:
        """Two workers, two sweepers, a refill and a move, all at once."""
        batches = [self.delivery(one), self.delivery(other, Door("file:other"))]
        outputs = await asyncio.gather(
            self.process(0, batches[0]),
            self.process(1, batches[1]),
            self.refill("w", money, is_swept=True),
            self.move(sim, wallet, plan, is_begun=True),
            self.settle(),
        )
        for batch, output in zip(batches, outputs[:2], strict=True):
            self.note(batch, output)

    async def transfer(self, wallet: str, amount: str, is_carried: bool) -> None:
        """Money from a wallet to the other; what is on its way is carried out by two at once, or not yet."""
        self.count += 1
        other = WALLETS[1 - WALLETS.index(wallet)]
        order = Order("t", f"transfer-{self.count}", wallet, other, amount)
        transfers = Transfers(self.redis, self.store)
        await self.patiently(lambda: transfers.make(order, now_ms=self.now_ms))
        if is_carried:
            await self.carry()

    async def again(self, worker: int, which: int) -> None:
        if self.said:
            batch, messages = self.said[str(which % len(self.said))]
            before = await self.state()
            outputs = await self.process(worker, batch)
            assert dict(outputs.messages) == messages, "the same delivery has the same records"
            assert await self.state() == before, "and changes nothing"

    async def copy(self, worker: int, which: int) -> None:
        if self.said:
            batch, _ = self.said[str(which % len(self.said))]
            copies = [RawEvent(event.value, self.door, 1000 + event.position) for event in batch.events]
            before = await self.state()
            outputs = await self.process(worker, Batch(copies, self.now_ms, format="usage"))
            assert {one.fate for one in outputs.verdicts} <= {Fate.DUPLICATE, Fate.PARKED, Fate.DEAD_LETTERED}
            assert await self.state() == before, "what is known changes nothing"

    async def wait(self, hours: int, is_swept: bool) -> None:
        self.now_ms += hours * HOUR_MS
        if is_swept:
            await self.settle()

    async def floor(self, wallet: str, amount: str) -> None:
        await self.command(Kind.FLOOR, wallet, amount)

    async def restart(self, worker: int) -> None:
        self.workers[worker] = await self.pipeline()

    async def hold(self, sim: str, is_on: bool) -> None:
        found = await self.directory.get("t", sim) if sim else None
        wallet = found.assignments[-1].wallet if found else "w"
        await self.command(Kind.HOLD if is_on else Kind.RELEASE, wallet, subscriber=sim, hold="operator")

    async def lose(self, call: int, is_late: bool) -> None:
        self.lost.left, self.lost.late = call, is_late


async def play(socket: Path, balance: str, chosen: list[str], history: list[tuple[Any, ...]]) -> None:
    redis = redis_async.Redis(unix_socket_path=str(socket))
    await redis.flushall()
    played = History(redis, await WalletStore.open(redis, shards=2))
    await played.open(balance, chosen)
    for name, *what in history:
        await getattr(played, name)(*what)
        await check_used(played)
    await check_money(played)
    await check_holds(played)
    await check_waking(played)
    await redis.aclose()


@settings(max_examples=60)
@given(
    st.sampled_from(["0", "4", "20"]),
    st.lists(st.sampled_from(sorted(PLANS)), min_size=3, max_size=3),
    histories,
)
def test_the_laws_hold_over_any_history(
    redis_socket: Path, balance: str, chosen: list[str], history: list[tuple[Any, ...]]
) -> None:
    asyncio.run(play(redis_socket, balance, chosen, history))
