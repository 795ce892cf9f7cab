"""Part 3: the wallets' one call, by number of wallets, and what a wallet, a SIM and a remembered id weigh in Redis."""

from __future__ import annotations

import time
from collections.abc import Sequence
from random import Random

from benchmarks.figures import Part
from benchmarks.processes import redis_cpu_s
from benchmarks.run import Run
from benchmarks.traffic import TENANT, pages
from rater.identity import identity
from rater.wallet.entry import Debit, Entry, Kind
from rater.wallet.keys import tag
from rater.wallet.member import Member
from rater.wallet.store import WalletStore
from streams.engine import Parts, open_parts

PAGE = 3000
COST_NANOS = 12_500_000
NOW_MS = 1_793_491_200_000
PERIOD = "2026-10-01:"


async def wallets(run: Run) -> Part:
    """Apply the same number of entries to a few wallets, to many, and to one."""
    part = Part("Wallets: WalletStore.charge in calls of 3,000")
    for count in (*run.sizes.wallets, 1):
        async with open_parts(run.embedded(f"wallets-{count}")) as parts:
            await _create(parts, count)
            name = "one hot wallet" if count == 1 else f"{count:,} wallets"
            charged = await _measure(part, parts, run, name, count)
            await _check(part, parts, name, count, charged)
            if count == max(run.sizes.wallets):
                await _weigh(part, parts, count)
    return part


async def _create(parts: Parts, count: int) -> None:
    for numbers in pages(range(count), PAGE):
        for kind in (Kind.CREATE, Kind.JOIN):
            await parts.store.apply([_command(kind, number) for number in numbers], now_ms=NOW_MS)


async def _measure(part: Part, parts: Parts, run: Run, name: str, count: int) -> int:
    """Answers the nanos charged by all runs."""
    random, client, server, wall, charged = Random(count), [], [], [], 0
    for number in range(run.sizes.runs):
        entries = await _charges(parts.store, [
            (f"{number}-{event}", random.randrange(count), random.randrange(1, 900_000))
            for event in range(run.sizes.entries)
        ])  # fmt: skip
        redis_before, started, clock = await redis_cpu_s(parts.redis), time.process_time(), time.perf_counter()
        for page in pages(entries, PAGE):
            await parts.store.charge(page, now_ms=NOW_MS)
            charged += sum(debit.amount_nanos for debit in page if debit.decision is not None)
        client.append((time.process_time() - started) / len(entries) * 1e6)
        wall.append((time.perf_counter() - clock) / len(entries) * 1e6)
        server.append((await redis_cpu_s(parts.redis) - redis_before) / len(entries) * 1e6)
    part.add(f"{name}: client processor", "us/event", *client)
    part.add(f"{name}: Redis processor", "us/event", *server)
    part.add(f"{name}: elapsed", "us/event", *wall)
    if charged != run.sizes.runs * run.sizes.entries * COST_NANOS:
        part.faults.append(f"{name}: {charged} nanos were charged, not those of every entry")
    return charged


async def _check(part: Part, parts: Parts, name: str, count: int, charged_nanos: int) -> None:
    """What was charged is what the wallets lost."""
    lost = 0
    for number in range(count):
        state = await parts.store.wallet(TENANT, _wallet(number))
        assert state is not None
        lost += BALANCE_NANOS - state.balance_nanos
    if lost != charged_nanos:
        part.faults.append(f"{name}: {charged_nanos} nanos were charged, the wallets lost {lost}")


async def _weigh(part: Part, parts: Parts, count: int) -> None:
    redis, store = parts.redis, parts.store
    wallet_keys = [f"{tag(store.shard_of(TENANT, _wallet(n)))}:w:{TENANT}/{_wallet(n)}" for n in range(min(count, 500))]
    member_keys = [key.replace(":w:", ":b:") + f"/sim-{number}" for number, key in enumerate(wallet_keys)]
    part.add("a wallet", "bytes", await _bytes(redis, wallet_keys), note="MEMORY USAGE, mean")
    part.add("a SIM with two counters", "bytes", await _bytes(redis, member_keys), note="the same")
    ids = [f"{tag(shard)}:v:0" for shard in range(store.shards)]
    held = sum([await redis.hlen(key) for key in ids])
    part.add("a remembered id and its verdict", "bytes", await _bytes(redis, ids) * len(ids) / held, note="whole hash")


async def _bytes(redis: object, keys: Sequence[str]) -> float:
    sizes = [await redis.memory_usage(key, samples=0) for key in keys]  # type: ignore[attr-defined]
    return sum(size or 0 for size in sizes) / len(keys)


BALANCE_NANOS = 10**15
COUNTERS = (f"{PERIOD}carry:data:26201", f"{PERIOD}tier:data-home")


def _wallet(number: int) -> str:
    return f"w{number:07d}"


def _command(kind: Kind, number: int) -> Entry:
    cause = f"{kind.name.lower()}-{number}"
    joins = kind is Kind.JOIN
    return Entry(
        kind=kind, tenant=TENANT, wallet=_wallet(number), identity=identity(TENANT, "bench", cause),
        fingerprint=bytes(8), cause=f"bench/{cause}", currency="" if joins else "EUR",
        amount_nanos=0 if joins else BALANCE_NANOS, subscriber=f"sim-{number}" if joins else "",
        subscriber_version=1 if joins else 0,
    )  # fmt: skip


async def _charges(store: WalletStore, events: Sequence[tuple[str, int, int]]) -> list[Debit]:
    """Usage of SIMs with a carried-over step and a monthly tier, rated upon what the shards have."""
    wallets = {number: store.wallet_ref(TENANT, _wallet(number)) for number in {number for _, number, _ in events}}
    keys = {number: store.member_key(wallet, f"sim-{number}") for number, wallet in wallets.items()}
    states = await store.member_states(list(keys.values()))
    members = {number: Member[Debit](key, state) for (number, key), state in zip(keys.items(), states, strict=True)}
    debits = []
    for event, number, volume in events:
        member = members[number]
        before, counters = member.state, tuple(member.counters.get(key, 0) for key in COUNTERS)
        after = member.advance(COUNTERS, [value + volume for value in counters], NOW_MS)
        debits.append(
            Debit(
                wallets[number], member, identity(TENANT, "load", event), bytes(24), f"load/{event}", "EUR",
                COST_NANOS, 1, before, after, counters,
            )
        )  # fmt: skip
    return debits
