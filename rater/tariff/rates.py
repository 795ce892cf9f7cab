"""Reads one rate of a tariff file."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final, get_args

from rater.geo import is_country
from rater.tariff.fields import Fields, read_price
from rater.tariff.model import (
    Answer,
    Band,
    IncrementScope,
    Rate,
    Schedule,
    Scope,
    Tier,
    TierMode,
    TierScope,
)
from rater.tariff.units import parse_quantity, unit_size
from schemas.usage import Direction, Service

ANSWERS: Final = get_args(Answer)
SERVICES: Final = get_args(Service)
DIRECTIONS: Final = get_args(Direction)
SCOPES: Final = get_args(Scope)
INCREMENT_SCOPES: Final = get_args(IncrementScope)
TIER_MODES: Final = get_args(TierMode)
TIER_SCOPES: Final = get_args(TierScope)


def read_rate(fields: Fields, bands: dict[str, Band]) -> Rate:
    """A rate from its fields; `bands` are the tariff's, by name.

    Raises:
        CatalogueError: a mistake, named by its field.
    """
    service: Service = fields.choice("service", SERVICES)
    kind = fields.text("kind", "") or None
    direction = fields.choice("direction", DIRECTIONS, "") or None
    where, to = fields.texts("where"), fields.texts("to")
    _check_countries(fields, where, to)
    answer: Answer = fields.choice("answer", ANSWERS, "priced")
    per = fields.text("per", "message" if service == "message" else "" if answer != "priced" else None)
    scope: Scope = fields.choice("scope", SCOPES, "event")
    first, following, increment_scope = _increments(fields, service, scope)
    rate = Rate(
        name=fields.text("name", default_name(service, kind, direction, where, to)),
        service=service,
        kind=kind,
        direction=direction,
        where=where,
        to=to,
        answer=answer,
        per=per,
        unit=_unit(fields, per, service),
        prices=_schedule(fields, service, is_required=answer == "priced"),
        bands=_bands(fields, service, bands),
        setup=fields.price("setup") or Fraction(0),
        minimum_quantity=fields.read("minimum_quantity", lambda text: parse_quantity(text, service), 0),
        minimum=fields.price("minimum") or Fraction(0),
        maximum=fields.price("maximum"),
        first=first,
        next=following,
        increment_scope=increment_scope,
        scope=scope,
        tier_mode=fields.choice("tier_mode", TIER_MODES, "graduated"),
        tier_scope=fields.choice("tier_scope", TIER_SCOPES, "event"),
        tax_category=fields.text("tax_category", ""),
    )
    fields.done()
    _check_sense(fields, rate)
    return rate


def _check_countries(fields: Fields, where: tuple[str, ...], to: tuple[str, ...]) -> None:
    for name, places in (("where", where), ("to", to)):
        for place in places:
            if len(place) == 2 and place.isalpha() and place.isupper() and not is_country(place):
                raise fields.wrong(name, f'"{place}" is no ISO 3166-1 alpha-2 country')


def _check_sense(fields: Fields, rate: Rate) -> None:
    """Fields that contradict each other."""
    if rate.maximum is not None and rate.maximum < rate.minimum:
        raise fields.wrong("maximum", "is less than the minimum")
    if rate.increment_scope == "carry-over" and rate.minimum_quantity:
        raise fields.wrong("minimum_quantity", "has no meaning with carried-over increments")
    if rate.answer == "free" and (rate.prices or rate.bands or rate.setup or rate.minimum):
        raise fields.wrong("answer", "a free rate has no price")
    if rate.prices and not rate.per:
        raise fields.wrong("per", "is required with a price")
    if not rate.prices and (rate.bands or rate.setup or rate.minimum):
        raise fields.wrong("price", "is required with bands, a set-up fee or a minimum")


def _unit(fields: Fields, per: str, service: Service) -> int:
    if not per:
        return 1
    try:
        return unit_size(per, service)
    except ValueError as error:
        raise fields.wrong("per", error) from None


def default_name(
    service: str, kind: str | None, direction: str | None, where: tuple[str, ...], to: tuple[str, ...]
) -> str:
    """A rate's name if it has none of its own: "data/eu", "voice/eu>+4915", "voice.incoming", "message.sms"."""
    name = ".".join(part for part in (service, kind, direction if direction == "incoming" else None) if part)
    places = ",".join(where)
    if to:
        return f"{name}/{places}>{','.join(to)}" if places else f"{name}/{','.join(to)}"
    return f"{name}/{places}" if places else name


def _schedule(fields: Fields, service: Service, *, is_required: bool) -> Schedule:
    """The prices: `price`, or `tiers`."""
    price, tiers = fields.price("price"), fields.list("tiers")
    if price is not None and tiers:
        raise fields.wrong("price", "a rate has a price or tiers, not both")
    if price is not None:
        return (Tier(None, price),)
    if not tiers:
        if is_required:
            raise fields.wrong("price", "is required (or tiers)")
        return ()
    found, below = [], 0
    for place, (value, path) in enumerate(tiers):
        tier = Fields(value, path)
        up_to = tier.read("up_to", lambda text: parse_quantity(text, service), None)
        tier_price = tier.price("price")
        tier.done()
        if tier_price is None:
            raise tier.wrong("price", "is required")
        if (up_to is None) != (place == len(tiers) - 1):
            raise tier.wrong("up_to", "every tier but the last has an up_to, and the last has none")
        if up_to is not None and up_to <= below:
            raise tier.wrong("up_to", "bounds must rise from tier to tier")
        below = up_to or below
        found.append(Tier(up_to, tier_price))
    return tuple(found)


def _bands(fields: Fields, service: Service, bands: dict[str, Band]) -> tuple[tuple[Band, Schedule], ...]:
    value = fields.take("bands")
    if value is None:
        return ()
    names = Fields(value, f"{fields.path}.bands")
    for name in value:
        if name not in bands:
            raise fields.wrong(f"bands.{name}", "the tariff declares no such band")
    found = [(bands[name], _band_schedule(names, name, service)) for name in bands if name in value]
    return tuple(found)


def _band_schedule(names: Fields, name: str, service: Service) -> Schedule:
    def read(value: Any) -> Schedule:
        if isinstance(value, dict):
            inner = Fields(value, f"{names.path}.{name}")
            schedule = _schedule(inner, service, is_required=True)
            inner.done()
            return schedule
        return (Tier(None, read_price(value)),)

    return names.read(name, read, ())


def _increments(fields: Fields, service: Service, scope: Scope) -> tuple[int, int, IncrementScope]:
    """(first, next, scope): of `100 kB`, of `[60 s, 1 s]` or of the fields first, next, scope."""
    value = fields.take("increments")
    if value is None:
        return 1, 1, scope
    if isinstance(value, str):
        value = {"next": value}
    elif isinstance(value, list) and len(value) == 2:
        value = {"first": value[0], "next": value[1]}
    inner = Fields(value, f"{fields.path}.increments")
    following = inner.read("next", lambda text: parse_quantity(text, service), 0)
    first = inner.read("first", lambda text: parse_quantity(text, service), following)
    increment_scope: IncrementScope = inner.choice("scope", INCREMENT_SCOPES, scope)
    inner.done()
    if first <= 0 or following <= 0:
        raise inner.wrong("next", "is required, and a step is more than nothing")
    if increment_scope == "carry-over" and first != following:
        raise inner.wrong("first", "has no meaning with carry-over")
    return first, following, increment_scope
