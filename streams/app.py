"""The Faust app: its worker command, its timers, the slow topic of wallet commands, and the intake of usage.

Faust carries what is rare and may be slow. Usage goes through `Intake`, a service of this app with a consumer of its
own (see there for why). Faust's own web server stays off: it would listen on every address without asking who calls.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import Any

import faust
from mode import Service

from rater.pipeline.batch import Door
from rater.settings import Settings
from streams.brokers import credentials
from streams.commands import CommandDesk
from streams.engine import Engine, open_engine
from streams.intake import HEARTBEAT_MS, SESSION_MS, Intake
from streams.metrics import serve

log = logging.getLogger(__name__)

#: How often the verdict memory is looked at for rotation.
ROTATE_EVERY_S = 60.0


class EngineService(Service):
    """Opens the engine when the worker starts, runs the intake, and closes in the opposite order."""

    def __init__(self, settings: Settings, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings = settings
        self._stack = AsyncExitStack()
        self._engine: Engine | None = None
        self.opened = asyncio.Event()
        self.intake: Intake

    @property
    def engine(self) -> Engine:
        """The opened engine."""
        assert self._engine is not None, "the engine is opened before anything is consumed"
        return self._engine

    async def on_start(self) -> None:
        """Open Redis, ClickHouse and the topics, then start taking usage."""
        self._engine = await self._stack.enter_async_context(open_engine(self._settings, kafka=True, hooks=True))
        serve(self._settings.metrics)
        engine = self._engine
        self.intake = Intake(self._settings, engine.pipeline, engine.sink, engine.parts.clock_ms, engine.crew)
        await self.add_runtime_dependency(self.intake)
        self.opened.set()

    async def on_shutdown(self) -> None:
        """Close what was opened, once intake has drained."""
        await self._stack.aclose()


def create_app(settings: Settings) -> faust.App:
    """The app of one worker."""
    app = faust.App(
        f"{settings.kafka.group}-commands",
        broker=f"kafka://{settings.kafka.bootstrap}",
        broker_credentials=credentials(settings.kafka),
        datadir=str(settings.data / "faust"),
        web_enabled=False,
        topic_disable_leader=True,
        topic_partitions=settings.kafka.partitions,
        topic_allow_declare=False,
        broker_session_timeout=SESSION_MS / 1000,
        broker_heartbeat_interval=HEARTBEAT_MS / 1000,
        store="memory://",
    )
    service = EngineService(settings, beacon=app.beacon)
    app.service(service)  # type: ignore[arg-type]  # Faust takes an instance as well as a class

    commands = app.topic(settings.kafka.commands_topic, value_type=bytes, value_serializer="raw")

    @app.agent(commands)
    async def wallet_commands(stream: Any) -> None:
        await service.opened.wait()
        desk = CommandDesk(service.engine)
        async for event in stream.events():
            # Faust acknowledges an event whose agent raised; so whatever happens is dealt with in here.
            position = event.message.offset
            door = Door(f"kafka:{event.message.topic}/{event.message.partition}")
            await desk.handle(event.value, door, position)

    @app.timer(ROTATE_EVERY_S)  # type: ignore[untyped-decorator]
    async def rotate_memory() -> None:
        await service.opened.wait()
        await service.engine.rotate(service.intake.clear_ms)

    return app
