"""What the Kafka parts are measured on: a broker, topics, wallets, a worker in a process of its own, and the floor."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import msgspec
from aiokafka.admin import AIOKafkaAdminClient

from benchmarks.ledger import Before, Ledger, expected
from benchmarks.loading import at_rest
from benchmarks.run import Run
from benchmarks.topics import read_kafka, remove
from benchmarks.traffic import TENANT, Sent, free_message
from rater.errors import PartsError
from rater.pipeline.tally import Tally
from rater.settings import Settings
from rater.wallet.load import WalletForm, load_wallets
from streams.brokers import client_options
from streams.embedded.ports import free_ports
from streams.kafka import KafkaSink, create_topics
from streams.parts import Parts, open_parts
from streams.topics import ALL
from streams.worker_process import environment, running_worker, scraped

#: How often the commits of a group are looked at: the resolution of every time below.
LOOK_S = 0.03
WAIT_S = 900


@dataclass
class Stage:
    """One engine and one floor on the same topic of usage."""

    settings: Settings
    parts: Parts
    sink: KafkaSink
    admin: AIOKafkaAdminClient
    worker: int = 0
    #: Process id of the floor; 0 where there is none (Redis Cluster).
    floor: int = 0
    forms: list[WalletForm] = field(default_factory=list)
    #: Events on the usage topic so far, and what must come of them.
    events: int = 0
    sent: Sent = field(default_factory=Sent)
    #: What a second worker, which has ended, has counted.
    elsewhere: Tally = field(default_factory=Tally)

    async def load(self, forms: list[WalletForm]) -> None:
        """Make wallets and SIMs."""
        if await self.parts.store.wallet(TENANT, forms[0].wallet):
            raise PartsError("Redis holds wallets of an earlier benchmark; give each run an empty one")
        await load_wallets(forms, self.parts.store, self.parts.directory, now_ms=self.parts.clock_ms())
        self.forms += forms

    async def send(self, sent: Sent) -> None:
        """Put traffic on the usage topic; return when it is delivered."""
        self.note(sent)
        await self.sink.publish({self.settings.kafka.usage_topic: sent.messages})

    async def meet(self, sims: Iterable[str]) -> None:
        """Let each SIM send a message that costs nothing, and what else is under way come to rest.

        So that what is measured next is of a worker that knows its SIMs, with nothing to do but that.
        """
        await self.send(Sent([(sim.encode(), free_message(sim.encode())) for sim in sims]))
        await self.committed(self.worker)
        await at_rest(self.parts)

    def note(self, sent: Sent) -> None:
        """Count traffic in."""
        self.events += len(sent.messages)
        self.sent.add(sent)

    def group(self, pid: int) -> str:
        """The consumer group of a process."""
        return self.settings.kafka.group if pid == self.worker else floor_group(self.settings)

    async def committed(self, pid: int) -> None:
        """Return once a process has committed everything on the usage topic."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            with suppress(IndexError):  # a group that is being made has no coordinator yet
                offsets = await self.admin.list_consumer_group_offsets(self.group(pid))
                topic = self.settings.kafka.usage_topic
                if sum(at.offset for where, at in offsets.items() if where.topic == topic) >= self.events:
                    return
            await asyncio.sleep(LOOK_S)
        raise PartsError(f"group {self.group(pid)} did not get through {self.events:,} events in {WAIT_S} s")

    async def faults(self, forms: Iterable[WalletForm] | None = None, before: Before | None = None) -> list[str]:
        """What is wrong with everything the worker has done, once its outbox is empty.

        `forms`: the wallets, where `load` did not make them; `before`: how they stood, where not as the forms say.
        """
        await at_rest(self.parts)
        tally = scraped(self.settings)
        tally.add(self.elsewhere)
        lost = [f"{self.events:,} events were sent, {tally.events:,} taken"] if tally.events != self.events else []
        ledger = Ledger()
        async for record in read_kafka(self.settings):
            ledger.take(record)
        found = self.forms if forms is None else forms
        return lost + expected(tally, self.sent) + await ledger.compare(tally, self.parts.store, found, before)


def floor_group(settings: Settings) -> str:
    """The floor's consumer group."""
    return f"{settings.kafka.group}-floor"


def stage_settings(run: Run, name: str, bootstrap: str, *, writer: bool) -> Settings:
    """Topics, group and data folder of one stage."""
    settings = run.embedded(name, writer=writer)
    (port,) = free_ports(1)
    name = f"bench-{run.folder.name[-8:].strip('_')}-{name}"
    kafka = msgspec.structs.replace(
        settings.kafka, bootstrap=bootstrap, usage_topic=f"{name}.usage", commands_topic=f"{name}.commands",
        group=name, prefix=f"{name}.",
    )  # fmt: skip
    metrics = msgspec.structs.replace(settings.metrics, host="127.0.0.1", port=port)
    return msgspec.structs.replace(settings, kafka=kafka, metrics=metrics)


@asynccontextmanager
async def open_stage(settings: Settings) -> AsyncIterator[Stage]:
    """Everything but the two processes; topics are removed at the end."""
    kafka = settings.kafka
    topics = [kafka.usage_topic, kafka.commands_topic, f"{kafka.prefix}floor", *(kafka.prefix + name for name in ALL)]
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(open_parts(settings))
        await create_topics(kafka, topics, kafka.partitions)
        stack.push_async_callback(remove, settings, topics)
        sink = KafkaSink(kafka, "")
        await sink.start()
        stack.push_async_callback(sink.close)
        admin = AIOKafkaAdminClient(**client_options(kafka))
        await admin.start()
        stack.push_async_callback(admin.close)
        yield Stage(settings, parts, sink, admin)


@asynccontextmanager
async def second_worker(stage: Stage) -> AsyncIterator[int]:
    """Another worker of the same group, which counts for itself; answers its process id."""
    (port,) = free_ports(1)
    metrics = msgspec.structs.replace(stage.settings.metrics, port=port)
    settings = msgspec.structs.replace(stage.settings, metrics=metrics)
    with running_worker(settings) as pid:
        yield pid
        stage.elsewhere.add(scraped(settings))


@asynccontextmanager
async def working(stage: Stage) -> AsyncIterator[None]:
    """The worker, and the floor where it can be had."""
    settings = stage.settings
    with running_worker(settings) as stage.worker:
        address = _address(stage)
        if not address:
            yield
            return
        kafka = settings.kafka
        names = [kafka.usage_topic, f"{kafka.prefix}floor", floor_group(settings), address]
        floor = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.floor", *names], env=os.environ | environment(settings),
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        stage.floor = floor.pid
        try:
            yield
        finally:
            floor.kill()
            floor.wait()


def _address(stage: Stage) -> str:
    """Where the floor finds Redis; empty in a cluster, where a message's key may live on any node."""
    if stage.parts.embedded:
        return str(stage.parts.embedded.redis_socket)
    url = urlsplit(stage.settings.redis.url)
    return "" if stage.settings.redis.cluster or url.password else f"{url.hostname}:{url.port or 6379}"
