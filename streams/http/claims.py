"""What each Idempotency-Key was first used for. The key's id goes into the wallet's call, which remembers it for ever.

The wallet's own memory is by shard, so alone it would not see a key that is used for two wallets. And a request may
leave something open that has to stay what it was at first: from when on a SIM moves ("now"), which wallet pays for it.
So the first request with a key claims it, in one atomic SET:

1. checks that change nothing (is there such a wallet?): a crash leaves nothing.
2. claim: the key now stands for this content and this plan. A crash: the repeat finds the claim and acts on its plan.
3. act: the wallet's call or a step of the directory, each safe to repeat. A crash: the repeat finds it done.

Another content under the same key is refused (409). A claim takes about 150 bytes of Redis and never expires, like the
wallet's memory.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

from streams.http.problems import Problem

_DIGEST_BYTES = 16


class Claims:
    """Claims in Redis, by tenant and key."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis

    async def claim(self, tenant: str, key: str, subject: str, form: Any, plan: bytes = b"") -> tuple[bytes, bool]:
        """Let the key stand for this request; answers the plan it was claimed with first, and whether that is now.

        Raises:
            Problem: the key stands for something else.
        """
        content = _digest(subject, msgspec.json.encode(form).decode())
        stored = await self._redis.set(_key(tenant, key), content + plan, nx=True, get=True)
        if stored is None:
            return plan, True
        if stored[:_DIGEST_BYTES] != content:
            detail = f"{key} was used before for another request; the first one stands"
            raise Problem("conflict", detail, "Idempotency-Key")
        return stored[_DIGEST_BYTES:], False

    async def release(self, tenant: str, key: str) -> None:
        """Give a key back that nothing was done with."""
        await self._redis.delete(_key(tenant, key))


def _key(tenant: str, key: str) -> bytes:
    return b"rater:http:claim:" + _digest(tenant, key)


def _digest(first: str, second: str) -> bytes:
    return blake2b(f"{len(first)}:{first}{second}".encode(), digest_size=_DIGEST_BYTES).digest()
