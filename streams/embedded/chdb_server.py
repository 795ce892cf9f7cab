"""The embedded ClickHouse: `python -m streams.embedded.chdb_server FOLDER SOCKET`.

chdb allows one process per data folder and has no server of its own, so this process owns the folder and answers local
clients (protocol: chdb_wire). One statement runs at a time; each uses all cores by itself.
"""

from __future__ import annotations

import os
import signal
import socketserver
import sys
import threading
from pathlib import Path
from typing import Any

from chdb.session import Session

from streams.embedded.chdb_rows import rows_files
from streams.embedded.chdb_wire import HEADER, Request, body_bytes, frame, unpack

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
#: Where processors are few, rating comes first: ClickHouse is never on its way.
NICE = 5


class Store:
    """One chdb session; statements one after the other."""

    def __init__(self, folder: Path) -> None:
        self._session: Any = Session(str((folder / "store").absolute()))  # type: ignore[no-untyped-call]
        self._lock = threading.Lock()

    def answer(self, request: Request) -> tuple[bool, bytes | str]:
        """Carry out one request; an error of ClickHouse becomes its text."""
        with self._lock:
            try:
                sql, fmt = request
                return True, self._query(str(sql), str(fmt))
            except (RuntimeError, ValueError, TypeError, OSError) as error:
                return False, str(error)

    def close(self) -> None:
        """Finish the statement at hand and let go of the folder; no statement runs after this."""
        self._lock.acquire()
        self._session.close()

    def _query(self, sql: str, fmt: str) -> bytes:
        result: bytes = self._session.query(sql, fmt).bytes()
        return result


class Connection(socketserver.StreamRequestHandler):
    """One client, until it hangs up."""

    server: Server

    def handle(self) -> None:
        """Answer request after request, in order."""
        while len(header := self.rfile.read(HEADER.size)) == HEADER.size:
            length = body_bytes(header)
            body = self.rfile.read(length)
            if len(body) < length:
                return  # hung up in the middle
            self.wfile.write(frame(self.server.store.answer(unpack(body))))


class Server(socketserver.ThreadingUnixStreamServer):
    """Waits for clients on a unix socket."""

    daemon_threads = True
    block_on_close = False  # an idle client must not keep the process alive

    def __init__(self, socket: Path, store: Store) -> None:
        self.store = store
        super().__init__(str(socket), Connection)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up in the middle is its own affair; anything else is logged."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def main(folder: Path, socket: Path) -> None:
    """Serve until asked to stop."""
    os.nice(NICE)
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)  # before chdb makes threads, so that only sigwait sees them
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(folder)
    for left in (socket, *rows_files(socket)):
        left.unlink(missing_ok=True)  # by a process that was killed
    with Server(socket, store) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        signal.sigwait(STOP_SIGNALS)
        server.shutdown()
        socket.unlink(missing_ok=True)
        store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
