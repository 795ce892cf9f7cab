"""What past usage would have cost by another plan as it is sold now: month by month, its allowances before money.

    1,200 messages in October by a plan of 1,000 messages at 49.00, then 0.10 each: 49.00 + 200 x 0.10 = 69.00

Usage is added in time order, of each subscriber at least; steps that carry over and tiers of a cycle then go on from
event to event as they do when usage is charged. The plan is taken as joined at the start of the first month. Its
tariff's prices of today hold throughout: an estimate is about what comes. An event counts in the month in which it
starts. What is free by tariff takes nothing from an allowance. What the plan has no price for, or refuses, is counted
by sort and is no part of the amounts.

One thing is a little simpler than charging: what rolls over does so when the first usage reaches into the next period,
so that what is used after that of the period before no longer takes from what the roll-over's maximum cut off.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from typing import Final, Literal

import msgspec

from rater.geo import country_of_mcc, country_of_number
from rater.plans.allowances import Balance, Consumed, Part, consume, grant, rolled_over
from rater.plans.calendar import Period, Periods
from rater.plans.credits import Use, use_of
from rater.plans.model import Allowance, Plan
from rater.plans.proration import to_minor_nanos
from rater.rating.rate import rate
from rater.rating.split import charged_until
from rater.rating.terms import Terms, terms_at
from rater.tariff.match import EMERGENCY
from rater.tariff.model import Tariff
from rater.tariff.numbers import NumberClasses
from schemas.shape import SHAPES_MAX, Shape, Shapes
from schemas.usage import Service, Usage

WhyNot = Literal["no_rate", "region_blocked", "not_entitled", "allowance_used_up"]
_QUANTITY: Final[dict[Service, str]] = {"data": "volume_bytes", "voice": "duration_ms", "message": "message_count"}
#: Sorts of usage without a price that are told apart.
SORTS_MAX: Final = 100


class Month(msgspec.Struct):
    """What a month came to. An event counts as covered if an allowance paid for all or a part of it."""

    start_ms: int
    events: int = 0
    covered_events: int = 0
    usage_nanos: int = 0


class Sort(msgspec.Struct, frozen=True):
    """What usage without a price looks like."""

    reason: WhyNot
    service: Service
    kind: str
    country: str
    destination_country: str


class Unpriced(msgspec.Struct):
    """How much there is of a sort; `detail` says of the first event what was looked up."""

    detail: str
    events: int = 0
    quantity: int = 0


def as_sold(tariff: Tariff, at_ms: int) -> Tariff:
    """A tariff whose prices at an instant hold for ever; itself, where it is not in force then."""
    versions = [version for version in tariff.versions if version.effective_from_ms <= at_ms]
    if not versions:
        return tariff
    return msgspec.structs.replace(tariff, versions=(msgspec.structs.replace(versions[-1], effective_from_ms=0),))


class Purse:
    """Balances of some allowances, granted period by period as usage reaches into them."""

    def __init__(self, allowances: Sequence[Allowance], plan: Plan, volume: int | None, periods: Periods) -> None:
        self._allowances = allowances
        self._plan = plan
        self._volume = volume
        self._periods = periods
        self._granted = 0
        self.balances: dict[str, Balance] = {}

    def reach(self, until_ms: int) -> None:
        """Grant what every period up to an instant grants."""
        while self._allowances and self._periods.start_ms(self._granted) <= until_ms:
            period = self._periods.period(self._granted)
            if self._granted:
                self._roll_over(period)
            for allowance in self._allowances:
                quantity = self._plan.granted_parts(allowance, self._volume)
                name = f"{allowance.name}/{period.name}"
                self.balances[name] = grant(name, allowance, period, self._periods.zone, quantity_parts=quantity)
            self._granted += 1

    def take(self, consumed: Consumed) -> None:
        """Book what was used."""
        for line in consumed.lines:
            balance = self.balances.get(line.id)
            if balance is not None:
                self.balances[line.id] = msgspec.structs.replace(balance, left_parts=line.left_parts)

    def _roll_over(self, period: Period) -> None:
        """What goes on gets its later end; what ended a period ago is dropped, as no usage to come is that old."""
        before_ms = self._periods.start_ms(period.index - 1)
        for allowance in self._allowances:
            ended = [b for b in self.balances.values() if b.allowance is allowance and b.until_ms == period.start_ms]
            self.balances |= {balance.id: balance for balance in rolled_over(ended, allowance, period)}
        self.balances = {name: balance for name, balance in self.balances.items() if balance.until_ms > before_ms}


class Holder:
    """A subscriber: its counters, and the allowances that are its own."""

    def __init__(self, purse: Purse) -> None:
        self.counters: dict[str, int] = {}
        self.purse = purse


class Estimator:
    """Adds past usage up. `bounds_ms` are the months' starts and the end of the last one."""

    def __init__(
        self, plan: Plan, tariff: Tariff, zone: str, bounds_ms: Sequence[int], *, volume: int | None, is_one: bool
    ) -> None:
        """`is_one`: the account as a whole has the plan, so all its allowances are common to its subscribers."""
        self.months = [Month(start_ms) for start_ms in bounds_ms[:-1]]
        self.unpriced: dict[Sort, Unpriced] = {}
        self.unpriced_events = 0
        self.subscribers = 0
        self._starts = bounds_ms[:-1]
        self._plan, self._tariff, self._zone, self._volume = plan, tariff, zone, volume
        self._periods = Periods(zone, bounds_ms[0], plan.billing.months, plan.billing.by)
        self._own = [allowance for allowance in plan.allowances if not (is_one or allowance.shared)]
        self._common = self._purse([allowance for allowance in plan.allowances if is_one or allowance.shared])
        #: Whether usage of all subscribers has to come in time order, and not only that of each.
        self.is_common = len(self._own) < len(plan.allowances)
        self._holders: dict[str, Holder] = {}
        self._shapes, self._numbers = Shapes(), NumberClasses([tariff])
        self._terms: dict[Shape, Terms] = {}
        self._uses: dict[Shape, Use] = {}

    def add(self, usage: Usage) -> None:
        """Take one event of a subscriber, no earlier than the one before of the same."""
        assert usage.subscriber is not None, "past usage knows its subscriber"
        month = self.months[bisect_right(self._starts, usage.start_ms) - 1]
        month.events += 1
        holder = self._holder(usage.subscriber)
        shape = self._shapes.of(usage, self._numbers.of(usage.called_number) if usage.called_number else None)
        outcome, detail = self._outcome(usage, shape, holder)
        if outcome == "free":
            return
        if outcome != "priced":
            self._leave(outcome, detail, usage)
            return
        consumed = self._consume(usage, shape, holder)
        rest = _rest(usage, consumed)
        if rest is not None and consumed is not None and self._plan.overage == "refused":
            self._leave("allowance_used_up", f"plan {self._plan.name} refuses what its allowances do not cover", usage)
            return
        amount_nanos = self._price(rest, shape, holder) if rest is not None else 0
        if amount_nanos is None:
            self._leave("no_rate", detail, usage)
            return
        if consumed is not None and consumed.lines:
            holder.purse.take(consumed)
            self._common.take(consumed)
            month.covered_events += 1
        month.usage_nanos += amount_nanos

    def fee_nanos(self) -> int:
        """A month's share of the fee of a period, of one who has the plan."""
        months = self._plan.billing.months
        return to_minor_nanos(Fraction(self._plan.fee_nanos(self._volume), months), self._tariff.currency)

    def _purse(self, allowances: Sequence[Allowance]) -> Purse:
        return Purse(allowances, self._plan, self._volume, self._periods)

    def _holder(self, subscriber: str) -> Holder:
        holder = self._holders.get(subscriber)
        if holder is None:
            self.subscribers += 1
            if not self.is_common:
                self._holders.clear()  # the one before is done
            holder = self._holders[subscriber] = Holder(self._purse(self._own))
        return holder

    def _terms_of(self, shape: Shape, start_ms: int) -> Terms:
        terms = self._terms.get(shape)
        if terms is None or not terms.low_ms <= start_ms <= terms.high_ms:
            if len(self._terms) >= SHAPES_MAX:
                self._terms.clear()
            terms = self._terms[shape] = terms_at(self._tariff, shape, start_ms, self._zone)
        return terms

    def _outcome(
        self, usage: Usage, shape: Shape, holder: Holder
    ) -> tuple[Literal["priced", "free", "region_blocked", "not_entitled"], str]:
        """Whether it may be used at all. That it has no rate matters only where no allowance covers it."""
        terms = self._terms_of(shape, usage.start_ms)
        outcome = terms.outcome
        if usage.service not in self._plan.entitlements and terms.rate_name != EMERGENCY:
            return "not_entitled", f"plan {self._plan.name} has no {usage.service}"
        if charged_until(usage) > terms.high_ms:
            outcome = rate(self._tariff, usage, holder.counters, self._zone).outcome
        if outcome == "blocked":
            return "region_blocked", ""
        return ("free" if outcome == "free" else "priced"), ""

    def _consume(self, usage: Usage, shape: Shape, holder: Holder) -> Consumed | None:
        if not self._plan.allowances or not usage.quantity:
            return None
        until_ms = charged_until(usage)
        holder.purse.reach(until_ms)
        self._common.reach(until_ms)
        balances = [*holder.purse.balances.values(), *self._common.balances.values()]
        return consume(balances, Part(self._use(usage, shape), usage.quantity, usage.start_ms, usage.end_ms))

    def _use(self, usage: Usage, shape: Shape) -> Use:
        use = self._uses.get(shape)
        if use is None:
            if len(self._uses) >= SHAPES_MAX:
                self._uses.clear()
            country = country_of_mcc(usage.mcc, usage.mnc) if usage.mcc else None
            destination = country_of_number(usage.called_number or "")
            use = self._uses[shape] = use_of(usage, self._tariff.zones, country or "", destination or "")
        return use

    def _price(self, usage: Usage, shape: Shape, holder: Holder) -> int | None:
        """What it costs after what its subscriber used before; None without a rate."""
        terms = self._terms_of(shape, usage.start_ms)
        plain = terms.rate(usage.quantity, holder.counters) if charged_until(usage) <= terms.high_ms else None
        if plain is not None:
            _, amount_nanos, _, after = plain
            holder.counters.update(zip(terms.keys, after, strict=True))
            return amount_nanos
        charge = rate(self._tariff, usage, holder.counters, self._zone)
        if charge.outcome not in ("priced", "free"):
            return None
        for use in charge.uses:
            holder.counters[use.key] = holder.counters.get(use.key, 0) + use.add
        return charge.amount_nanos

    def _leave(self, reason: WhyNot, detail: str, usage: Usage) -> None:
        self.unpriced_events += 1
        country = usage.country or (country_of_mcc(usage.mcc, usage.mnc) if usage.mcc else None)
        destination = usage.destination_country or country_of_number(usage.called_number or "")
        sort = Sort(reason, usage.service, usage.kind or "", country or "", destination or "")
        found = self.unpriced.get(sort)
        if found is None:
            if len(self.unpriced) >= SORTS_MAX:
                return
            detail = detail or rate(self._tariff, usage, {}, self._zone).reason_detail
            found = self.unpriced[sort] = Unpriced(detail)
        found.events += 1
        found.quantity += usage.quantity


def _rest(usage: Usage, consumed: Consumed | None) -> Usage | None:
    """What is left for the tariff, as one usage, so that set-up fees apply once; None if nothing is."""
    if consumed is None or not consumed.lines:
        return usage
    if not consumed.uncovered:
        return None
    first, last = consumed.uncovered[0], consumed.uncovered[-1]
    left = {_QUANTITY[usage.service]: consumed.uncovered_quantity}
    end_ms = max(first.start_ms, last.end_ms)
    return msgspec.structs.replace(usage, start_ms=first.start_ms, end_ms=end_ms, **left)
