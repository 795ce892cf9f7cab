"""A server process that outlives the command that started it and is found again by the next one.

The child inherits a locked file (flock) and so holds the lock exactly as long as it lives, whatever kills it: no pid
file can be stale, no second server can start on the same data, nobody has to guess whether a process id was reused.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rater.errors import PartsError

#: A server that is still reading its data is given this long without progress to be seen. Ten million wallets are read
#: for some minutes.
START_SECONDS = 30.0
#: Closing means writing and syncing what is in memory.
STOP_SECONDS = 60.0
POLL_SECONDS = 0.01
LOG_TAIL_BYTES = 600


class Child:
    """One server on one folder.

    Args:
        name: what a person calls it; also names its lock, pid and log file in `folder`.
        folder: the server's own data folder, made when missing.
        argv: how to start it in the foreground.
        is_ready: True when it answers, False when it does not yet; may raise PartsError to give up.
        environment: answers variables of its own; asked when it is started.
    """

    def __init__(
        self, name: str, folder: Path, argv: Sequence[str], is_ready: Callable[[], bool],
        environment: Callable[[], Mapping[str, str]] = dict,
    ) -> None:  # fmt: skip
        self.name = name
        self._folder = folder
        self._argv = list(argv)
        self._is_ready = is_ready
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What the server printed."""
        return self._folder / f"{self.name}.log"

    @property
    def pid(self) -> int | None:
        """Process id of the running server."""
        if not self.is_running():
            return None
        return int(self._pid_file.read_text())

    @property
    def _pid_file(self) -> Path:
        return self._folder / f"{self.name}.pid"

    def is_running(self) -> bool:
        """Whether the server lives, started by whichever command."""
        lock = self._take_lock()
        if lock is None:
            return True
        os.close(lock)
        return False

    def ensure(self) -> None:
        """Start the server unless it lives, and return when it answers.

        Raises:
            PartsError: it ended or did not answer; the text has the end of its log.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = self._take_lock()
        if lock is not None:
            self._spawn(lock)
        seen, deadline = None, time.monotonic() + START_SECONDS
        while not self._is_ready():
            if not self.is_running():
                raise PartsError(f"{self.name} ended while starting; {self.log} says: {self._log_tail()}")
            progress = self.progress()
            if progress != seen:
                seen, deadline = progress, time.monotonic() + START_SECONDS
            if time.monotonic() > deadline:
                raise PartsError(f"{self.name} (process {self.pid}) does not answer; see {self.log}")
            time.sleep(POLL_SECONDS)

    def progress(self) -> object:
        """What changes while a server reads its data before it answers; None where it does not say."""
        return None

    def stop(self) -> None:
        """Ask the server to stop in order (SIGTERM) and return once it is gone.

        Raises:
            PartsError: it still lives after a minute.
        """
        pid = self.pid
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while self.is_running():
            if time.monotonic() > deadline:
                raise PartsError(f"{self.name} (process {self.pid}) does not stop; see {self.log}")
            time.sleep(POLL_SECONDS)
        if self._process is not None:
            self._process.wait()

    def _take_lock(self) -> int | None:
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._folder / f"{self.name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        return lock

    def _spawn(self, lock: int) -> None:
        """Start the server in a session of its own, so that Ctrl-C in the terminal does not reach it."""
        try:
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(  # noqa: S603 (our own arguments)
                    self._argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, **self._environment()},
                    cwd=self._folder,  # ClickHouse would take a config.xml of wherever the command happens to run
                    start_new_session=True,
                    pass_fds=[lock],
                )
            self._pid_file.write_text(str(self._process.pid))
        finally:
            os.close(lock)

    def _log_tail(self) -> str:
        return self.log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace").strip()
