"""A slow account of what the rules charge, on days and months of the calendar, without anything of the engine's.

Plans are billed to month ends from their assignment; a first period costs its whole fee, a change the days after it.
Numbers are add-ons at 2 a month and 1 up front, two weeks on hold; bundles cost 3 once.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/Berlin")
TWO_WEEKS_MS = 14 * 86_400_000
CENT = Decimal("0.01")


class Terms:
    """A plan: what a month costs, and whether the days after a change are given back by it."""

    def __init__(self, fee: int, *, refunds: bool = False) -> None:
        self.fee = Decimal(fee)
        self.refunds = refunds


class Number:
    """A number that was ordered."""

    def __init__(self, order: str) -> None:
        self.order = order
        self.held_ms: int | None = None


class Account:
    """What an account has, and every amount that was taken from it or given back, with when."""

    def __init__(self, plans: dict[str, Terms], balance: int) -> None:
        self.plans = plans
        self.balance = Decimal(balance)
        self.fees: list[tuple[int, Decimal]] = []
        self.plan = ""
        self.planned = ""
        self.is_paid = False
        self.paid = Decimal(0)
        self.numbers: list[Number] = []
        self.now_ms = 0

    def pay(self, at_ms: int, amount: Decimal) -> bool:
        if amount > 0 and amount > self.balance:
            return False
        self.balance -= amount
        if amount:
            self.fees.append((at_ms, amount))
        return True

    def month(self, at_ms: int) -> None:
        """A month of the present plan is paid, or it is not."""
        fee = self.plans[self.plan].fee
        self.is_paid = self.pay(at_ms, fee)
        self.paid = fee if self.is_paid else Decimal(0)

    def join(self, plan: str, at_ms: int) -> None:
        self.plan, self.now_ms = plan, at_ms
        self.month(at_ms)

    def go(self, until_ms: int) -> None:
        """All that time brings."""
        while True:
            starts_ms = next_month_ms(self.now_ms)
            ends = [number.held_ms + TWO_WEEKS_MS for number in self.numbers if number.held_ms is not None]
            at_ms = min([starts_ms, *ends])
            if at_ms > until_ms:
                break
            if at_ms == starts_ms:
                self.now_ms = at_ms
                self.turn(at_ms)
            self.numbers = [one for one in self.numbers if one.held_ms is None or one.held_ms + TWO_WEEKS_MS > at_ms]
        self.now_ms = max(self.now_ms, until_ms)

    def turn(self, at_ms: int) -> None:
        """A month begins: the planned plan, its fee, then the numbers in the order in which they were bought."""
        self.paid = Decimal(0)
        if self.planned:
            self.plan, self.planned = self.planned, ""
            self.month(at_ms)
        elif self.is_paid:
            self.month(at_ms)
        for number in self.numbers:
            if number.held_ms is None and not (self.is_paid and self.pay(at_ms, Decimal(2))):
                number.held_ms = at_ms

    def refill(self, amount: int, at_ms: int) -> None:
        self.balance += amount
        if not self.is_paid:
            self.month(at_ms)
        for number in self.numbers:
            if self.is_paid and number.held_ms is not None and self.pay(at_ms, Decimal(2)):
                number.held_ms = None

    def change(self, plan: str, at_ms: int) -> None:
        """Upwards at once, down with the next month."""
        old, new = self.plans[self.plan], self.plans[plan]
        if plan == self.plan:
            return
        if new.fee < old.fee:
            self.planned = plan
            return
        fee, back = self.share(new.fee, at_ms), Decimal(0)
        if old.refunds:
            back = min(self.paid, days_after(old.fee, at_ms))
        if self.pay(at_ms, fee - back):
            self.plan, self.planned, self.is_paid, self.paid = plan, "", True, fee

    @staticmethod
    def share(fee: Decimal, at_ms: int) -> Decimal:
        moment = local(at_ms)
        is_start = (moment.day, moment.hour, moment.minute, moment.second, at_ms % 1000) == (1, 0, 0, 0, 0)
        return fee if is_start else days_after(fee, at_ms)

    def buy(self, name: str, order: str, at_ms: int) -> None:
        if self.is_paid and self.pay(at_ms, Decimal(3)) and name == "number":
            self.numbers.append(Number(order))

    def release(self, order: str) -> None:
        self.numbers = [number for number in self.numbers if number.order != order]


def local(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms // 1000, ZONE)


def days_after(fee: Decimal, at_ms: int) -> Decimal:
    moment = local(at_ms)
    days = monthrange(moment.year, moment.month)[1]
    return (fee * (days - moment.day) / days).quantize(CENT, ROUND_HALF_UP)


def next_month_ms(at_ms: int) -> int:
    moment = local(at_ms)
    year, month = (moment.year, moment.month + 1) if moment.month < 12 else (moment.year + 1, 1)
    return int(datetime(year, month, 1, tzinfo=ZONE).timestamp()) * 1000
