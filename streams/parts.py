"""Redis and what stands on it, as the settings say: enough for the commands on wallets and SIMs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis

from rater.accounts.book import Accounts
from rater.accounts.wallets import AccountWallets
from rater.directory import Directory
from rater.settings import Settings
from rater.wallet.outbox import Outbox
from rater.wallet.store import WalletStore
from rater.wallet.timers import Timers
from rater.wallet.transfer import Transfers
from streams.embedded.parts import EmbeddedParts
from streams.redis_client import redis_at, redis_of


@dataclass
class Parts:
    """What is open as long as the engine is, or one command."""

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
    timers: Timers = field(init=False)

    def __post_init__(self) -> None:
        self.accounts = Accounts(self.redis, self.store, self.directory)
        self.account_wallets = AccountWallets(self.redis, self.store, self.accounts)
        self.transfers = Transfers(self.redis, self.store)
        self.timers = Timers(self.redis, self.store)


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
            redis: Any = redis_at(embedded.redis_socket)
        else:
            redis = redis_of(settings.redis)
        stack.push_async_callback(redis.aclose)
        engine = settings.engine
        store = await WalletStore.open(redis, shards=engine.shards, durability=engine.durability)
        directory = Directory(redis, store)
        yield Parts(settings, redis, store, directory, Outbox(redis, store), embedded, clock_ms)
