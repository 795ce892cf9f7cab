"""The engine assembled as the settings say: parts, wallets, pipeline, outputs, writer. Doors and commands open it."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from redis.asyncio import Redis, RedisCluster

from rater.accounts.book import Accounts
from rater.accounts.wallets import AccountWallets
from rater.catalogue import Catalogue
from rater.directory import Directory
from rater.numbers.book import NumberBook
from rater.numbers.orders import NumberOrders
from rater.pipeline.catalogues import Catalogues
from rater.pipeline.pipeline import Pipeline
from rater.pipeline.prepare import DAY_MS, HOUR_MS, Limits
from rater.settings import Settings
from rater.subscriptions import Subscriptions
from rater.wallet.outbox import Outbox
from rater.wallet.store import WalletStore
from rater.wallet.timers import Timers
from rater.wallet.transfer import Transfers
from streams.clickhouse.ids import lookup_ids
from streams.clickhouse.process import Order
from streams.clickhouse.server import ClickHouse
from streams.clickhouse.supervisor import WriterProcess
from streams.clickhouse.writer import Writer
from streams.clickhouse.written import Written
from streams.crew import Crew
from streams.embedded.parts import EmbeddedParts
from streams.invoices.service import Invoices
from streams.numbers import Numbers
from streams.opening import WRITER_GROUP, open_clickhouse_of, open_cursor, open_producer, open_sink, open_source
from streams.orders.orders import Orders
from streams.payments.payments import Payments
from streams.publisher import Publisher
from streams.timers import Sweeper
from streams.topics import Sink
from streams.transit import watch_transit
from streams.webhooks.service import Webhooks, open_webhooks


@dataclass
class Parts:
    """Redis and what stands on it: enough for the commands on wallets and SIMs."""

    settings: Settings
    redis: Redis
    store: WalletStore
    directory: Directory
    outbox: Outbox
    embedded: EmbeddedParts | None
    clock_ms: Callable[[], int]
    accounts: Accounts = field(init=False)
    account_wallets: AccountWallets = field(init=False)
    transfers: Transfers = field(init=False)

    def __post_init__(self) -> None:
        self.accounts = Accounts(self.redis, self.store, self.directory)
        self.account_wallets = AccountWallets(self.redis, self.store, self.accounts)
        self.transfers = Transfers(self.redis, self.store)


@dataclass
class Engine:
    """Everything a door needs."""

    parts: Parts
    catalogue: Catalogue
    pipeline: Pipeline
    subscriptions: Subscriptions
    payments: Payments
    orders: Orders
    sink: Sink
    publisher: Publisher
    clickhouse: ClickHouse
    #: How much of the topics stands in ClickHouse, whoever writes it.
    written: Written
    #: The process that writes it, where that is this engine's affair.
    writer: WriterProcess | None
    #: What is told to the addresses that customers named; sent here if the door asked for it.
    webhooks: Webhooks
    #: What wallets owe at the end of a period; made here if the door asked for it.
    invoices: Invoices
    #: The inventory of phone numbers, and what keeps it.
    numbers: Numbers
    #: The publisher, timers, what keeps the writer running, and what hears of news; doors stop when one of them fails.
    crew: Crew

    async def settle_down(self) -> None:
        """Return once every crossing is published and every record stands in ClickHouse (if it is written here)."""
        await self.crew.wait(self.publisher.drained())
        if self.writer is not None:
            await self.crew.wait(self.written.caught_up())

    async def rotate(self, clear_ms: int) -> None:
        """Begin new generations of remembered ids, and drop those that nobody will ask for again.

        `clear_ms`: the door had acknowledged everything at that time. What was decided before it, and before a moment
        whose topics are written to their end, stands in ClickHouse. A generation is at least `memory_days` past its end
        when it is dropped, which is the time another worker has for what it had under way.
        """
        await self.written.look()
        now_ms, window_ms = self.parts.clock_ms(), self.parts.settings.intake.memory_days * DAY_MS
        safe_ms = min(clear_ms, self.written.caught_up_ms)
        for shard in range(self.parts.store.shards):
            await self.parts.store.rotate(shard, now_ms=now_ms, window_ms=window_ms, safe_ms=safe_ms)


@asynccontextmanager
async def open_parts(settings: Settings) -> AsyncIterator[Parts]:
    """Start or reach Redis, check that it is safe, and open the wallets."""
    clock_ms = settings.clock()
    async with AsyncExitStack() as stack:
        embedded = None
        if settings.engine.mode == "embedded":
            parts = EmbeddedParts(
                settings.data, appendfsync="no" if settings.engine.durability == "process" else "always"
            )
            embedded = await stack.enter_async_context(parts)
            redis: Any = Redis(unix_socket_path=str(embedded.redis_socket))
        elif settings.redis.cluster:
            redis = RedisCluster.from_url(settings.redis.url)
        else:
            redis = Redis.from_url(settings.redis.url)
        stack.push_async_callback(redis.aclose)
        engine = settings.engine
        store = await WalletStore.open(redis, shards=engine.shards, durability=engine.durability)
        directory = Directory(redis, store)
        yield Parts(settings, redis, store, directory, Outbox(redis, store), embedded, clock_ms)


@asynccontextmanager
async def open_engine(settings: Settings, *, kafka: bool, hooks: bool = False) -> AsyncIterator[Engine]:
    """Open everything; while it is open, crossings are published and a child writes the topics to ClickHouse.

    `hooks`: webhooks are sent and rules followed as well, where the settings do not switch it off; invoices are made of
    the periods that end, and the inventory of phone numbers is kept to the subscriptions.
    """
    catalogue = Catalogue.load(Path(settings.engine.catalogue))
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(open_parts(settings))
        clickhouse = await stack.enter_async_context(open_clickhouse_of(settings, parts.embedded))
        sink = await stack.enter_async_context(open_sink(settings, kafka=kafka))
        # Of its own: a producer sends one request at a time, and a suspend must not wait behind a batch of records.
        news_sink = await stack.enter_async_context(open_producer(settings)) if kafka else sink
        catalogues = Catalogues(parts.redis, catalogue)
        await catalogues.keep()
        limits = Limits(settings.intake.too_old_days * DAY_MS, settings.intake.future_hours * HOUR_MS)
        pipeline = Pipeline(parts.store, parts.directory, catalogues, limits, partial(lookup_ids, clickhouse))
        publisher = Publisher(parts.outbox, settings.engine.shards, news_sink, parts.clock_ms)
        cursor = await stack.enter_async_context(open_cursor(settings, WRITER_GROUP, kafka=kafka))
        written = Written(cursor, parts.clock_ms)
        writer = None
        if settings.clickhouse.writer:
            socket = parts.embedded.clickhouse_socket if parts.embedded else None
            writer = WriterProcess(Order(settings, kafka, socket))
        webhooks = await stack.enter_async_context(open_webhooks(parts, news_sink, kafka=kafka))
        invoices = Invoices.of(parts, clickhouse, publisher.wake, kafka=kafka)
        timers = Timers(parts.redis, parts.store)
        sweeper = Sweeper(timers, parts.store, parts.directory, catalogue, parts.clock_ms, lambda: publisher.leased)
        payments = Payments(
            settings, parts.redis, parts.store, parts.directory, catalogue, parts.clock_ms, publisher.wake, kafka=kafka
        )
        stack.push_async_callback(payments.close)
        subscriptions = Subscriptions(parts.store, parts.directory, catalogue)
        number_book = NumberBook(parts.redis, parts.store)
        number_orders = NumberOrders(parts.store, parts.directory, subscriptions, number_book)
        numbers = Numbers(settings, kafka, parts.clock_ms, number_book, number_orders, lambda: publisher.leased)
        orders = Orders(
            settings, parts.redis, parts.store, parts.directory, subscriptions, payments.desk, parts.clock_ms,
            publisher.wake, kafka=kafka,
        )  # fmt: skip
        tasks = [publisher.run(), sweeper.run(), watch_transit(parts.outbox), payments.run(), orders.run()]
        tasks += [
            *([writer.run()] if writer else []),
            *([*webhooks.tasks(), *invoices.tasks(), *numbers.tasks()] if hooks else []),
        ]
        crew = await stack.enter_async_context(Crew(*tasks))
        _tune_collection()
        yield Engine(
            parts,
            catalogue,
            pipeline,
            subscriptions,
            payments,
            orders,
            sink,
            publisher,
            clickhouse,
            written,
            writer,
            webhooks,
            invoices,
            numbers,
            crew,
        )


def _tune_collection() -> None:
    """Collect garbage off the hot path.

    Nothing that an event leaves behind is a cycle, so counting references frees nearly all of it. Young objects are
    looked through when there are many more of them than before; what survives is left alone: walking the catalogue and
    every known SIM in each full collection cost a sixth of the processor.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 1_000, 1_000)


@asynccontextmanager
async def open_ledger(settings: Settings) -> AsyncIterator[ClickHouse]:
    """ClickHouse, for questions. Embedded, what commands left on the topics is written first; else workers do that."""
    async with AsyncExitStack() as stack:
        embedded = None
        if settings.engine.mode == "embedded":
            embedded = await stack.enter_async_context(EmbeddedParts(settings.data))
        clickhouse = await stack.enter_async_context(open_clickhouse_of(settings, embedded))
        if embedded:
            async with open_source(settings, WRITER_GROUP, kafka=False) as source:
                writer = Writer(source, clickhouse)
                while await writer.write_once(0):
                    pass
        yield clickhouse


async def publish_outbox(parts: Parts) -> None:
    """Publish what a command left in the outbox; a running worker that has the lease does it instead."""
    if parts.settings.engine.mode == "embedded":
        await _settle_timers(parts)  # a top-up may have woken a subscription; elsewhere workers see to that
    async with open_sink(parts.settings, kafka=parts.settings.engine.mode == "distributed") as sink:
        await Publisher(parts.outbox, parts.settings.engine.shards, sink, parts.clock_ms).drain()


async def _settle_timers(parts: Parts) -> None:
    timers = Timers(parts.redis, parts.store)
    next_ms = await timers.next_ms()
    if next_ms is not None and next_ms <= parts.clock_ms():
        catalogue, every = Catalogue.load(Path(parts.settings.engine.catalogue)), range(parts.store.shards)
        await Sweeper(timers, parts.store, parts.directory, catalogue, parts.clock_ms, lambda: every).settle()
