"""Part 5: the HTTP door. What it costs by itself, and a server from request to answer, embedded.

Its own cost is taking a request's events out of it and writing the answer, with a flow that decides nothing. The server
is a process of its own; clients on a few connections send batches and wait for each answer, so a rate is of events that
were debited and delivered.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import msgspec

from benchmarks.figures import Part
from benchmarks.ledger import check
from benchmarks.loading import at_rest
from benchmarks.processes import cpu_s, redis_cpu_s
from benchmarks.run import Run, cpu_us
from benchmarks.topics import read_files
from benchmarks.traffic import TENANT, fleet, pages, traffic
from rater.errors import PartsError
from rater.pipeline.tally import Tally, Verdict
from rater.settings import HttpSettings, Settings
from rater.wallet.load import load_wallets
from schemas.fates import Fate, Reason
from streams.embedded.ports import free_ports
from streams.http.endpoint import JSON, Call, NoForm
from streams.http.forms import UsageVerdicts
from streams.http.keys import ApiKey, KeyRing
from streams.http.usage import take
from streams.opening import topics_folder
from streams.parts import Parts, open_parts
from streams.worker_process import environment

#: Events in a request, and connections that each wait for their answer.
REQUEST_EVENTS = 1000
CONNECTIONS = 4

_FATES = {fate.label: fate for fate in Fate}
_REASONS = {reason.label: reason for reason in Reason}
_decode = msgspec.json.Decoder(UsageVerdicts).decode
_encode = msgspec.json.Encoder().encode


async def http_door(run: Run) -> Part:
    """The door alone, then the whole way."""
    part = Part(f"HTTP door, {REQUEST_EVENTS:,} events a request, {CONNECTIONS} connections, embedded")
    for events in (REQUEST_EVENTS, 1):
        bodies = [_body(page) for page in pages(_events(run, "own", max(REQUEST_EVENTS, run.sizes.events)), events)]
        each = await asyncio.to_thread(cpu_us, _own(), bodies, run.sizes.runs)
        name = "the door itself" if events > 1 else "the door itself, an event a request"
        part.add(name, "us/event", *(us / events for us in each))
    await _served(part, run)
    return part


def _own() -> Callable[[bytes], object]:
    """From a body to the answer's bytes, everything between left out."""
    verdict = Verdict(Fate.RATED, Reason.NONE, "", 100_000_000, "EUR")

    class Nothing:
        async def decide(self, events: Sequence[Any], format: str) -> list[Verdict]:
            return [verdict] * len(events)

    desk: Any = SimpleNamespace(flow=Nothing(), settings=HttpSettings())
    key = ApiKey("bench", bytes(32), ("ingest",), TENANT)
    loop = asyncio.new_event_loop()

    def answer(body: bytes) -> bytes:
        call = Call(desk, key, TENANT, {}, None, NoForm(), body=body, headers={"content-type": JSON})
        return _encode(loop.run_until_complete(take(call)))

    return answer


def _events(run: Run, name: str, count: int) -> list[bytes]:
    """Traffic without the damaged: a request that is no JSON is refused whole."""
    found = (value for _, value in traffic(name, count, run.sizes.stream_wallets).messages)
    return [value for value in found if _is_json(value)]


def _is_json(value: bytes) -> bool:
    try:
        msgspec.json.decode(value.decode())
    except ValueError:
        return False
    return True


def _body(events: Sequence[bytes]) -> bytes:
    return b"[" + b",".join(events) + b"]"


async def _served(part: Part, run: Run) -> None:
    settings = run.embedded("http")
    http = msgspec.structs.replace(settings.http, port=free_ports(1)[0], requests_per_second=0)
    settings = msgspec.structs.replace(settings, http=http)
    forms = fleet(run.sizes.stream_wallets)
    async with open_parts(settings) as parts:
        await load_wallets(forms, parts.store, parts.directory, now_ms=parts.clock_ms())
        token, _ = await KeyRing(parts.redis).create(("ingest",), TENANT, now_ms=0)
        server = subprocess.Popen([sys.executable, "-m", "rater.cli", "serve"], env=os.environ | environment(settings))
        tally = Tally()
        try:
            await asyncio.to_thread(_wait, http.port)
            await _rounds(part, run, parts, server.pid, settings, token, tally)
            await at_rest(parts)
        finally:
            server.terminate()
            await asyncio.to_thread(server.wait)
        part.faults += await check(read_files(topics_folder(settings)), tally, parts.store, forms)


def _wait(port: int) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise PartsError("the server is not ready after 30 s")


async def _rounds(
    part: Part, run: Run, parts: Parts, pid: int, settings: Settings, token: str, tally: Tally
) -> None:  # fmt: skip
    rates, server_us, redis_us = [], [], []
    for number in range(-1, run.sizes.runs):
        requests = [
            _body(page) for page in pages(_events(run, f"http-{number}", run.sizes.stream_events), REQUEST_EVENTS)
        ]
        before = cpu_s(pid), await redis_cpu_s(parts.redis), tally.events
        started = time.perf_counter()
        await asyncio.gather(*(_client(settings, token, requests, tally) for _ in range(CONNECTIONS)))
        seconds, events = time.perf_counter() - started, tally.events - before[2]
        if number < 0:
            continue  # it warms up
        rates.append(events / seconds)
        server_us.append((cpu_s(pid) - before[0]) / events * 1e6)
        redis_us.append((await redis_cpu_s(parts.redis) - before[1]) / events * 1e6)
    part.add("request to answer", "events/s", *rates)
    part.add("  server processor", "us/event", *server_us)
    part.add("  Redis processor", "us/event", *redis_us)


async def _client(settings: Settings, token: str, requests: list[bytes], tally: Tally) -> None:
    """Take requests off the common list until none is left."""
    reader, writer = await asyncio.open_connection("127.0.0.1", settings.http.port, limit=1 << 24)
    while requests:
        body = requests.pop()
        head = f"POST /v1/usage HTTP/1.1\r\nHost: bench\r\nContent-Type: {JSON}\r\nAuthorization: Bearer {token}\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        content = await reader.readexactly(int(answer.partition("content-length: ")[2].partition("\r\n")[0]))
        if " 200 " not in answer.partition("\r\n")[0]:
            raise PartsError(f"the server refused a batch: {content.decode()}")
        for told in _decode(content).events:
            fate = Fate.DUPLICATE if told.repeated else _FATES[told.fate]
            reason = Reason.NONE if told.repeated else _REASONS.get(told.reason, Reason.NONE)
            tally.fates[fate, reason] += 1
            tally.events += 1
    writer.close()
