"""Workers at one wallet whose batches a test prepares, charges and disturbs in any order, and what must hold then."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import pytest
from redis.exceptions import ConnectionError as LostError

from rater.catalogue import Catalogue
from rater.directory import Directory
from rater.identity import identity
from rater.money import parse_nanos
from rater.pipeline.batch import Door, Rated, Work
from rater.pipeline.catalogues import Catalogues
from rater.pipeline.pipeline import Pipeline
from rater.rating.rate import rate
from rater.subscriber import Assignment, Subscriber
from rater.wallet.entry import Entry, Kind
from rater.wallet.store import WalletStore
from schemas.decode import decode_usage
from schemas.fates import Fate
from tests.rater.pipeline.conftest import NOW_MS, PLAN, Bench, usage

SIMS: Final = ("sim-1", "sim-2")
#: Some events name the same SIMs by these.
ICCIDS: Final = ("89490000000000000001", "89490000000000000002")
#: Steps of 100 kB carried over; the first 500 kB of a month cost twice as much; calls are set up once a session.
CATALOGUE: Final = Catalogue({
    "plans/payg.yaml": PLAN,
    "tariffs/test.yaml": """
tariff: test-eur
currency: EUR
zone: UTC
versions:
  - version: "1"
    effective_from: "2026-01-01T00:00"
    emergency: ["112"]
    rates:
      - service: data
        per: MB
        tiers: [{up_to: 500 kB, price: "2.00"}, {price: "1.00"}]
        tier_scope: cycle
        increments: {next: 100 kB, scope: carry-over}
      - {service: voice, price: "0.60", per: min, setup: "0.05", scope: session}
      - {service: message, price: "0.10"}
""",
})  # fmt: skip
TARIFF: Final = CATALOGUE.tariff("test-eur")


def content(number: int) -> bytes:
    """The event of an id; the same id is always the same event."""
    name, sim = str(number), SIMS[number % 3 == 0]
    if number % 7 == 5:
        call = {
            "service": "voice",
            "duration_ms": 30_000,
            "session_id": f"s-{number % 2}",
            "called_number": "+4930123456",
        }
        return usage(name, sim, None, **(call | {"end_time": "2026-10-31T10:00:30Z"}))  # type: ignore[arg-type]
    if number % 7 == 6:
        return usage(name, sim, None, service="message", message_count=1, kind="sms")  # type: ignore[arg-type]
    if number % 4 == 1:
        return usage(name, None, 130_000, iccid=ICCIDS[SIMS.index(sim)])  # type: ignore[arg-type]
    return usage(name, sim, (30_000, 70_000, 100_000, 130_000, 0)[number % 5])


@dataclass
class Table:
    """Some workers on the same wallet, and what came of every event."""

    bench: Bench
    workers: list[Pipeline]
    works: list[Work] = field(default_factory=list)
    waiting: dict[int, list[Work]] = field(default_factory=lambda: defaultdict(list))
    records: list[dict[str, Any]] = field(default_factory=list)
    added: int = 0
    steps: int = 0
    position: int = 0

    @classmethod
    async def set(cls, redis: Any, balance: str, workers: int = 2) -> Table:
        await redis.flushall()
        bench = Bench(redis, await WalletStore.open(redis, shards=1))
        await bench.wallet("w", balance)
        payer = (Assignment(0, "w", "w", "payg", "EUR"),)
        named = zip(SIMS, ICCIDS, strict=True)
        await bench.directory.add([Subscriber("t", sim, 1, payer, iccid) for sim, iccid in named], now_ms=NOW_MS)
        pipelines = []
        for _ in range(workers):
            catalogues = Catalogues(redis, CATALOGUE)
            await catalogues.keep()
            store = await WalletStore.open(redis, shards=1)
            pipelines.append(Pipeline(store, Directory(redis, store), catalogues))
        return cls(bench, pipelines, added=parse_nanos(balance))

    async def prepare(self, worker: int, *ids: int) -> None:
        """Ahead of its turn."""
        batch = self.bench.batch(*map(content, ids), start=self.position, door=Door(f"kafka:usage/{worker}"))
        self.position += len(ids)
        work = await self.workers[worker].prepare(batch)
        self.works.append(work)
        self.waiting[worker].append(work)

    async def charge(self, worker: int, fails: str = "", place: int = 0) -> None:
        """The worker's next batch, or one ahead; the call may fail once, before it reaches Redis or on its way back."""
        waiting = self.waiting[worker]
        pipeline, work = self.workers[worker], waiting.pop(min(place, len(waiting) - 1))
        if fails:
            store = pipeline._charger._store
            call = store._call

            async def failing(*arguments: Any) -> Any:
                if fails == "back":
                    await call(*arguments)
                raise LostError

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(store, "_call", failing)
                with contextlib.suppress(LostError):
                    await pipeline.charge(work)
                    assert not work.items or all(type(item) is Rated and item.is_repeat for item in work.items)
        outputs = pipeline.settle(await pipeline.charge(work))
        assert outputs.tally.adds_up
        assert {verdict.fate for verdict in outputs.verdicts} <= {Fate.RATED, Fate.REFUSED, Fate.DUPLICATE}
        for messages in outputs.messages.values():
            self.records += [orjson.loads(value) for _, value in messages]

    async def command(self, kind: Kind, **fields: Any) -> None:
        name = f"command-{self.steps}"
        self.added += fields.get("amount_nanos", 0)
        made = Entry(
            kind=kind, tenant="t", wallet="w", identity=identity("t", "test", name), fingerprint=bytes(8),
            cause=name, **fields,
        )  # fmt: skip
        await self.bench.store.apply([made], now_ms=NOW_MS)

    async def play(self, step: tuple[Any, ...]) -> None:
        what, *rest = step
        self.steps += 1
        if what == "prepare":
            await self.prepare(*rest)
        elif what == "charge":
            if self.waiting[rest[0]]:
                await self.charge(*rest)
        elif what == "top-up":
            await self.command(Kind.CREDIT, amount_nanos=parse_nanos(rest[0]))
        else:
            await self.command(Kind.HOLD if what == "hold" else Kind.RELEASE, subscriber=rest[0], hold="operator")

    async def end(self) -> None:
        """Charge what is left, and look at all that must hold."""
        for worker in range(len(self.workers)):
            while self.waiting[worker]:
                await self.charge(worker)
        assert not [item for work in self.works for item in work.items if not isinstance(item, Rated) or item.is_open]
        for pipeline in self.workers:
            sims = pipeline._preparer.sims._by_id.values()
            assert not [member.pending for sim in sims for member in sim.members.values() if member.pending]
        decided = [record["id"] for record in self.records]
        asked = {item.body.id for work in self.works for item in work.items if isinstance(item, Rated)}
        assert sorted(decided) == sorted(asked), "each id is decided once"
        await self._as_one_worker_would()

    async def _as_one_worker_would(self) -> None:
        rated = sorted((record for record in self.records if record["n"]), key=lambda record: record["n"])
        counters: dict[str, dict[str, int]] = defaultdict(dict)
        for record in rated:
            one, own = decode_usage(content(int(record["id"]))), counters[record["subscriber"]]
            charge = rate(TARIFF, one, own, "UTC")
            assert record["amount_nanos"] == charge.amount_nanos, f"{record['id']} at {record['n']}"
            own |= {use.key: own.get(use.key, 0) + use.add for use in charge.uses}
        assert len({record["n"] for record in rated}) == len(rated), "a number is used once"
        paid = sum(record["charged_nanos"] for record in self.records)
        assert self.added - await self.bench.balance_nanos("w") == paid
        for sim in SIMS:
            state = await self.bench.store.member("t", "w", sim)
            assert state is not None
            assert state.counters == {key: n for key, n in counters[sim].items() if not key.startswith("session:")}
