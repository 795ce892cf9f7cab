"""Wallet commands from the commands topic: decoded, applied through the wallet's one call, never lost."""

from __future__ import annotations

import logging

import msgspec

from rater.errors import WalletError
from rater.pipeline.batch import Door
from rater.wallet.command import carry_out
from schemas.commands import WalletCommand
from schemas.fates import Reason
from schemas.faults import DeadLetter
from streams.engine import Engine
from streams.patience import patiently
from streams.topics import DEAD_LETTERS

log = logging.getLogger(__name__)

_decode = msgspec.json.Decoder(WalletCommand).decode
_encode = msgspec.json.Encoder().encode


class CommandDesk:
    """Carries out one command at a time; a bad one is dead-lettered with its reason."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def handle(self, raw: bytes | None, door: Door, position: int) -> None:
        """Apply a command; waits while Redis is away, so that nothing is acknowledged before it is done.

        What is raised past here would be acknowledged all the same, so no error is: a command that fails is kept.
        """
        raw = raw or b""
        try:
            command = _decode(raw)
            await patiently("redis", lambda: self._apply(command))
        except Exception as error:  # ours to name: wrong bytes or amounts, a wallet that refuses; the rest is a fault
            if not isinstance(error, ValueError | RecursionError | WalletError):
                log.exception("wallet command at %s %d failed", door.name, position)
            await self._dead_letter(raw, door, position, str(error))
        self._engine.publisher.wake()

    async def _apply(self, command: WalletCommand) -> None:
        parts = self._engine.parts
        await carry_out(parts.store, command, now_ms=parts.clock_ms())

    async def _dead_letter(self, raw: bytes, door: Door, position: int, detail: str) -> None:
        log.warning("wallet command at %s %d refused: %s", door.name, position, detail)
        letter = DeadLetter(
            reason=Reason.INVALID.label,
            field="",
            detail=detail,
            door=door.name,
            position=position,
            dead_ms=self._engine.parts.clock_ms(),
            raw=raw,
            format="wallet-command",
        )
        await patiently("kafka", lambda: self._engine.sink.publish({DEAD_LETTERS: [(b"", _encode(letter))]}))
