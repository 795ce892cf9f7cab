"""The process that owns the embedded ClickHouse's folder, started and stopped."""

from __future__ import annotations

import sys
from pathlib import Path

from rater.errors import PartsError
from streams.embedded.chdb_client import ChdbClient
from streams.embedded.child import Child


class Chdb(Child):
    """One chdb process (chdb_server) on a unix socket; asked to stop, it finishes the statement at hand."""

    def __init__(self, folder: Path, socket: Path) -> None:
        self._client = ChdbClient(socket)
        # -P: a folder named `streams` where the command happens to run must not be taken for ours.
        where = [str(folder.absolute()), str(socket.absolute())]
        argv = [sys.executable, "-P", "-m", "streams.embedded.chdb_server", *where]
        super().__init__("clickhouse", folder, argv, self._answers)

    def _answers(self) -> bool:
        try:
            return self._client.query("SELECT 1", "TabSeparated") == b"1\n"
        except PartsError:
            return False
        finally:
            self._client.close()
