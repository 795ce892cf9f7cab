"""The wallets' one call on a fleet, without a door: usage of SIMs drawn by Zipf's law, rated upon what the shards have.

Every event costs the same and its wallet can pay for it, so what must come of a run is known to the nano.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random

from benchmarks.figures import Part
from benchmarks.ledger import Before
from benchmarks.processes import redis_cpu_s
from benchmarks.traffic import pages
from rater.identity import identity
from rater.wallet.debit import Debit
from rater.wallet.member import Member
from streams.load import Fleet
from streams.load.fleet import Terms
from streams.parts import Parts

PAGE = 3000
COST_NANOS = 12_500_000
NOW_MS = 1_793_491_200_000
#: Zipf's exponent, as the load generator has it.
SKEW = 1.05
#: A carried-over step and a monthly tier.
COUNTERS = ("2026-10-01:carry:data:26201", "2026-10-01:tier:data-home")


@dataclass(frozen=True)
class Lap:
    """What one round took, in microseconds an event."""

    client_us: float
    redis_us: float
    elapsed_us: float


class Calls:
    """One fleet and what it was charged."""

    def __init__(self, parts: Parts, fleet: Fleet, terms: Terms) -> None:
        self.parts = parts
        self.fleet = fleet
        self._terms = terms
        self._random = Random(fleet.wallets)
        self._weights = array("d", accumulate(rank**-SKEW for rank in range(1, fleet.wallets + 1)))
        self._charged = array("q", bytes(8 * fleet.wallets))
        self._unpaid = 0
        self._before = Before()

    async def begin(self) -> None:
        """Look at the wallets as they stand."""
        self._before = await self._balances()

    async def lap(self, run: str, events: int) -> Lap:
        """Charge so many events in calls of 3,000. Their ids begin with `run`, so it must be another each time."""
        numbers, debits = await self.rated(run, events)
        redis, store = self.parts.redis, self.parts.store
        redis_s, client_s, started = await redis_cpu_s(redis), time.process_time(), time.perf_counter()
        for page in pages(debits, PAGE):
            await store.charge(page, now_ms=NOW_MS)
        elapsed_s, client_s = time.perf_counter() - started, time.process_time() - client_s
        redis_s = await redis_cpu_s(redis) - redis_s
        for number, debit in zip(numbers, debits, strict=True):
            decision = debit.decision
            if decision is None or decision.charged_nanos != COST_NANOS:
                self._unpaid += 1
            self._charged[number] += decision.charged_nanos if decision else 0
        return Lap(*(seconds / events * 1e6 for seconds in (client_s, redis_s, elapsed_s)))

    async def faults(self) -> list[str]:
        """What is wrong: every event must have been charged, and each wallet have lost what it was charged."""
        after = await self._balances()
        faults = [f"{self._unpaid:,} events were not charged in full"] if self._unpaid else []
        changed = zip(self._before.balances, after.balances, self._charged, strict=True)
        for number, (began, ended, charged_nanos) in enumerate(changed):
            if began - ended != charged_nanos:
                name = self.fleet.wallet(number)
                faults.append(f"wallet {name} was charged {charged_nanos} nanos and lost {began - ended}")
        return faults

    async def _balances(self) -> Before:
        return await Before.read(self.parts.store, self.fleet.forms(self._terms))

    async def rated(self, run: str, events: int) -> tuple[list[int], list[Debit]]:
        """Events that are rated and not charged yet, and the numbers of their wallets."""
        store, fleet = self.parts.store, self.fleet
        drawn = self._random.choices(range(fleet.wallets), cum_weights=self._weights, k=events)
        # The neighbour of a nearly empty wallet is not: every event can be paid for.
        numbers = [number - fleet.is_dry(number) for number in drawn]
        wallets = {number: store.wallet_ref(fleet.tenant, fleet.wallet(number)) for number in set(numbers)}
        keys = {number: store.member_key(wallet, fleet.iccid(number)) for number, wallet in wallets.items()}
        states = await store.member_states(list(keys.values()))
        members = {number: Member[Debit](key, state) for (number, key), state in zip(keys.items(), states, strict=True)}
        debits = []
        for event, number in enumerate(numbers):
            member, volume = members[number], self._random.randrange(1, 900_000)
            before, counters = member.state, tuple(member.counters.get(key, 0) for key in COUNTERS)
            after = member.advance(COUNTERS, [value + volume for value in counters], NOW_MS)
            debits.append(
                Debit(
                    wallets[number], member, identity(fleet.tenant, "calls", f"{run}-{event}"), bytes(24),
                    f"calls/{run}-{event}", self._terms.currency, COST_NANOS, 1, before, after, counters,
                )
            )  # fmt: skip
        return numbers, debits


def add_laps(part: Part, name: str, laps: Sequence[Lap]) -> None:
    """Note what rounds took."""
    part.add(f"{name}: client processor", "us/event", *(lap.client_us for lap in laps))
    part.add(f"{name}: Redis processor", "us/event", *(lap.redis_us for lap in laps))
    part.add(f"{name}: elapsed", "us/event", *(lap.elapsed_us for lap in laps))


def add_ratio(part: Part, name: str, laps: Sequence[Lap], beside: Sequence[Lap]) -> None:
    """Note how rounds compare with those beside them in the same run."""
    pairs = list(zip(laps, beside, strict=True))
    part.add(f"{name}, elapsed", "ratio", *(one.elapsed_us / other.elapsed_us for one, other in pairs))
    part.add(f"{name}, Redis", "ratio", *(one.redis_us / other.redis_us for one, other in pairs))
