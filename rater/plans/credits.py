"""What usage costs in credits, by an allowance's table: exact, in whole parts of a credit.

The first line of the table that matches answers. An email at 1 credit and an SMS to India at 5/2 have halves as their
common part, so 10,000 credits are 20,000 parts, an email costs 2 and the SMS 5: nothing is ever rounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import msgspec

from rater.plans.model import Allowance, Match
from schemas.shape import Shaped
from schemas.usage import Direction, Service


class Use(msgspec.Struct, frozen=True):
    """What decides whether an allowance is for a usage. A place is known by all its names: network, country, zones."""

    service: Service
    kind: str = ""
    direction: Direction = "outgoing"
    where: frozenset[str] = frozenset()
    to: frozenset[str] = frozenset()


def use_of(usage: Shaped, zones: Mapping[str, tuple[str, ...]], country: str = "", destination: str = "") -> Use:
    """A usage as allowances see it, by the zones of its tariff.

    `country` and `destination` are where the subscriber is and where it goes, as rating found them where the event
    itself does not say.
    """
    network = {f"{usage.mcc}-{usage.mnc}"} if usage.mcc and usage.mnc else set()
    return Use(
        service=usage.service,
        kind=usage.kind or "",
        direction=usage.direction,
        where=frozenset(network) | names_of(usage.country or country, zones),
        to=names_of(usage.destination_country or destination, zones),
    )


def names_of(country: str, zones: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """A country and all zones it is in; nothing for an unknown one."""
    if not country:
        return frozenset()
    return frozenset({country, *(zone for zone, countries in zones.items() if country in countries)})


def matches(match: Match, use: Use) -> bool:
    """Whether something is for a usage. A usage whose place is not known is only for what is for any place."""
    return (
        (not match.services or use.service in match.services)
        and (not match.kinds or use.kind in match.kinds)
        and (match.direction is None or use.direction == match.direction)
        and (not match.where or not use.where.isdisjoint(match.where))
        and (not match.to or not use.to.isdisjoint(match.to))
    )


def cost_parts(allowance: Allowance, use: Use) -> int | None:
    """What one base unit (byte, millisecond, message) takes from the allowance; None if it is not for this usage."""
    if not matches(allowance.match, use):
        return None
    if allowance.unit != "credits":
        return 1
    for cost in allowance.costs:
        if matches(cost.match, use):
            return int(cost.credits * allowance.parts_per_credit)
    return None


def covers(allowance: Allowance, left_parts: int, use: Use) -> int | None:
    """The calculator: how many messages (bytes, milliseconds) the credits buy; None if they buy none of this sort."""
    cost = cost_parts(allowance, use)
    return None if cost is None else max(0, left_parts) // cost


def credits_of(allowance: Allowance, parts: int) -> Fraction:
    """Parts as what people see: credits, or the base units themselves."""
    return Fraction(parts, allowance.parts_per_credit)


def carried_parts(parts: int, before: Allowance, after: Allowance) -> int:
    """What is left, in parts of another version's table. What is less than one of its parts is lost."""
    if before.unit != after.unit:
        return 0
    return parts * after.parts_per_credit // before.parts_per_credit
