"""Batches under way, kept on disk until their records are delivered: what lets this door bring events again by itself.

    DATA/http/<process>/<number>   one batch: format, intake's clock, and each event's bytes and headers
    DATA/http/<process>/.lock      held for as long as the process lives

A batch is written before it is charged and removed once it is delivered. A process that is killed leaves its folder
behind, and the next one to start takes it over. A file that was cut short was not charged yet, and is dropped. With
durability `process` the file is with the operating system, as the debit is; else it is on the disk.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from rater.errors import PartsError
from rater.pipeline.batch import Batch, Door, RawEvent

_Headers = tuple[tuple[str, bytes], ...]


class KeptBatch(msgspec.Struct, array_like=True):
    """A batch as it stands in a file."""

    format: str
    now_ms: int
    events: list[tuple[bytes, _Headers]]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(KeptBatch).decode


class Journal:
    """The batches of one process, and the folders that dead ones left.

    Raises:
        PartsError: the folder cannot be written.
    """

    def __init__(self, folder: Path, *, fsync: bool) -> None:
        self._root = folder
        self._fsync = fsync
        self._own = folder / f"{os.getpid()}-{os.urandom(4).hex()}"
        try:
            with self._alone():
                self._own.mkdir()
                self._lock = _locked(self._own)
        except OSError as error:
            raise PartsError(f"http: batches under way cannot be kept in {folder}: {error.strerror}") from error
        assert self._lock is not None, "nobody else knows this folder"
        self._count = 0

    async def keep(self, batch: Batch) -> Path:
        """Write a batch; answers its file."""
        self._count += 1
        path = self._own / f"{self._count:012d}"
        kept = KeptBatch(batch.format, batch.now_ms, [(raw.value, tuple(raw.headers)) for raw in batch.events])
        data = _encode(kept)
        if self._fsync:
            await asyncio.to_thread(_write, path, data, fsync=True)
        else:
            _write(path, data)  # into the kernel's memory: quicker than a thread would be found for it
        return path

    def left(self, door: Door) -> Iterator[tuple[Path, Batch]]:
        """The batches that dead processes left, in the order in which each took them."""
        for folder in sorted(path for path in self._root.iterdir() if path.is_dir()):
            with self._alone():
                lock = _locked(folder) if folder.exists() else None
            if lock is None:
                continue
            try:
                for path in sorted(folder.glob("[0-9]*")):
                    kept = _read(path)
                    if kept is not None:
                        events = [RawEvent(value, door, 0, headers) for value, headers in kept.events]
                        yield path, Batch(events, kept.now_ms, kept.format)
                if not any(folder.glob("[0-9]*")):
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time makes a folder or takes one over: a new one is not mistaken for a dead one's."""
        self._root.mkdir(parents=True, exist_ok=True)
        with (self._root / ".lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def close(self) -> None:
        """Let go of the folder; it stays if something in it was not delivered."""
        if not any(self._own.glob("[0-9]*")):
            shutil.rmtree(self._own, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _write(path: Path, data: bytes, *, fsync: bool = False) -> None:
    with path.open("wb", buffering=0) as file:
        view = memoryview(data)
        while view:
            view = view[os.write(file.fileno(), view) :]
        if fsync:
            os.fdatasync(file.fileno())
    if fsync:  # the name too
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _read(path: Path) -> KeptBatch | None:
    try:
        return _decode(path.read_bytes())
    except msgspec.DecodeError:
        path.unlink()  # cut short, and so never charged
        return None


def _locked(folder: Path) -> int | None:
    """The folder's lock, None if its process lives."""
    lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
