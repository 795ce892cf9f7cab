"""`rater serve` from start to end: the engine, the journal of a process that died, the server, and back.

Stopped by SIGTERM or Ctrl-C: nothing new is taken, what is under way is delivered and answered, then parts are closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Iterator

import uvicorn

from rater.errors import PartsError
from rater.settings import Settings
from streams.crew import Crew
from streams.engine import Engine, open_engine
from streams.http.app import create_app
from streams.http.desk import Desk
from streams.http.flow import Flow
from streams.http.journal import Journal
from streams.metrics import serve as serve_metrics
from streams.patience import patiently

log = logging.getLogger(__name__)

#: How often the verdict memory is looked at for rotation.
ROTATE_EVERY_S = 60.0
#: Longer than proxies keep a connection that nobody uses (60 s as a rule), so that they close it first.
KEEP_ALIVE_S = 75
#: What is under way at a stop has this long to be delivered and answered.
STOP_S = 30


class _Server(uvicorn.Server):
    """uvicorn would raise the signal again at its end, before the engine is closed."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


async def serve(settings: Settings) -> None:
    """Serve until stopped.

    Raises:
        PartsError: an address is taken, or a part of the engine failed.
    """
    listening = _listen(settings)
    try:
        serve_metrics(settings.metrics)
        async with open_engine(settings, kafka=settings.engine.mode == "distributed", hooks=True) as engine:
            journal = Journal(settings.data / "http", fsync=settings.engine.durability != "process")
            try:
                await _serve(engine, Flow(engine, journal), listening)
            finally:
                journal.close()
    finally:
        listening.close()


async def _serve(engine: Engine, flow: Flow, listening: socket.socket) -> None:
    await flow.replay()
    config = uvicorn.Config(
        create_app(Desk.of(engine, flow)),
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S,
    )
    host, port = listening.getsockname()[:2]
    log.info("listening on http://%s:%d; docs under /v1/docs", host, port)
    async with Crew(flow.run(), _rotate(engine, flow), beside=engine.crew) as crew:
        await crew.wait(_Server(config).serve(sockets=[listening]))
        try:
            await crew.wait(asyncio.wait_for(flow.drain(), STOP_S))
        except TimeoutError:
            log.warning("a part is away: what is under way is left to the next start")


async def _rotate(engine: Engine, flow: Flow) -> None:
    while True:
        await asyncio.sleep(ROTATE_EVERY_S)
        await patiently("redis", lambda: engine.rotate(flow.clear_ms))


def _listen(settings: Settings) -> socket.socket:
    http = settings.http
    family = socket.AF_INET6 if ":" in http.host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((http.host, http.port))
    except OSError as error:
        listening.close()
        raise PartsError(f"http: cannot listen on {http.host}:{http.port}: {error.strerror}") from error
    return listening
