"""Where wallets and members stand in Redis, and how they are read. Nothing here changes them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from rater.wallet.debit import WalletRef
from rater.wallet.entry import Decision
from rater.wallet.keys import shard_of, tag, values_of
from rater.wallet.states import MemberState, WalletState, member_state, wallet_state
from rater.wallet.verdict import unpack_verdict


class WalletReader:
    """Reads what stands in the shards."""

    def __init__(self, redis: Any, shards: int) -> None:
        self._redis = redis
        self.shards = shards

    def shard_of(self, tenant: str, wallet: str) -> int:
        """The shard the wallet lives in."""
        return shard_of(tenant, wallet, self.shards)

    def wallet_ref(self, tenant: str, wallet: str) -> WalletRef:
        """Where a wallet stands, for `charge`."""
        shard = self.shard_of(tenant, wallet)
        return WalletRef(tenant, wallet, shard, f"{tag(shard)}:w:{tenant}/{wallet}".encode())

    def member_key(self, wallet: WalletRef, subscriber: str) -> bytes:
        """The key of a wallet's member."""
        return f"{tag(wallet.shard)}:b:{wallet.tenant}/{wallet.name}/{subscriber}".encode()

    async def wallet(self, tenant: str, wallet: str) -> WalletState | None:
        """A wallet as it stands, or None."""
        packed = await self._redis.get(f"{tag(self.shard_of(tenant, wallet))}:w:{tenant}/{wallet}")
        return wallet_state(tenant, wallet, packed)

    async def wallets(self, refs: Iterable[WalletRef]) -> list[WalletState | None]:
        """Wallets as they stand, each None where there is none."""
        wanted = list(refs)
        states = await values_of(self._redis, [ref.key for ref in wanted])
        return [wallet_state(ref.tenant, ref.name, packed) for ref, packed in zip(wanted, states, strict=True)]

    async def member(self, tenant: str, wallet: str, subscriber: str) -> MemberState | None:
        """A subscriber as its wallet's shard knows it, or None."""
        packed = await self._redis.get(f"{tag(self.shard_of(tenant, wallet))}:b:{tenant}/{wallet}/{subscriber}")
        if packed is None:
            return None
        return member_state(subscriber, packed)

    async def documents(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Subscriptions by key."""
        return await values_of(self._redis, keys)

    async def pools(self, refs: Sequence[WalletRef]) -> list[str]:
        """The subscriber that is each wallet's pool; empty where there is none."""
        keys = [f"{tag(ref.shard)}:q:{ref.tenant}/{ref.name}".encode() for ref in refs]
        return [(name or b"").decode() for name in await values_of(self._redis, keys)]

    async def remembered(self, tenant: str, wallet: str, digest: bytes) -> Decision | None:
        """What was decided on a command."""
        packed = await self._redis.hget(f"{tag(self.shard_of(tenant, wallet))}:k", digest)
        return unpack_verdict(packed, known=True) if packed is not None else None

    async def member_states(self, keys: Sequence[bytes]) -> list[bytes]:
        """The packed states of members, by key; empty where there is none."""
        return [state or b"" for state in await values_of(self._redis, keys)]

    async def members(self, tenant: str, wallet: str, page: int = 1000, after: str = "") -> AsyncIterator[str]:
        """The names of a wallet's members, in order, from behind a name on."""
        key = f"{tag(self.shard_of(tenant, wallet))}:m:{tenant}/{wallet}"
        start = f"({after}" if after else "-"
        while names := await self._redis.zrangebylex(key, start, "+", start=0, num=page):
            for name in names:
                yield name.decode()
            start = "(" + names[-1].decode()
