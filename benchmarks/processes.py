"""Processor time of other processes, and stopping them for a while.

A process that is not on this machine (a broker of a cluster) has no figure.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def find(*marks: str) -> int | None:
    """The process whose command line has all these marks; None if there is not exactly one."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # it has just ended
        if all(any(mark in word for word in words) for mark in marks) and not words[0].endswith("sh"):
            found.append(int(path.parent.name))
    return found[0] if len(found) == 1 else None


def cpu_s(pid: int | None) -> float:
    """Processor seconds a process has used so far (its ended children not); 0 if there is none.

    From /proc/PID/task/*/schedstat where the kernel keeps it: /proc/PID/stat counts in ticks of 10 ms, too coarse for a
    floor of 5 us an event. Threads that ended in between are lost to it; those of the servers stay.
    """
    if pid is None:
        return 0.0
    tasks = list(Path(f"/proc/{pid}/task").glob("*/schedstat"))
    if tasks:
        return sum(int(path.read_text().split()[0]) for path in tasks) / 1e9
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def rss_bytes(pid: int | None) -> int:
    """Memory a process has in use (resident set); 0 if there is none."""
    if pid is None:
        return 0
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def end_leftovers(data: Path) -> None:
    """Kill workers on a data folder that a benchmark which was killed has left behind; return once they are gone."""
    mark, killed = f"RATER_ENGINE_DATA={data}".encode(), []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # it has just ended, or is somebody else's
            if mark in path.read_bytes().split(b"\0") and path.parent.name != str(os.getpid()):
                os.kill(int(path.parent.name), signal.SIGKILL)
                killed.append(path)
    while any(map(_lives, killed)):  # as long as they live they hold locks
        time.sleep(0.01)


def _lives(environ: Path) -> bool:
    try:
        return bool(environ.read_bytes())  # empty of a process that has ended and is not waited for
    except OSError:
        return False


async def redis_cpu_s(redis: Any) -> float:
    """Processor seconds of the Redis server, by its own account; of all primaries in a cluster."""
    info = await redis.info("cpu")
    nodes = list(info.values()) if "used_cpu_user" not in info else [info]
    return float(sum(node["used_cpu_user"] + node["used_cpu_sys"] for node in nodes))


@contextmanager
def held(*pids: int) -> Iterator[None]:
    """Processes that get no processor meanwhile."""
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
