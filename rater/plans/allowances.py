"""Allowances are used before money: in order of priority, then of expiry, and split exactly where one ends.

    500 min left until the 30th (priority 1) and 1,000 min without an end (priority 2); a call of 12 min when 10 min are
    left of the first: 10 min of the first, 2 of the second, nothing for the tariff.

What ends inside an event is of two sorts. A balance runs out: the rest of the quantity goes on to the next. Time ends
it (or begins another): the usage is split there as at any boundary, voice by time, data pro rata in whole bytes, the
remainder to the last; messages belong to the time at which they start.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

import msgspec

from rater.plans.calendar import Period, add_months
from rater.plans.credits import Use, carried_parts, cost_parts
from rater.plans.model import Allowance

#: Later than any event: an allowance without an end.
NEVER_MS: Final = 2**63 - 1


class Balance(msgspec.Struct, frozen=True):
    """What is left of an allowance that was granted, usable in [from_ms, until_ms). Its table is the grant's own."""

    id: str
    allowance: Allowance
    left_parts: int
    from_ms: int
    until_ms: int = NEVER_MS
    #: How many more times what is left may roll over.
    rolls_left: int = 0
    #: What it began with, for people: how much of it is used.
    granted_parts: int = 0

    @property
    def order(self) -> tuple[int, int, bool, str]:
        """What is used first: priority, expiry; then one's own before a pool; then by id, so that it is never open."""
        return self.allowance.priority, self.until_ms, self.allowance.shared, self.id


class Part(msgspec.Struct, frozen=True):
    """A usage, or a part of one: a quantity in base units over [start_ms, end_ms)."""

    use: Use
    quantity: int
    start_ms: int
    end_ms: int


class Line(msgspec.Struct, frozen=True):
    """What one balance gave: so many base units for so many of its parts, at a time."""

    id: str
    quantity: int
    parts: int
    left_parts: int
    at_ms: int


class Consumed(msgspec.Struct, frozen=True):
    """The lines in the order in which they were used, and what no allowance covered, in time order."""

    lines: tuple[Line, ...]
    uncovered: tuple[Part, ...]

    @property
    def uncovered_quantity(self) -> int:
        """How much the tariff is left with."""
        return sum(part.quantity for part in self.uncovered)


def consume(balances: Iterable[Balance], part: Part) -> Consumed:
    """Use the balances for a usage, by the usage's own time. Changes nothing: the lines say what to take."""
    usable = sorted((balance for balance in balances if balance.left_parts > 0), key=lambda balance: balance.order)
    assert len({balance.id for balance in usable}) == len(usable), "a balance is there once"
    left = {balance.id: balance.left_parts for balance in usable}
    lines: list[Line] = []
    uncovered: list[Part] = []
    for piece in _pieces(usable, part):
        rest = _use(usable, left, piece, lines)
        if rest is None:
            continue
        if uncovered and uncovered[-1].end_ms == rest.start_ms:
            before = uncovered.pop()
            rest = Part(part.use, before.quantity + rest.quantity, before.start_ms, rest.end_ms)
        uncovered.append(rest)
    return Consumed(tuple(lines), tuple(uncovered))


def _use(usable: Sequence[Balance], left: dict[str, int], piece: Part, lines: list[Line]) -> Part | None:
    """Take a piece from what is left of the balances that hold at its time; what they do not cover."""
    rest = piece.quantity
    for balance in usable:
        if not rest or not balance.from_ms <= piece.start_ms < balance.until_ms:
            continue
        cost = cost_parts(balance.allowance, piece.use)
        if cost is None:
            continue
        quantity = min(rest, left[balance.id] // cost)
        if quantity:
            left[balance.id] -= quantity * cost
            line = Line(
                balance.id, quantity, quantity * cost, left[balance.id], _reached_ms(piece, piece.quantity - rest)
            )
            _append(lines, line)
            rest -= quantity
    if not rest:
        return None
    return msgspec.structs.replace(piece, quantity=rest, start_ms=_reached_ms(piece, piece.quantity - rest))


def _append(lines: list[Line], line: Line) -> None:
    """A balance that goes on giving after a boundary of another one has one line for both sides."""
    if lines and lines[-1].id == line.id:
        before = lines.pop()
        line = Line(line.id, before.quantity + line.quantity, before.parts + line.parts, line.left_parts, before.at_ms)
    lines.append(line)


def _reached_ms(piece: Part, quantity: int) -> int:
    """When so much of the piece was used."""
    if piece.use.service == "message":
        return piece.start_ms
    if piece.use.service == "voice":
        return piece.start_ms + quantity
    return piece.start_ms + (piece.end_ms - piece.start_ms) * quantity // piece.quantity


def _pieces(balances: Sequence[Balance], part: Part) -> list[Part]:
    """The usage, cut where a balance that is for it begins or ends."""
    end_ms = _until_ms(part)
    edges = {
        edge
        for balance in balances
        for edge in (balance.from_ms, balance.until_ms)
        if part.start_ms < edge < end_ms and cost_parts(balance.allowance, part.use) is not None
    }
    if not edges:
        return [part] if part.quantity else []
    found, rest = [], part.quantity
    bounds = [part.start_ms, *sorted(edges), end_ms]
    for start_ms, until_ms in pairwise(bounds):
        share = part.quantity * (until_ms - start_ms) // (end_ms - part.start_ms) if until_ms < end_ms else rest
        rest -= share
        found.append(Part(part.use, share, start_ms, until_ms if until_ms < end_ms else part.end_ms))
    return [piece for piece in found if piece.quantity]


def _until_ms(part: Part) -> int:
    """Up to when a usage is laid over time: as rating does, a call for as long as it is charged."""
    if part.use.service == "voice":
        return part.start_ms + part.quantity
    return part.start_ms if part.use.service == "message" else part.end_ms


def grant(
    id: str,
    allowance: Allowance,
    period: Period,
    zone: str,
    *,
    quantity_parts: int | None = None,
    since_ms: int | None = None,
) -> Balance:
    """What a period grants of an allowance.

    Usable from the period's start, or from `since_ms` where the plan was joined within the period, so that it does not
    cover what was used before. `quantity_parts` is the volume, where one was chosen.
    """
    from_ms = period.start_ms if since_ms is None else max(period.start_ms, since_ms)
    until_ms = NEVER_MS
    if allowance.expiry.at == "period":
        until_ms = period.end_ms
    elif allowance.expiry.at == "months":
        until_ms = add_months(zone, from_ms, allowance.expiry.months)
    quantity = allowance.quantity_parts if quantity_parts is None else quantity_parts
    rolls = allowance.roll_over.periods if allowance.roll_over else 0
    return Balance(id, allowance, quantity, from_ms, until_ms, rolls, quantity)


def rolled_over(ended: Iterable[Balance], allowance: Allowance, period: Period) -> tuple[Balance, ...]:
    """The balances of one allowance that go on into a period, together at most its maximum.

    `allowance` is the one of the version now in force: its table and its maximum hold. A balance stays itself, with a
    later end, so that late usage of the period it was granted in still finds it, and what goes on is there once.
    Where the maximum cuts, those that may roll on longest stay.
    """
    if allowance.roll_over is None:
        return ()
    found, room = [], allowance.roll_over.parts_max
    for balance in sorted(ended, key=lambda balance: (-balance.rolls_left, balance.order)):
        left = carried_parts(balance.left_parts, balance.allowance, allowance) if balance.rolls_left else 0
        if room is not None:
            left = min(left, room)
            room -= left
        if left > 0:
            until_ms, rolls = period.end_ms, balance.rolls_left - 1
            found.append(Balance(balance.id, allowance, left, balance.from_ms, until_ms, rolls, granted_parts=left))
    return tuple(found)
