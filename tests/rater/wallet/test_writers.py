"""Eight processes on one wallet: nothing is overspent, nothing is lost, no number is used twice."""

from __future__ import annotations

import asyncio
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import redis.asyncio as redis_async

from rater.wallet.store import WalletStore
from tests.rater.wallet.building import Wallets, amount, usage

WRITERS, BATCHES, BATCH = 8, 10, 20


def write(socket: Path, writer: int) -> list[tuple[bytes, int, int, bool]]:
    """Charge 200 events, half of them ones that every writer has; (identity, n, charged, known) of each."""

    async def run() -> list[tuple[bytes, int, int, bool]]:
        redis = redis_async.Redis(unix_socket_path=str(socket))
        wallets = Wallets(redis, await WalletStore.open(redis, shards=4))
        decided = []
        for batch in range(BATCHES):
            ids = [f"{writer if event % 2 else 'shared'}-{batch}-{event}" for event in range(BATCH)]
            entries = [usage("0.01", event_id, subscriber=f"sim-{writer}") for event_id in ids]
            for one, answer in zip(entries, await wallets.decide(*entries), strict=True):
                decided.append((one.identity, answer.n, answer.charged_nanos, answer.known))
        await redis.aclose()
        return decided

    return asyncio.run(run())


async def test_eight_writers_on_one_wallet_never_overspend(wallets: Wallets, redis_socket: Path) -> None:
    events = WRITERS * BATCHES * BATCH // 2 + BATCHES * BATCH // 2
    start = amount("0.01") * (events - 100)
    await wallets.opened("0", *(f"sim-{writer}" for writer in range(WRITERS)), amount_nanos=start)
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(WRITERS) as pool:
        results = await asyncio.gather(
            *(loop.run_in_executor(pool, write, redis_socket, writer) for writer in range(WRITERS))
        )
    decided = [result for results_of_one in results for result in results_of_one]
    first = [result for result in decided if not result[3]]
    assert len(first) == events, "each event is decided once"
    assert sum(charged for _, _, charged, _ in first) == start
    assert await wallets.balance() == 0
    numbers = [n for _, n, _, _ in first if n]
    assert len(numbers) == len(set(numbers)) == events - 100
    assert len({(identity, n, charged) for identity, n, charged, _ in decided}) == events, "one verdict for each id"
    assert (await wallets.crossings()).count(("suspended", "")) == 1
