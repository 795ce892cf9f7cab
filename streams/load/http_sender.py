"""Posts traffic to an HTTP API in batches: a JSON array of events to /v1/usage, with an API key."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Self

import aiohttp

from streams.load.traffic import Page

PATH = "/v1/usage"
#: Batches under way at a time; while there are so many the pace gets late.
CONNECTIONS = 32
TIMEOUT_S = 60


class HttpSender:
    """A batch is posted once: one that is not taken is counted under its status, or its error."""

    def __init__(self, url: str, key: str, batch: int) -> None:
        self.batch = batch
        self.failed: Counter[str] = Counter()
        self._url = url.rstrip("/") + PATH
        self._headers = {"Content-Type": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._free = asyncio.Semaphore(CONNECTIONS)
        self._posts: set[asyncio.Task[None]] = set()

    async def start(self) -> Self:
        """Open the connections."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            headers=self._headers,
        )
        return self

    def ready(self, page: Page) -> Callable[[], Awaitable[None]]:
        """The page as a JSON array."""
        return partial(self._send, b"[" + b",".join(page.values) + b"]", len(page.values))

    async def _send(self, body: bytes, events: int) -> None:
        await self._free.acquire()
        post = asyncio.create_task(self._post(body, events))
        self._posts.add(post)
        post.add_done_callback(self._posts.discard)

    async def _post(self, body: bytes, events: int) -> None:
        try:
            async with self._session.post(self._url, data=body) as answer:
                await answer.read()
            if not answer.ok:
                self.failed[f"HTTP {answer.status}"] += events
        except (aiohttp.ClientError, TimeoutError) as error:
            self.failed[type(error).__name__] += events
        finally:
            self._free.release()

    async def finish(self) -> None:
        """Wait for the answers and disconnect."""
        await asyncio.gather(*self._posts)
        await self._session.close()
