"""The inventory in Redis: a JSON document for each number, replaced only if it is still what was read.

    numbers                              tenants that have an inventory
    numbers:<tenant>:one:<number>        the number
    numbers:<tenant>:all                 every number, in order
    numbers:<tenant>:free:<country>      those nobody has, in order; of any country where <country> is empty

The document decides. The lists only say where to look: readers leave out what the document does not confirm, and a
look through all numbers (streams/numbers.py) puts back what a crash left out of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from rater.errors import WalletError
from rater.numbers.model import Capability, Holder, PhoneNumber
from rater.wallet.keys import values_of
from rater.wallet.store import WalletStore

#: Numbers that are looked at in one go, and for one page: one that finds few among many ends early.
LOOK = 500
LOOK_MAX = 10_000

_decode = msgspec.json.Decoder(PhoneNumber).decode
_encode = msgspec.json.Encoder().encode
_TENANTS = "numbers"


class TakenError(WalletError):
    """A number cannot be had: another has it, it rests, or it is not there."""


class NumberBook:
    """Finds numbers, keeps them, and lets them be had by one at a time; safe to share between tasks."""

    def __init__(self, redis: Any, store: WalletStore) -> None:
        self._redis = redis
        self._store = store

    async def get(self, tenant: str, number: str) -> PhoneNumber | None:
        """A number, or None."""
        return (await self.many(tenant, [number]))[0]

    async def many(self, tenant: str, numbers: Sequence[str]) -> list[PhoneNumber | None]:
        """Numbers in their order, None where one is not there."""
        stored = await values_of(self._redis, [_one(tenant, number) for number in numbers])
        return [_read(raw, tenant, number) for raw, number in zip(stored, numbers, strict=True)]

    async def tenants(self) -> list[str]:
        """Who has numbers, in order."""
        return sorted(name.decode() for name in await self._redis.smembers(_TENANTS))

    async def put(self, wanted: PhoneNumber) -> bool:
        """Put a number into the inventory, or back where it was withdrawn; False if somebody was quicker.

        `wanted.version` is that of what it takes the place of, 0 where there is none.
        """
        stands = await self.get(wanted.tenant, wanted.number)
        if (stands.version if stands else 0) != wanted.version:
            return False
        after = replace(wanted, version=wanted.version + 1)
        await self._redis.sadd(_TENANTS, wanted.tenant)
        await self._redis.zadd(_all(wanted.tenant), {wanted.number: 0})
        return await self._replace(stands, after)

    async def withdraw(self, found: PhoneNumber) -> bool:
        """Take a number that nobody has out of the inventory; False if somebody was quicker."""
        assert found.holder is None, "who has it keeps it"
        return await self._replace(found, replace(found, withdrawn=True, version=found.version + 1))

    async def take(self, tenant: str, number: str, holder: Holder) -> PhoneNumber:
        """Claim a number for an order; what the order has already stays its.

        Raises:
            TakenError: it cannot be had now.
        """
        while True:
            found = check_free(await self.get(tenant, number), tenant, number, holder)
            if found.holder is not None:
                return found
            taken = replace(found, holder=holder, version=found.version + 1)
            if await self._replace(found, taken):
                return taken

    async def free(self, found: PhoneNumber, free_from_ms: int) -> bool:
        """Let a number be had again from an instant on, by who had it at once; False if it was changed meanwhile."""
        assert found.holder is not None, "somebody has it"
        last = found.holder.sim if free_from_ms else found.last_sim
        after = replace(
            found, holder=None, last_sim=last, free_from_ms=max(free_from_ms, found.free_from_ms),
            version=found.version + 1,
        )  # fmt: skip
        return await self._replace(found, after)

    async def page(
        self, tenant: str, country: str, after: str, limit: int, wanted: Callable[[PhoneNumber], bool], *,
        only_free: bool,
    ) -> tuple[list[PhoneNumber], str]:  # fmt: skip
        """Numbers behind one, in order, and where the next page begins; a page may be short, empty is the end."""
        key = _free(tenant, country) if only_free else _all(tenant)
        found: list[PhoneNumber] = []
        for _ in range(LOOK_MAX // LOOK):
            numbers = await self._listed(key, after)
            for one in await self.many(tenant, numbers):
                if one is None or (country and one.country != country) or not wanted(one):
                    continue
                if len(found) == limit:
                    return found, found[-1].number
                found.append(one)
            if len(numbers) < LOOK:
                return found, ""
            after = numbers[-1]
        return found, after

    async def after(self, tenant: str, number: str) -> list[PhoneNumber]:
        """The next numbers behind one, whatever their state; none at the end."""
        numbers = await self._listed(_all(tenant), number)
        found = [one for one in await self.many(tenant, numbers) if one is not None]
        # Where a crash left names only, go on behind them.
        return found if found or not numbers else await self.after(tenant, numbers[-1])

    async def relist(self, numbers: Sequence[PhoneNumber]) -> None:
        """Let the lists say of these what their documents say."""
        pipeline = self._redis.pipeline(transaction=False)
        for one in numbers:
            is_free = one.holder is None and not one.withdrawn
            for key in (_free(one.tenant, ""), _free(one.tenant, one.country)):
                if is_free:
                    pipeline.zadd(key, {one.number: 0})
                else:
                    pipeline.zrem(key, one.number)
        await pipeline.execute()

    async def _listed(self, key: str, after: str) -> list[str]:
        start = f"({after}" if after else "-"
        return [raw.decode() for raw in await self._redis.zrangebylex(key, start, "+", start=0, num=LOOK)]

    async def _replace(self, before: PhoneNumber | None, after: PhoneNumber) -> bool:
        stored = _encode(before) if before is not None else b""
        if not await self._store.replace(_one(after.tenant, after.number), stored, _encode(after)):
            return False
        await self.relist([after])
        return True


def able(
    capabilities: frozenset[Capability], addons: frozenset[str] | None, now_ms: int
) -> Callable[[PhoneNumber], bool]:
    """Which numbers can be ordered now: available, able to do all that is asked for, sold by one of the add-ons."""

    def wanted(one: PhoneNumber) -> bool:
        is_sold = addons is None or one.addon in addons
        return one.state(now_ms) == "available" and is_sold and not one.lacks(capabilities)

    return wanted


def check_free(found: PhoneNumber | None, tenant: str, number: str, holder: Holder) -> PhoneNumber:
    """A number that an order may have, or has already.

    Raises:
        TakenError: it may not; says why.
    """
    if found is None or found.withdrawn:
        raise TakenError(f"number: {tenant} has no number {number}")
    if (has := found.holder) is not None:
        if (has.wallet, has.sim, has.request) != (holder.wallet, holder.sim, holder.request):
            raise TakenError(f"number: {number} is taken")
    elif holder.since_ms < found.free_from_ms and holder.sim != found.last_sim:
        raise TakenError(f"number: {number} was given up not long ago; take another")
    return found


def _read(raw: bytes | None, tenant: str, number: str) -> PhoneNumber | None:
    found = _decode(raw) if raw else None
    # Keys are made by joining names; one that is made to look like another's finds nothing.
    return found if found is not None and (found.tenant, found.number) == (tenant, number) else None


def _one(tenant: str, number: str) -> str:
    return f"numbers:{tenant}:one:{number}"


def _all(tenant: str) -> str:
    return f"numbers:{tenant}:all"


def _free(tenant: str, country: str) -> str:
    return f"numbers:{tenant}:free:{country}"
