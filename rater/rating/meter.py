"""From what was used to what is billed: minimum quantity and increments, piece after piece.

Steps are laid over the event, over its session, or over the cycle on one network (carry-over); a step belongs to the
piece in which it starts, so what an earlier piece paid covers the beginning of a later one.
"""

from __future__ import annotations

from collections.abc import Sequence

from rater.rating.explain import Wording
from rater.rating.increments import billed_steps, paid_until
from rater.rating.split import Piece
from rater.rating.tracker import Tracker
from rater.tariff.model import Rate
from schemas.usage import Usage


def session_key(usage: Usage, rate: Rate, what: str) -> str:
    """Counter of a session: "session:abc:data/eu:used"."""
    return f"session:{usage.session_id}:{rate.name}:{what}"


def carry_key(period: str, rate: Rate, network: str) -> str:
    """Counter of what a cycle used on one network: "2026-11-01:carry:data/eu:26201"."""
    return f"{period}:carry:{rate.name}:{network}"


class Meter:
    """Bills the pieces of one event in order."""

    def __init__(self, usage: Usage, tracker: Tracker, minimum_quantity: int) -> None:
        self._usage = usage
        self._tracker = tracker
        self._minimum = minimum_quantity
        #: Where in the event we are, and how far steps that started are paid.
        self._position = 0
        self._paid = 0

    def run(self, pieces: Sequence[Piece]) -> None:
        """Set `billed` of each piece that has a price, and explain it."""
        priced = [piece for piece in pieces if piece.found.pricer is not None]
        for piece in priced:
            self._bill(piece, is_last=piece is priced[-1])

    def _bill(self, piece: Piece, *, is_last: bool) -> None:
        assert piece.found.pricer is not None
        rate, wording, quantity = piece.found.pricer.rate, piece.found.pricer.wording, piece.quantity
        position, paid, minimum = self._start(rate, piece, is_last=is_last)
        piece.billed = billed_steps(paid, max(position + quantity, minimum), rate.first, rate.next)
        covered = min(max(paid - position, 0), quantity)
        short = minimum - position
        line = _steps_line(wording, rate, quantity, piece.billed, covered, is_start=not paid, minimum=short)
        piece.lines.append(line)
        self._position += quantity
        if self._is_event(rate):
            self._paid = paid + piece.billed
        # What another scope paid for lies on that scope's own scale, so it covers nothing of a later event's step.
        self._paid = max(self._paid, self._position)

    def _is_event(self, rate: Rate) -> bool:
        scope = rate.increment_scope
        return scope == "event" or (scope == "session" and self._usage.session_id is None)

    def _start(self, rate: Rate, piece: Piece, *, is_last: bool) -> tuple[int, int, int]:
        """Where a piece starts on the scale of its steps, how far that is paid, and what is billed at least."""
        if rate.scope == "session" and rate.increment_scope != "session" and self._usage.session_id is not None:
            # Whether the session had usage before decides its set-up fee.
            self._tracker.use(session_key(self._usage, rate, "used"), piece.quantity)
        if self._is_event(rate):
            return self._position, self._paid, self._minimum if is_last else 0
        if rate.increment_scope == "carry-over":
            return *self._carry(rate, piece, piece.quantity), 0
        key = session_key(self._usage, rate, "used")
        position = self._tracker.value(key)
        self._tracker.use(key, piece.quantity)
        paid = paid_until(max(position, rate.minimum_quantity), rate.first, rate.next) if position else 0
        return position, paid, rate.minimum_quantity

    def _carry(self, rate: Rate, piece: Piece, quantity: int) -> tuple[int, int]:
        key = carry_key(piece.period, rate, piece.found.network)
        position = self._tracker.value(key)
        self._tracker.use(key, quantity)
        return position, paid_until(position, rate.next, rate.next)


def _steps_line(
    wording: Wording, rate: Rate, quantity: int, billed: int, covered: int, *, is_start: bool, minimum: int
) -> str:
    """One line from what was used to what is billed. `covered` of it lies within a step paid earlier."""
    text = f"{wording.used(quantity)} used"
    if covered:
        text += f", {wording.used(covered)} of it within a step already paid"
    if minimum > quantity:
        text += f", at least {wording.used(minimum)}"
    if rate.first == 1 and rate.next == 1:
        return f"{text} = {wording.priced(billed)}" if wording.is_converted or billed != quantity else text
    if rate.first != rate.next and is_start:
        count = (billed - rate.first) // rate.next
        steps = f"1 step of {wording.first}" + (f" + {_steps(count)} of {wording.next}" if count else "")
    else:
        steps = f"{_steps(billed // rate.next)} of {wording.next}"
    return f"{text} -> {steps} = {wording.billed(billed)}"


def _steps(count: int) -> str:
    return f"{count} step" if count == 1 else f"{count} steps"
