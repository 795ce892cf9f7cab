"""Random tariffs, usage and counters: small numbers, so that bounds and steps are met often."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import msgspec
from hypothesis import strategies as st

from rater.rating.rate import rate as rate_usage
from rater.tariff.model import Band, Rate, Schedule, Tariff, Tier, Version
from schemas.usage import Usage
from tests.rater.rating.building import unix_ms

ZONE = "Europe/Berlin"
UNITS = {"data": ("MB", 10**6), "voice": ("min", 60_000), "message": ("message", 1)}
#: Around the night of 2026-10-25, when Berlin's clocks go back, and the end of the month after it.
STARTS = (unix_ms("2026-10-24T20:00:00Z"), unix_ms("2026-10-31T22:58:00Z"), unix_ms("2026-10-20T05:59:00Z"))
PEAK = Band("peak", 8 * 60, 20 * 60, frozenset(range(5)))
NIGHT = Band("night", 22 * 60, 2 * 60 + 30, frozenset(range(7)))
BANDS = ((PEAK, (Tier(None, Fraction(2)),)), (NIGHT, (Tier(1_000, Fraction(1)), Tier(None, Fraction(1, 3)))))

prices = st.integers(0, 5_000).map(lambda mills: Fraction(mills, 1_000))
#: Prices that make a whole number of nanos of each byte and millisecond, so that no rounding is seen.
even_prices = st.integers(0, 50).map(lambda cents: Fraction(cents * 6, 100))
amounts = st.integers(0, 300).map(lambda cents: Fraction(cents, 100))
steps = st.sampled_from([1, 10, 1_000, 7_000, 60_000, 100_000])


@st.composite
def schedules(draw: st.DrawFn, price: st.SearchStrategy[Fraction] = prices) -> Schedule:
    """One to three tiers."""
    bounds = sorted(draw(st.sets(st.integers(1, 400_000), max_size=2)))
    return (*(Tier(bound, draw(price)) for bound in bounds), Tier(None, draw(price)))


@st.composite
def rates(draw: st.DrawFn, service: str) -> Rate:
    """A rate of a service with any mixture of features."""
    per, unit = UNITS[service]
    scope = draw(st.sampled_from(["event", "session"]))
    increment_scope = draw(st.sampled_from(["event", "session", "carry-over"]))
    following = draw(steps)
    first = following if increment_scope == "carry-over" else draw(steps)
    minimum = draw(st.just(Fraction(0)) | amounts)
    fields: dict[str, Any] = {
        "prices": draw(schedules()),
        "setup": draw(st.just(Fraction(0)) | amounts),
        "minimum": minimum,
        "maximum": draw(st.none() | amounts.map(lambda amount: minimum + amount)),
        "minimum_quantity": 0 if increment_scope == "carry-over" else draw(st.sampled_from([0, 0, 1, 30_000])),
        "tier_mode": draw(st.sampled_from(["graduated", "volume"])),
        "tier_scope": draw(st.sampled_from(["event", "cycle"])),
        "bands": draw(st.sampled_from([(), BANDS])),
    }
    return Rate(
        name="r", service=service, per=per, unit=unit, first=first, next=following, increment_scope=increment_scope,
        scope=scope, **fields,
    )  # fmt: skip


@st.composite
def plain_rates(draw: st.DrawFn, service: str) -> Rate:
    """A rate whose charge is a closed formula."""
    per, unit = UNITS[service]
    carried = draw(st.booleans())
    following = draw(steps)
    return Rate(
        name="r", service=service, per=per, unit=unit, prices=draw(schedules()), next=following,
        first=following if carried else draw(steps), increment_scope="carry-over" if carried else "event",
        setup=draw(st.just(Fraction(0)) | amounts), bands=draw(st.sampled_from([(), BANDS])),
        tier_mode=draw(st.sampled_from(["graduated", "volume"])), tier_scope=draw(st.sampled_from(["event", "cycle"])),
    )  # fmt: skip


def tariff_of(*versions: tuple[str, Rate], rounding: Any = "half-up", precision_nanos: int = 1) -> Tariff:
    """A tariff with one rate in each version; versions are given by when they take effect."""
    return Tariff(
        name="random", currency="EUR", zone=ZONE, zones={}, rounding=rounding, precision_nanos=precision_nanos,
        versions=tuple(Version(f"v{number}", unix_ms(at), (rate,)) for number, (at, rate) in enumerate(versions)),
    )  # fmt: skip


@st.composite
def tariffs(draw: st.DrawFn, service: str, rate: Any = rates) -> Tariff:
    """One or two versions; the second takes effect in the middle of what is rated."""
    versions = [("2026-01-01T00:00:00Z", draw(rate(service)))]
    if draw(st.booleans()):
        versions.append((draw(st.sampled_from(["2026-10-25T00:30:00Z", "2026-10-31T23:01:00Z"])), draw(rate(service))))
    rounding = draw(st.sampled_from(["up", "down", "half-up", "half-even"]))
    return tariff_of(*versions, rounding=rounding, precision_nanos=draw(st.sampled_from([1, 10_000_000])))


def usage_of(service: str, quantity: int, start_ms: int, length_ms: int = 0, session: str | None = None) -> Usage:
    """A usage in Germany; a call lasts as long as its quantity."""
    field = {"data": "volume_bytes", "voice": "duration_ms", "message": "message_count"}[service]
    end_ms = start_ms + (quantity if service == "voice" else length_ms)
    return Usage(
        "t", "random", "1", service, start_ms, end_ms, country="DE", session_id=session, **{field: quantity},
    )  # type: ignore[arg-type]  # fmt: skip


@st.composite
def usages(draw: st.DrawFn, service: str) -> Usage:
    """A usage that may cross bands, versions, clock changes and months."""
    start_ms = draw(st.sampled_from(STARTS)) + draw(st.integers(0, 6 * 3_600_000))
    quantity = draw(st.integers(0, 400_000) | st.integers(0, 20_000_000))
    length_ms = draw(st.sampled_from([0, 60_000, 3_600_000, 12 * 3_600_000]))
    return usage_of(service, quantity, start_ms, length_ms, draw(st.sampled_from([None, "s1"])))


@st.composite
def cases(draw: st.DrawFn, rate: Any = rates) -> tuple[Tariff, Usage, dict[str, int]]:
    """A tariff, a usage of it, and values for the counters it asks for."""
    service = draw(st.sampled_from(["data", "voice", "message"]))
    tariff, usage = draw(tariffs(service, rate)), draw(usages(service))
    return tariff, usage, draw(counters_of(tariff, usage, ZONE))


@st.composite
def counters_of(draw: st.DrawFn, tariff: Tariff, usage: Usage, cycle_zone: str) -> dict[str, int]:
    """Values for the counters that a usage asks for."""
    keys = [use.key for use in rate_usage(tariff, usage, {}, cycle_zone).uses]
    values = st.integers(0, 500_000) | st.sampled_from(sorted(_edges(tariff)))
    return {key: draw(values) for key in keys}


def _edges(tariff: Tariff) -> set[int]:
    """Where something changes: the bounds of tiers and the ends of steps, and one before and after them."""
    edges = {0}
    for version in tariff.versions:
        for rate in version.rates:
            edges |= {rate.next, 2 * rate.next, *(tier.up_to or 0 for tier in rate.prices)}
    return {max(0, edge + near) for edge in edges for near in (-1, 0, 1)}


@st.composite
def placed_cases(draw: st.DrawFn, rate: Any = rates) -> tuple[Tariff, Usage]:
    """A tariff whose rates hold for a zone, a network or anywhere, and a usage in one of two networks, or of none."""
    service = draw(st.sampled_from(["data", "voice", "message"]))
    tariff, usage = draw(tariffs(service, rate)), draw(usages(service))
    where = draw(st.sampled_from([(), ("home",), ("262-01",), ("home", "208-01")]))
    versions = [
        msgspec.structs.replace(version, rates=(msgspec.structs.replace(version.rates[0], where=where),))
        for version in tariff.versions
    ]
    mcc, mnc = draw(st.sampled_from([("262", "01"), ("262", "02"), ("208", "01"), (None, None)]))
    return (
        msgspec.structs.replace(tariff, versions=tuple(versions), zones={"home": ("DE",)}),
        msgspec.structs.replace(usage, country=None if mcc else "DE", mcc=mcc, mnc=mnc),
    )
