"""A server process that ends with the process that started it, however that ends.

For servers that belong to one run: a broker for a demonstration or a test. The embedded parts are the opposite (child).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

#: `cat` reads a pipe whose other end is ours: it ends when we close it or die, and then so does the server.
_SCRIPT = '"$@" </dev/null & server=$!; exec 3<&0 </dev/null; (cat <&3; kill "$server") & exec 3<&-; wait "$server"'


class Leashed:
    """One running server.

    Args:
        argv: how to start it in the foreground.
        log: file its output is appended to.
    """

    def __init__(self, argv: Sequence[str], log: Path) -> None:
        with log.open("ab") as output:
            self._shell = subprocess.Popen(  # noqa: S603 (our own arguments)
                ["/bin/sh", "-c", _SCRIPT, "sh", *argv],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def is_running(self) -> bool:
        """Whether it lives."""
        return self._shell.poll() is None

    def stop(self, timeout_s: float = 30.0) -> None:
        """Ask it to end in order; end it by force when the time is up."""
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        try:
            self._shell.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, as a crash would look."""
        assert self._shell.stdin is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.stdin.close()
        self._shell.wait()
