"""A whole engine under plans, two of everything, on one Redis that may be lost around any call; and what it said."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import orjson
from redis.exceptions import ConnectionError as RedisConnectionError

from rater.catalogue import Catalogue
from rater.directory import Directory
from rater.errors import PlanError, WalletError
from rater.identity import identity
from rater.money import parse_nanos
from rater.pipeline.batch import Batch, Door, RawEvent
from rater.pipeline.pipeline import Pipeline
from rater.plans.change import preview_at
from rater.plans.life import account_of, buy, cancel, change, read_subscription, schedule
from rater.subscriber import Assignment, Subscriber
from rater.subscriptions import Subscriptions
from rater.wallet.entry import Entry, Kind
from rater.wallet.keys import document_key
from rater.wallet.legs import forward
from rater.wallet.news import Onward
from rater.wallet.outbox import Outbox
from rater.wallet.store import WalletStore
from rater.wallet.timers import Timers
from streams.timers import Sweeper
from tests.rater.pipeline.conftest import NOW_MS, message, usage
from tests.rater.pipeline.offers import catalogue
from tests.rater.pipeline.test_plans import OCTOBER_MS, Planned

HOUR_MS = 3_600_000
#: In two shards.
WALLETS = ("w", "x")
SIMS = ("sim-1", "sim-2", "sim-3")
ICCIDS = {sim: f"89880000000000000{number:02}" for number, sim in enumerate(SIMS)}
#: Tried so often where Redis is lost.
TRIES = 5


class Lost:
    """Redis that is gone at a function call to come: before it or, `late`, before its answer."""

    def __init__(self, redis: Any) -> None:
        self.left = 0
        self.late = False
        redis.fcall = self._wrapped(redis.fcall)
        redis.fcall_ro = self._wrapped(redis.fcall_ro)

    def _wrapped(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any) -> Any:
            self.left -= 1
            is_lost = self.left == 0
            if is_lost and not self.late:
                raise RedisConnectionError("gone before the call")
            answer = await method(*arguments)
            if is_lost:
                raise RedisConnectionError("gone before the answer")
            return answer

        return call


class Engine(Planned):
    """Two workers, two sweepers, and one that commands. Whatever is lost is tried again."""

    def __init__(self, redis: Any, store: WalletStore) -> None:
        super().__init__(redis, store)
        self.lost = Lost(redis)
        self.now_ms = OCTOBER_MS + 4 * 24 * HOUR_MS
        self.count = 0
        self.workers: list[Pipeline] = []
        self.sweepers = [self._sweeper(), self._sweeper()]
        self.subscriptions = Subscriptions(store, catalogue())
        #: By id: the delivery, and what was said of it then.
        self.said: dict[str, tuple[Batch, dict[str, Any]]] = {}
        self.records: dict[tuple[str, int], dict[str, Any]] = {}
        self.given_nanos = 0
        #: Of each grant, and by records altogether, when it was last looked at.
        self.used: dict[tuple[str, str, str], int] = {}
        self.steps: dict[tuple[str, str], int] = {}
        self.given_parts = 0

    def catalogue(self) -> Catalogue:
        return catalogue()

    def _sweeper(self) -> Sweeper:
        timers, directory, every = Timers(self.redis, self.store), Directory(self.redis, self.store), range(2)
        return Sweeper(timers, self.store, directory, catalogue(), lambda: self.now_ms, lambda: every)

    async def open(self, balance: str, plans: list[str]) -> None:
        """Two wallets, the SIMs in the first of them."""
        self.workers = [await self.pipeline(), await self.pipeline()]
        for wallet in WALLETS:
            await self.wallet(wallet, balance)
            self.given_nanos += parse_nanos(balance)
        for sim, plan in zip(SIMS, plans, strict=True):
            assignment = Assignment(self.now_ms, "w", "w", plan, "EUR")
            subscriber = Subscriber("t", sim, 1, (assignment,), iccid=ICCIDS[sim])
            await self.directory.add([subscriber], now_ms=NOW_MS)
            await self.begin(sim)

    async def patiently(self, what: Callable[[], Awaitable[Any]]) -> Any:
        """Once more after a loss; None if it cannot be done."""
        for _ in range(TRIES):
            try:
                return await what()
            except RedisConnectionError:
                continue
            except (PlanError, WalletError):
                return None
        raise AssertionError("it is lost for ever")

    async def begin(self, sim: str) -> None:
        found = await self.directory.get("t", sim)
        assert found is not None
        await self.patiently(lambda: self.subscriptions.begin(self.subscriptions.subject(found, self.now_ms)))

    def event(self, sim: str, ago_h: int, hours: int, volume: int | None) -> bytes:
        """Usage that began so long ago."""
        self.count += 1
        start_ms = self.now_ms - ago_h * HOUR_MS
        start, end = _text(start_ms), _text(min(self.now_ms, start_ms + hours * HOUR_MS))
        name, whose = str(self.count), {"subscriber": sim}
        if sim in ICCIDS.values():  # which is the way that is read at once
            whose = {"subscriber": None, "iccid": sim}
        if volume is None:
            return message(name, **whose, start_time=start, end_time=start)
        return usage(name, volume_bytes=volume, **whose, start_time=start, end_time=end)

    def delivery(self, events: list[tuple[str, int, int, int | None]], door: Door | None = None) -> Batch:
        raw = [RawEvent(self.event(*event), door or self.door, self.count) for event in events]
        return Batch(raw, self.now_ms, format="usage")

    async def process(self, worker: int, batch: Batch) -> Any:
        """One delivery, as often as it takes."""
        pipeline = self.workers[worker]
        return await self.patiently(lambda: pipeline.process(batch))

    def note(self, batch: Batch, outputs: Any) -> None:
        """Remember what was said of a delivery."""
        self.said[str(len(self.said))] = batch, dict(outputs.messages)
        for _, value in outputs.messages.get("rated", []):
            record = orjson.loads(value)
            self.records[record["id"], record.get("part", 0)] = record

    async def settle(self) -> None:
        """Both sweepers at once, until nothing is due."""
        while any(await asyncio.gather(*(self.patiently(one.sweep_once) for one in self.sweepers))):
            pass

    async def command(self, kind: Kind, wallet: str, amount: str = "0", **fields: Any) -> None:
        self.count += 1
        entry = Entry(
            kind=kind, tenant="t", wallet=wallet, identity=identity("t", "test", f"command-{self.count}"),
            fingerprint=bytes(8), cause=f"test/command-{self.count}", amount_nanos=parse_nanos(amount), **fields,
        )  # fmt: skip
        await self.patiently(lambda: self.store.apply([entry], now_ms=self.now_ms))

    async def move(self, sim: str, wallet: str, plan: str, is_begun: bool) -> None:
        """Another wallet or plan from now on; the process may die before the plan begins."""
        self.now_ms += 1
        assignment = Assignment(self.now_ms, wallet, wallet, plan, "EUR")
        await self.patiently(lambda: self.directory.move("t", sim, assignment, now_ms=self.now_ms))
        if is_begun:
            await self.begin(sim)

    async def order(self, sim: str) -> None:
        """An add-on, which a plan has or not."""
        await self._make(sim, lambda sub, view: buy(sub, "extra", f"order-{self.count}", self.now_ms, view))

    async def ask(self, sim: str, plan: str, in_days: int) -> None:
        """A change to a plan, at once or in some days; without a plan, a cancellation."""

        def wanted(sub: Any, view: Any) -> Any:
            if not plan:
                return cancel(sub, self.now_ms, view)
            account = account_of(sub, view, "owner", "", at_ms=self.now_ms)
            when_ms = self.now_ms + in_days * 24 * HOUR_MS
            preview = preview_at(account, view.plan(plan, self.now_ms), self.now_ms, when_ms)
            return schedule(sub, preview, self.now_ms, view) if in_days else change(sub, preview, view)

        await self._make(sim, wanted)

    async def _make(self, sim: str, wanted: Any) -> None:
        self.count += 1
        found, request = await self.directory.get("t", sim), f"request-{self.count}"
        assert found is not None
        subject = self.subscriptions.subject(found, self.now_ms)
        await self.patiently(lambda: self.subscriptions.make(subject, wanted, request))

    async def refill(self, wallet: str, money: str, is_swept: bool) -> None:
        await self.command(Kind.CREDIT, wallet, money)
        self.given_nanos += parse_nanos(money)
        if is_swept:
            await self.settle()

    async def carry(self) -> None:
        for onward in [event for event in await self.news() if isinstance(event, Onward)]:
            once = partial(forward, self.store, onward, now_ms=self.now_ms)
            await asyncio.gather(self.patiently(once), self.patiently(once))

    async def state(self) -> dict[bytes, bytes]:
        """All wallets, members and subscriptions."""
        keys = sorted([key async for key in self.redis.scan_iter("{s*}:[wbp]:*")])
        return dict(zip(keys, await self.redis.mget(keys), strict=True))

    async def member(self, wallet: str, sim: str) -> tuple[Any, Any]:
        """A member and its subscription."""
        ref = self.store.wallet_ref("t", wallet)
        (document,) = await self.store.documents([document_key(self.store.member_key(ref, sim))])
        return await self.store.member("t", wallet, sim), read_subscription(document) if document else None

    async def news(self) -> list[Any]:
        outbox = Outbox(self.redis, self.store)
        pages = await outbox.read(range(self.store.shards), 10_000)
        return [item.event for page in pages.values() for item in page.entries]


def _text(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
