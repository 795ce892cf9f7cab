"""Past usage rated with another plan, for whoever asks: an estimate, a preview of a change, a migration.

The usage comes from the ledger in pages and is rated by the pure functions as it comes, so memory is that of a page and
of one SIM's counters (of every SIM's, where they share an allowance). Between few events others get their turn.
"""

from __future__ import annotations

import asyncio
from fractions import Fraction
from typing import Final, NamedTuple, Protocol

from rater.catalogue import Catalogue
from rater.errors import RaterError
from rater.plans.calendar import month_end_ms
from rater.plans.estimate import Estimator, as_sold
from rater.plans.model import Plan
from rater.plans.proration import to_minor_nanos
from rater.tariff.model import Tariff
from streams.clickhouse.past_usage import Whose, past_usage_count, past_usage_page, usage_of
from streams.clickhouse.server import ClickHouse

#: Of one estimate: what is read and rated well within the time that a call may take. 200,000 took 12 s to read from the
#: embedded engine and 2 s to rate, on two shared cores.
EVENTS_MAX: Final = 200_000
PAGE: Final = 10_000
#: Rated between two turns of others: about two milliseconds.
TURN: Final = 200


class TooMuchUsageError(RaterError):
    """There is more usage than an estimate takes."""


class Books(Protocol):
    """Where usage and prices are found."""

    @property
    def clickhouse(self) -> ClickHouse:
        """The ledger."""

    @property
    def catalogue(self) -> Catalogue:
        """Tariffs and plans."""


class PastCost(NamedTuple):
    """What past usage would have cost. `bounds_ms`: where the months begin, and where the last ends."""

    plan: Plan
    tariff: Tariff
    estimator: Estimator
    bounds_ms: list[int]
    events: int

    def total_nanos(self, holders: int) -> int:
        """All the months, where so many have the plan and pay its fee."""
        months = self.estimator.months
        return len(months) * holders * self.estimator.fee_nanos() + sum(month.usage_nanos for month in months)

    def mean_nanos(self, holders: int) -> int:
        """A month, half-up to the minor unit."""
        exact = Fraction(self.total_nanos(holders), len(self.estimator.months))
        return to_minor_nanos(exact, self.tariff.currency)


async def past_cost(
    books: Books, whose: Whose, plan: Plan, volume: int | None, *, months: int, now_ms: int, is_one: bool = False
) -> PastCost:
    """The usage of the last whole months (in the plan's zone), by a plan as it is sold now.

    Raises:
        TooMuchUsageError: there is more than `EVENTS_MAX`.
    """
    bounds_ms = [month_end_ms(plan.zone, now_ms, -before) for before in range(months, -1, -1)]
    whose = whose._replace(from_ms=bounds_ms[0], until_ms=bounds_ms[-1])
    events = await past_usage_count(books.clickhouse, whose)
    if events > EVENTS_MAX:
        raise TooMuchUsageError(f"{events} events in these months; an estimate takes {EVENTS_MAX}")
    tariff = as_sold(books.catalogue.tariff(plan.tariff), now_ms)
    estimator = Estimator(plan, tariff, plan.zone, bounds_ms, volume=volume, is_one=is_one)
    place, more = None, events > 0
    while more:
        rows, place = await past_usage_page(books.clickhouse, whose, PAGE, place, by_time=estimator.is_common)
        for number, row in enumerate(rows):
            estimator.add(usage_of(whose.tenant, row))
            if number % TURN == TURN - 1:
                await asyncio.sleep(0)
        more = place is not None
    return PastCost(plan, tariff, estimator, bounds_ms, events)
