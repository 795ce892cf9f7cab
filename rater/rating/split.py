"""Where usage crosses a version, band or cycle boundary, and how much of it lies on each side.

Voice is split by time. Data is split pro rata of time: each part but the last gets whole bytes, rounded down, and the
last one the rest. Messages are not split. A part that comes to no quantity is left out.

    A call of 120 s that starts 50 s before midnight: 50 s and 70 s.
    1,000 bytes over 3 hours, the first of them in another band: 333 and 667.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from rater.rating.timeline import timeline
from rater.tariff.match import Found
from rater.tariff.model import Tariff
from schemas.usage import Usage

#: A bound on the parts of one event: three years of hourly band changes would pass it, and no real usage does.
PARTS_MAX: Final = 1_000


class TooManyPartsError(ValueError):
    """The usage crosses more boundaries than one event may."""


class Piece:
    """A stretch of the usage within one version, band and cycle, and what rating makes of it."""

    __slots__ = ("amount", "band", "billed", "end_ms", "found", "lines", "period", "quantity", "start_ms", "version")

    def __init__(self, start_ms: int, end_ms: int, period: str, version: str, found: Found, band: int | None) -> None:
        self.start_ms = start_ms
        self.end_ms = end_ms
        self.period = period
        self.version = version
        self.found = found
        self.band = band
        self.quantity = 0
        self.billed = 0
        #: Exact, in currency units, before set-up, minimum and maximum.
        self.amount = Fraction(0)
        self.lines: list[str] = []


def split(tariff: Tariff, usage: Usage, cycle_zone: str) -> list[Piece]:
    """The pieces of the usage in time order; at least one.

    Raises:
        TooManyPartsError: it crosses more than `PARTS_MAX` boundaries.
    """
    end_ms = charged_until(usage)
    pieces = [_piece_at(tariff, usage, usage.start_ms, end_ms, cycle_zone)]
    while pieces[-1].end_ms < end_ms:
        piece = _piece_at(tariff, usage, pieces[-1].end_ms, end_ms, cycle_zone)
        last = pieces[-1]
        if (piece.period, piece.version, piece.band) == (last.period, last.version, last.band):
            last.end_ms = piece.end_ms
            continue
        if len(pieces) == PARTS_MAX:
            raise TooManyPartsError(f"the usage crosses more than {PARTS_MAX} boundaries of bands, versions or cycles")
        pieces.append(piece)
    _share(usage, pieces, end_ms)
    pieces[-1].end_ms = max(usage.end_ms, pieces[-1].start_ms)
    return [piece for piece in pieces if piece.quantity] or pieces[:1]


def charged_until(usage: Usage) -> int:
    """Up to when the usage is laid over time: a call for as long as it is charged, messages not at all."""
    if not usage.quantity:
        return usage.start_ms
    if usage.service == "voice":
        return usage.start_ms + usage.quantity
    return usage.end_ms if usage.service == "data" else usage.start_ms


def _piece_at(tariff: Tariff, usage: Usage, start_ms: int, end_ms: int, cycle_zone: str) -> Piece:
    """The piece that starts at an instant and ends at the next boundary, or with the usage."""
    stretch = timeline(tariff, cycle_zone).at(start_ms)
    until, period, place = stretch.high_ms, stretch.period, stretch.version
    if place < 0:
        found = Found("no_rate", None, rate="", zone="", detail=f'tariff "{tariff.name}" was not in force yet')
        return Piece(start_ms, min(until, end_ms), period, "", found, None)
    found = tariff.indexes[place].find(usage)
    clock = found.pricer.clock(tariff.zone) if found.pricer else None
    band = None
    if clock is not None:
        band, _, band_until = clock.at(start_ms)
        until = min(until, band_until)
    return Piece(start_ms, min(until, end_ms), period, tariff.versions[place].name, found, band)


def _share(usage: Usage, pieces: list[Piece], end_ms: int) -> None:
    """Give each piece its quantity."""
    rest, length = usage.quantity, end_ms - usage.start_ms
    for piece in pieces[:-1]:
        piece.quantity = usage.quantity * (piece.end_ms - piece.start_ms) // length
        rest -= piece.quantity
    pieces[-1].quantity = rest
