"""Whether the machine has the memory and the disk that a fleet takes, before an hour is spent on finding out."""

from __future__ import annotations

import shutil
from pathlib import Path

from rater.errors import PartsError

GIB = 2**30
#: Of Redis, for a wallet with its SIM: both, the directory's entries, the list of members, and two ids kept for ever.
#: Measured: 875 bytes of data with a million, and what the allocator adds.
MEMORY_A_WALLET = 1200
#: Of disk: the append-only file has about 830 bytes a wallet at least, and may grow to twice that before it is written
#: anew, beside the new one.
DISK_A_WALLET = 3000
#: For the worker, the broker, ClickHouse and the benchmark itself.
MEMORY_BESIDE = 3 * GIB
DISK_BESIDE = 5 * GIB


def check_needs(wallets: int, folder: Path) -> str:
    """What a fleet needs and what there is, in a sentence.

    Raises:
        PartsError: there is not enough.
    """
    memory, disk = wallets * MEMORY_A_WALLET + MEMORY_BESIDE, wallets * DISK_A_WALLET + DISK_BESIDE
    free_memory, free_disk = available_memory(), shutil.disk_usage(folder).free
    text = (
        f"{wallets:,} wallets need about {memory / GIB:.1f} GiB of memory ({free_memory / GIB:.1f} available) "
        f"and {disk / GIB:.1f} GiB of disk ({free_disk / GIB:.1f} free)"
    )
    if free_memory < memory or free_disk < disk:
        raise PartsError(f"{text}: too little")
    return text


def available_memory() -> int:
    """Bytes that can be had without swapping."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0
