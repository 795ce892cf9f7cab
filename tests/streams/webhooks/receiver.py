"""A receiver of webhooks as a customer would run one: a real HTTP server that checks signatures with the library."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NamedTuple

from aiohttp import web
from standardwebhooks import Webhook


class Got(NamedTuple):
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str) -> Any:
        """The message, if its signature is good."""
        return Webhook(secret).verify(self.body, self.headers)


#: A status, a response, or what decides one.
Answer = int | web.Response | Callable[[Got], Any]


class Receiver:
    """Answers 204, or what it was told to; `answers` are used up first."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.answers: list[Answer] = []
        self.then: Answer = 204
        self.under_way = 0
        self.most_at_once = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/in"

    @property
    def ids(self) -> list[str]:
        return [got.id for got in self.got]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        got = Got(request.path, dict(request.headers), await request.read())
        got = got._replace(headers={name.lower(): value for name, value in got.headers.items()})
        self.got.append(got)
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            answer = self.answers.pop(0) if self.answers else self.then
            if callable(answer):
                answer = answer(got)
                if asyncio.iscoroutine(answer):
                    answer = await answer
            return web.Response(status=answer) if isinstance(answer, int) else answer
        finally:
            self.under_way -= 1


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver on a port of its own."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", receiver._serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.port = runner.addresses[0][1]
    try:
        yield receiver
    finally:
        await runner.cleanup()


def waits(seconds: float, status: int = 204) -> Answer:
    """An answer that takes its time."""

    async def answer(_: Got) -> int:
        await asyncio.sleep(seconds)
        return status

    return answer


@contextmanager
def receiving_beside() -> Iterator[Receiver]:
    """A receiver in a thread of its own, for tests that wait for a server in another process."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    context = receiving()
    receiver = asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(10)
    try:
        yield receiver
    finally:
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
