"""A wallet and a subscriber in memory, on which steps are carried out as the wallet's call does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from rater.money import NANOS, format_nanos, parse_nanos
from rater.plans.calendar import local
from rater.plans.life import Saying, Step, Subscription, View, balances, begin, first_usage, next_step, wake
from rater.plans.life.state import HOLDS
from rater.plans.model import Allowance, Match, Plan
from rater.plans.terms import Billing, Recurring

ZONE = "Europe/Berlin"
MIN = 60_000


def plan(name: str = "p", fee: str = "12", **fields: Any) -> Plan:
    """A plan paid from a wallet, to month ends."""
    recurring = Recurring(parse_nanos(fee)) if fee != "0" else None
    usual = {"currency": "EUR", "recurring": recurring, "billing": Billing()}
    return Plan(name, fields.pop("version", "1"), fields.pop("since", 0), "world",
                fields.pop("settlement", "prepaid"), ZONE, **usual | fields)  # fmt: skip


def minutes(quantity: int = 100, name: str = "minutes", **fields: Any) -> Allowance:
    return Allowance(name, "ms", quantity * MIN, Match(services=frozenset({"voice"})), **fields)


class Desk:
    """What a wallet has, and the one subscriber it pays for."""

    def __init__(self, plans: Iterable[Plan], balance: str = "100") -> None:
        self.plans = sorted(plans, key=lambda one: one.effective_from_ms)
        self.balance = parse_nanos(balance)
        self.floor = 0
        self.used: dict[str, int] = {}
        self.sub: Subscription | None = None
        self.holds: frozenset[str] = frozenset()
        self.steps: list[Step] = []
        #: (step, when, fee), of what was charged or given back.
        self.fees: list[tuple[str, int, str]] = []
        self.said: list[Saying] = []

    @property
    def now(self) -> Subscription:
        assert self.sub is not None
        return self.sub

    @property
    def view(self) -> View:
        return View(self.plan, self.version, dict(self.used), self.balance - self.floor, self.until)

    def plan(self, name: str, at_ms: int) -> Plan | None:
        return next((one for one in reversed(self.plans) if one.name == name and one.effective_from_ms <= at_ms), None)

    def version(self, name: str, version: str) -> Plan | None:
        return next((one for one in self.plans if (one.name, one.version) == (name, version)), None)

    def until(self, name: str, at_ms: int) -> int | None:
        later = (one.effective_from_ms for one in self.plans if one.name == name and one.effective_from_ms > at_ms)
        return min(later, default=None)

    def make(self, step: Step) -> bool:
        """Carry a step out; False if it is refused."""
        before = self.sub
        floor = self.floor if step.floor_nanos is None else step.floor_nanos
        is_paid = step.fee_nanos <= 0 or self.balance - step.fee_nanos >= floor
        outcome = step.paid if is_paid else step.unpaid
        if outcome is None:
            return False
        assert outcome.subscription.n == (before.n if before else 0) + 1
        assert outcome.holds == HOLDS[outcome.subscription.status]
        if is_paid and step.fee_nanos:
            self.balance -= step.fee_nanos
            self.fees.append((step.name, step.at_ms, format_nanos(step.fee_nanos)))
        self.floor, self.sub, self.holds = floor, outcome.subscription, outcome.holds
        self.steps.append(step)
        self.said += outcome.sayings
        return True

    def begin(self, name: str, at_ms: int, volume: int | None = None) -> None:
        assert self.make(begin(self.sub, name, at_ms, ZONE, volume, self.view))

    def catch_up(self, at_ms: int) -> list[str]:
        """All that is due by then; the names of the steps."""
        names = []
        while step := next_step(self.now, at_ms, self.view):
            assert step.at_ms == self.now.due_ms, "what is due by time is what the step does"
            assert step == next_step(self.now, at_ms, self.view), "the same from the same"
            names.append(step.name)
            self.make(step)
            assert len(names) < 1_000
        assert self.now.due_ms is None or self.now.due_ms > at_ms
        return names

    def use(self, at_ms: int) -> None:
        """A usage, as far as its steps go."""
        self.catch_up(at_ms)
        if self.now.first_usage_ms is None and self.now.status == "active":
            self.make(first_usage(self.now, at_ms, self.view))

    def take(self, parts: int, at_ms: int) -> int:
        """Use allowances at an instant; how much they gave."""
        taken = 0
        for balance in sorted(balances(self.now, self.view), key=lambda one: one.order):
            if balance.from_ms <= at_ms < balance.until_ms and taken < parts:
                some = min(balance.left_parts, parts - taken)
                self.used[balance.id] = self.used.get(balance.id, 0) + some
                taken += some
        return taken

    def refill(self, amount: str, at_ms: int) -> list[str]:
        """Money comes, and what waited for it tries again."""
        self.catch_up(at_ms)
        self.balance += parse_nanos(amount)
        names = []
        while step := wake(self.now, at_ms, self.view):
            names.append(step.name)
            assert self.make(step), "it is tried only where the wallet has the fee"
        return names

    def left(self, at_ms: int) -> dict[str, int]:
        """Minutes left at an instant, by allowance."""
        found: dict[str, int] = {}
        for one in balances(self.now, self.view):
            if one.from_ms <= at_ms < one.until_ms:
                found[one.allowance.name] = found.get(one.allowance.name, 0) + one.left_parts // MIN
        return found

    def sayings(self, kind: str) -> list[dict[str, Any]]:
        return [saying.data for saying in self.said if saying.type == kind]

    def charged(self) -> list[tuple[str, str, str]]:
        """(step, day, fee) of all that was charged."""
        return [(name, local(ZONE, at_ms).strftime("%m-%d"), fee) for name, at_ms, fee in self.fees]


Stepper = Callable[[Subscription, int, View], Step | None]
UNIT = NANOS
