"""`rater serve` as a process on embedded parts, and a client that speaks plain HTTP to it."""

from __future__ import annotations

import asyncio
import fcntl
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from shutil import copy, copytree
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
from redis.asyncio import Redis

from rater.settings import (
    CONFIG,
    EngineSettings,
    HttpSettings,
    IntakeSettings,
    MetricsSettings,
    Settings,
    WebhookSettings,
)
from rater.wallet.store import WalletStore
from streams.embedded.parts import EmbeddedParts
from streams.embedded.ports import free_ports
from streams.http.keys import KeyRing, Scope
from streams.opening import topics_folder
from streams.worker_process import environment
from tests.rater.pipeline.conftest import PLAN, TARIFF
from tests.streams.payments.building import PLAN_WITH_OFFERS
from tests.streams.spooled import lines

JSON = "application/json"
NOW = datetime(2026, 11, 1, tzinfo=UTC)
T = TypeVar("T")
ALL: tuple[Scope, ...] = ("ingest", "manage")


@dataclass
class Answer:
    """What the server said."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    def ok(self, status: int = 200) -> Any:
        """The body of an answer that has to be as expected."""
        assert self.status == status, self.raw
        return self.body

    def problem(self, status: int, kind: str, field: str = "") -> str:
        """The detail of a problem that has to be this one."""
        assert self.status == status, self.raw
        assert self.headers["content-type"] == "application/problem+json"
        assert self.body["type"] == f"urn:rater:problem:{kind}"
        assert self.body["status"] == status
        assert self.body.get("field", "") == field, self.raw
        return str(self.body.get("detail", ""))


@dataclass
class Client:
    """One key on one connection a call."""

    port: int
    key: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send a request; `body` is bytes or becomes JSON. Header names have "_" for "-"."""
        sent = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        if body is not None:
            sent["Content-Type"] = JSON
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent |= self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any, key: str = "", **headers: str) -> Answer:
        """`key` is the Idempotency-Key."""
        return self.call("POST", path, body, **headers, **({"Idempotency_Key": key} if key else {}))

    def wallet(self, name: str, balance: str = "10.00", *sims: str) -> None:
        """A wallet and its SIMs."""
        form = {"wallet": name, "currency": "EUR", "balance": balance}
        self.post("/v1/wallets", form, f"create-{name}").ok(201)
        for sim in sims:
            self.post("/v1/sims", {"sim": sim, "wallet": name, "plan": "payg"}, f"add-{sim}").ok(201)

    def balance(self, name: str) -> str:
        return str(self.get(f"/v1/wallets/{quote(name)}").ok()["balance"])


class Served:
    """A server process that can be killed and started again on its data."""

    def __init__(self, folder: Path, *, examples: bool = False, **http_settings: Any) -> None:
        self._folder = folder
        if examples:
            copytree(CONFIG / "tariffs", folder / "config" / "tariffs")
            copytree(CONFIG / "plans" / "examples", folder / "config" / "plans")
            copy(CONFIG / "vat.csv", folder / "config")
        else:
            (folder / "config").mkdir(parents=True)
            (folder / "config" / "vat.csv").write_text("country,percent,effective_from\nDE,19,2021-01-01\n")
        (folder / "config" / "tariffs").mkdir(parents=True, exist_ok=True)
        (folder / "config" / "plans").mkdir(exist_ok=True)
        (folder / "config" / "tariffs" / "test.yaml").write_text(TARIFF.format(price="1.00"))
        (folder / "config" / "plans" / "payg.yaml").write_text(PLAN)
        (folder / "config" / "plans" / "offers.yaml").write_text(PLAN_WITH_OFFERS)
        (port,) = free_ports(1)
        self.settings = Settings(
            engine=EngineSettings(data=str(folder / "data"), catalogue=str(folder / "config"), shards=4),
            intake=IntakeSettings(clock=NOW),
            metrics=MetricsSettings(port=0),
            http=HttpSettings(port=port, requests_per_second=0),
            webhooks=WebhookSettings(allow_private=True, timeout_s=2.0),
        )
        if http_settings:
            changed = msgspec.structs.replace(self.settings.http, **http_settings)
            self.settings = msgspec.structs.replace(self.settings, http=changed)
        self.anybody = Client(port)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self._folder / "serve.log").read_text()

    @property
    def environment(self) -> dict[str, str]:
        """Of a process that goes by the same settings."""
        return os.environ | environment(self.settings)

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def data(self) -> Path:
        return self.settings.data

    def start(self) -> None:
        """Return when it is ready."""
        with (self._folder / "serve.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "rater.cli", "serve"],
                env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        for _ in range(600):
            assert self._process.poll() is None, self.log[-3000:]
            try:
                if self.anybody.get("/readyz").status == 200:
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(self.log[-3000:])

    def kill(self) -> None:
        """As a crash would look: the engine is gone, Redis and ClickHouse live."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM; answers the exit status."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(60)

    def with_redis(self, act: Callable[[Redis], Awaitable[T]]) -> T:
        """Do something in the server's Redis."""

        async def main() -> T:
            with EmbeddedParts(self.data) if self.settings.engine.mode == "embedded" else nullcontext() as parts:
                url = f"unix://{parts.redis_socket}" if parts else self.settings.redis.url
                redis = Redis.from_url(url)
                try:
                    return await act(redis)
                finally:
                    await redis.aclose()

        return asyncio.run(main())

    def key(self, tenant: str, *scopes: Scope, account: str = "", user: str = "") -> Client:
        """A client with a new key."""

        async def make(redis: Redis) -> str:
            token, _ = await KeyRing(redis).create(scopes or ALL, tenant, account, user=user, now_ms=1)
            return token

        return replace(self.anybody, key=self.with_redis(make))

    def forget_ids(self) -> None:
        """As if the memory of ids had been rotated twice since."""

        async def rotate(redis: Redis) -> None:
            store = await WalletStore.open(redis, shards=self.settings.engine.shards)
            now_ms = int(NOW.timestamp()) * 1000
            for shard in range(store.shards):
                for _ in range(3):
                    await store.rotate(shard, now_ms=now_ms, window_ms=0, safe_ms=now_ms)

        self.with_redis(rotate)

    def topic(self, name: str) -> list[bytes]:
        """What was delivered to a topic."""
        return lines(topics_folder(self.settings), name)

    @contextmanager
    def topic_held(self, name: str) -> Iterator[None]:
        """Nothing can be delivered to this topic meanwhile: somebody else has its lock."""
        folder = topics_folder(self.settings) / name
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@contextmanager
def serving(folder: Path, *, examples: bool = False, **http_settings: Any) -> Iterator[Served]:
    """A running server; with the plans of config/plans/examples live, if told so."""
    served = Served(folder, examples=examples, **http_settings)
    # Held open, so that Redis and ClickHouse outlive a server that is killed.
    with EmbeddedParts(served.data):
        served.start()
        try:
            yield served
        finally:
            served.kill()


def event(event_id: str, sim: str = "sim-1", **fields: Any) -> dict[str, Any]:
    """A message for 0.10, unless said otherwise."""
    made = {
        "source": "feed", "id": event_id, "service": "message", "subscriber": sim, "country": "DE", "message_count": 1,
        "start_time": "2026-10-31T10:00:00Z", "end_time": "2026-10-31T10:00:00Z",
    }  # fmt: skip
    return {name: value for name, value in (made | fields).items() if value is not None}


def verdict(answer: dict[str, Any], index: int = 0) -> tuple[str, str, str]:
    """Fate, reason and what was charged of one event of an answer."""
    found = answer["events"][index]
    return found["fate"], found.get("reason", ""), found["charged"]
