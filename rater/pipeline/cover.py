"""What allowances give of an event, and the charge that comes of it: their parts, and the tariff's for the rest.

The verdict keeps it, so that the record can be rebuilt when the grants are long gone. Of a usage of 10 minutes with 4
left in "minutes", 4 are given and 6 are rated as one usage, from the time at which the allowance was used up.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Final

import msgspec

from rater.plans.allowances import Balance, Consumed
from rater.rating.charge import Charge, ChargePart, Outcome
from rater.rating.explain import number_text
from rater.rating.rate import rate
from rater.rating.timeline import cycle_at
from rater.tariff.model import Tariff
from schemas.usage import Service, Usage

_ONE: Final[dict[Service, str]] = {"data": "byte", "voice": "ms", "message": "message"}
_QUANTITY: Final = {"data": "volume_bytes", "voice": "duration_ms", "message": "message_count"}


class Given(msgspec.Struct, frozen=True, array_like=True):
    """What one allowance gave: base units of usage for parts of it, and what it has left."""

    name: str
    quantity: int
    parts: int
    left_parts: int
    #: Parts of a credit; 1 where it is counted in base units.
    per: int
    start_ms: int


class Cover(msgspec.Struct, frozen=True, array_like=True):
    """The plan an event falls under, what its allowances gave, and the rest: quantity, from when, until when."""

    plan: str
    given: tuple[Given, ...] = ()
    rest: tuple[int, int, int] | None = None


pack = msgspec.msgpack.Encoder().encode
unpack = msgspec.msgpack.Decoder(Cover).decode


def cover_of(plan: str, balances: Mapping[str, Balance], consumed: Consumed) -> Cover:
    """What the allowances gave, as it is kept. What none gave is rated as one usage: set-up fees apply once."""
    given = tuple(
        Given(
            balances[line.id].allowance.name, line.quantity, line.parts, line.left_parts,
            balances[line.id].allowance.parts_per_credit, line.at_ms,
        )
        for line in consumed.lines
    )  # fmt: skip
    uncovered = consumed.uncovered
    if not uncovered:
        return Cover(plan, given)
    return Cover(plan, given, (consumed.uncovered_quantity, uncovered[0].start_ms, uncovered[-1].end_ms))


def charge_of(
    cover: Cover, outcome: Outcome, tariff: Tariff, usage: Usage, counters: Mapping[str, int], zone: str
) -> Charge:
    """The charge: what the allowances gave costs nothing, the rest what the tariff says."""
    rest = Charge(outcome, tariff.currency, 0, ())
    if cover.rest is not None:
        rest = rate(tariff, _rest_of(usage, *cover.rest), counters, zone)
        if rest.outcome == "no_rate":
            return rest
    parts = sorted([*(_part(given, usage, zone) for given in cover.given), *rest.parts], key=lambda part: part.start_ms)
    return Charge(rest.outcome, rest.currency, rest.amount_nanos, tuple(parts), rest.uses, rest.reason_detail)


def _rest_of(usage: Usage, quantity: int, start_ms: int, end_ms: int) -> Usage:
    return msgspec.structs.replace(
        usage, **{_QUANTITY[usage.service]: quantity, "start_ms": start_ms, "end_ms": max(start_ms, end_ms)}
    )


def _part(given: Given, usage: Usage, zone: str) -> ChargePart:
    return ChargePart(
        given.start_ms, usage.end_ms, cycle_at(zone, given.start_ms)[2], "", rate_of(given), "",
        given.quantity, given.quantity, 0, "", (words_of(given, usage.service),), given.name, given.parts,
        given.left_parts,
    )  # fmt: skip


def rate_of(given: Given) -> str:
    """What a record says instead of a rate."""
    return f"allowance/{given.name}"


def words_of(given: Given, service: Service) -> str:
    """The explanation, the same for all usage of a sort: by which allowance, and for credits what a unit costs."""
    if given.per == 1 and given.parts == given.quantity:
        return f"by allowance {given.name}"
    cost = Fraction(given.parts, given.per * given.quantity)
    return f"by allowance {given.name} at {number_text(cost)} credits per {_ONE[service]}"
