"""Payments in the order in which they were made, for each tenant, account and wallet: names only."""

from __future__ import annotations

from typing import Any, Literal

from rater.payments.model import Payment

#: Whose payments; empty for all of the tenant.
Sort = Literal["", "account", "wallet"]


class Listing:
    """Sorted sets whose entries all have the score 0, so that Redis keeps them in the order of their text."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis

    async def add(self, payment: Payment) -> None:
        """List a payment; the same again changes nothing."""
        entry = f"{payment.created_ms:015d}/{payment.id}"
        for key in (
            _key(payment.tenant),
            _key(payment.tenant, "account", payment.account),
            _key(payment.tenant, "wallet", payment.wallet),
        ):
            await self._redis.zadd(key, {entry: 0})

    async def page(self, tenant: str, sort: Sort, name: str, limit: int, before: str = "") -> list[str]:
        """Entries, the newest first, from before one on."""
        start = f"({before}" if before else "+"
        entries = await self._redis.zrevrangebylex(_key(tenant, sort, name), start, "-", start=0, num=limit)
        return [entry.decode() for entry in entries]


def payment_of(entry: str) -> str:
    """The payment that an entry names."""
    return entry.partition("/")[2]


def _key(tenant: str, sort: Sort = "", name: str = "") -> str:
    return f"payments:{tenant}:{sort}:{name}"
