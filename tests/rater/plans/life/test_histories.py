"""Whatever happens to a subscriber: the fees are those of the rules, none twice, and no allowance out of nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from rater.money import NANOS
from rater.plans.change import preview_change
from rater.plans.life import (
    Step,
    account_of,
    auto_pay,
    buy,
    cancel,
    change,
    needs_step,
    next_step,
    release,
    schedule,
    wake,
)
from rater.plans.model import AddOn, Capacity, Expiry, Plan, RollOver
from rater.plans.terms import Billing, Joining, Leaving, ProrationTerms, Recurring, Start, Timing, Validity
from tests.rater.plans.life.building import MIN, UNIT, Desk, minutes, plan
from tests.rater.plans.life.model import Account, Terms
from tests.rater.plans.test_calendar import at

HOUR_MS = 3_600_000
FAR_MS = at("2060-01-01 00:00")
NUMBER = AddOn("number", 2 * UNIT, UNIT, recurring=True, hold_days=14, capacity=Capacity(numbers=1))
BUNDLE = AddOn("bundle", 3 * UNIT, allowances=(minutes(30, "bundle", expiry=Expiry("months", 3)),))
ADDONS = (NUMBER, BUNDLE)


class Careful(Desk):
    """A desk that looks at every step it makes."""

    def __init__(self, plans: list[Plan], balance: str) -> None:
        super().__init__(plans, balance)
        self.paid_for: set[tuple[int, int]] = set()
        self.ids: set[str] = set()
        #: How often a plan was joined.
        self.joins = 0

    def make(self, step: Step) -> bool:
        before, view = self.sub, self.view
        had = {grant.id: grant for grant in before.grants} if before is not None else {}
        if not super().make(step):
            assert self.sub == before
            return False
        after = self.now
        self.joins += step.name in ("begin", "change", "migrate")
        renewed = [said for said in self.said if said.type in ("plan.renewed", "addon.renewed", "addon.bought")]
        self.said.clear()
        for said in renewed:
            if said.type == "plan.renewed":
                period = (self.joins, said.data["from_ms"])
                assert period not in self.paid_for, "no period of a plan is begun twice"
                self.paid_for.add(period)
        new = [grant for grant in after.grants if grant.id not in had]
        assert not {grant.id for grant in new} & self.ids, "an id is never used again"
        assert len({grant.id for grant in after.grants}) == len(after.grants)
        assert not new or renewed, "what is granted was paid for"
        assert len({(grant.order, grant.name) for grant in new}) == len(new), "each allowance once"
        self.ids |= {grant.id for grant in new}
        for grant in after.grants:
            assert grant.granted_parts + grant.used_before_parts >= self.used.get(grant.id, 0), "none is negative"
            if grant.id in had:
                assert grant.left_parts(view.used) <= had[grant.id].left_parts(view.used), "what is kept does not grow"
        self.look_ahead()
        return True

    def look_ahead(self) -> None:
        """What is due by time is known, and nothing is before it."""
        due_ms = self.now.due_ms
        step = next_step(self.now, FAR_MS, self.view)
        assert (step.at_ms if step else None) == due_ms
        if due_ms is not None:
            assert next_step(self.now, due_ms - 1, self.view) is None
            assert needs_step(self.now, due_ms)


def ask(desk: Desk, name: str, at_ms: int) -> None:
    """Change plan as its terms say; nothing where it has that plan, or cannot pay."""
    new = desk.plan(name, at_ms)
    assert new is not None
    preview = preview_change(account_of(desk.now, desk.view, "owner", "", at_ms=at_ms), new, at_ms)
    if new.name == desk.now.plan or desk.now.status == "cancelled":
        return
    if preview.when_ms > at_ms:
        desk.make(schedule(desk.now, preview, at_ms, desk.view))
        return
    before = desk.balance
    step = change(desk.now, preview, desk.view)
    assert step.fee_nanos == preview.charged_now_nanos - desk.now.credit_nanos, "as the preview said"
    if desk.make(step):
        assert before - desk.balance == step.fee_nanos


def act(desk: Desk, kind: str, value: int, at_ms: int) -> None:
    """Something happens, after all that was due."""
    desk.catch_up(at_ms)
    names = sorted({one.name for one in desk.plans})
    orders = [one.id for one in desk.now.bought]
    if kind == "use":
        desk.use(at_ms)
        desk.take(value * MIN, at_ms - (value % 3) * 20 * HOUR_MS)
    elif kind == "refill":
        desk.refill(str(value % 40), at_ms)
    elif kind == "change":
        ask(desk, names[value % len(names)], at_ms)
    elif kind in ("number", "bundle") and desk.now.status == "active":
        desk.make(buy(desk.now, kind, f"{kind}-{desk.now.n}", at_ms, desk.view))
    elif kind == "release" and orders:
        desk.make(release(desk.now, orders[value % len(orders)], at_ms, desk.view))


kinds = st.sampled_from(["use", "refill", "refill", "change", "number", "bundle", "release"])
#: Hours until it happens, what happens, and a number for it; some at the very start of a month.
histories = st.lists(st.tuples(st.integers(0, 60 * 24), kinds, st.integers(0, 200)), max_size=25)

SIMPLE = {"a": Terms(5), "b": Terms(12, refunds=True), "c": Terms(31), "free": Terms(0)}


def simple(name: str, terms: Terms) -> Plan:
    leaving = Leaving(downgrade=Timing("next-period"), refund="days-after" if terms.refunds else "none")
    return plan(name, str(terms.fee), addons=ADDONS, leaving=leaving, allowances=(minutes(),))


@given(st.integers(0, 60), st.sampled_from(sorted(SIMPLE)), histories)
@settings(max_examples=300, deadline=None)
def test_what_is_charged_is_what_the_rules_say(balance, first, history):
    desk = Careful([simple(name, terms) for name, terms in SIMPLE.items()], str(balance))
    model = Account(SIMPLE, balance)
    now_ms = at("2027-12-15 07:00")
    desk.begin(first, now_ms)
    model.join(first, now_ms)
    for hours, kind, value in history:
        now_ms += hours * HOUR_MS
        model.go(now_ms)
        n = len(desk.steps)
        desk.catch_up(now_ms)
        orders = [one.id for one in desk.now.bought]
        order = f"{kind}-{desk.now.n}"
        act(desk, kind, value, now_ms)
        if kind == "refill":
            model.refill(value % 40, now_ms)
        elif kind == "change":
            model.change(sorted(SIMPLE)[value % len(SIMPLE)], now_ms)
        elif kind in ("number", "bundle"):
            model.buy(kind, order, now_ms)
        elif kind == "release" and orders:
            model.release(orders[value % len(orders)])
        charged = [(when, Decimal(fee)) for _, when, fee in desk.fees]
        assert charged == model.fees, (n, kind)
        assert desk.balance == model.balance * NANOS
        assert (desk.now.plan, desk.now.status == "active") == (model.plan, model.is_paid)
        held = {one.id for one in desk.now.bought if one.on_hold_since_ms}
        assert held == {one.order for one in model.numbers if one.held_ms is not None}


starts = st.sampled_from([Start(), Start("first-usage"), Start("date", at("2028-02-29 12:00"))])
allowances = st.builds(
    minutes,
    quantity=st.integers(1, 100),
    expiry=st.sampled_from([Expiry(), Expiry("months", 2), Expiry("never")]),
    roll_over=st.none(),
) | st.builds(minutes, roll_over=st.builds(RollOver, st.integers(1, 2), st.sampled_from([None, 30 * MIN])))
leavings = st.builds(
    Leaving,
    upgrade=st.sampled_from([Timing(), Timing("next-period"), Timing("month-end")]),
    downgrade=st.sampled_from([Timing(), Timing("next-period"), Timing("month-end")]),
    unused=st.sampled_from(["forfeited", "kept"]),
    refund=st.sampled_from(["none", "days-after"]),
    extras=st.sampled_from(["add", "larger", "drop"]),
    migrate_to=st.sampled_from(["", "", "z"]),
    migrate_from_ms=st.sampled_from([at("2028-02-29 00:00"), at("2028-03-26 02:30")]),
)


prorations = st.sampled_from(["none", "days-after", "days-left"])


def any_plan(name: str, **fields: Any) -> st.SearchStrategy[Plan]:
    recurring = st.none() | st.builds(Recurring, st.integers(0, 20).map(lambda units: units * UNIT), st.none() | starts)
    return st.builds(
        lambda **drawn: plan(name, addons=ADDONS, **fields, **drawn),
        recurring=recurring,
        billing=st.builds(Billing, st.integers(1, 2), st.sampled_from(["anniversary", "month-end"]), starts),
        activation_nanos=st.integers(0, 3).map(lambda units: units * UNIT),
        proration=st.builds(
            ProrationTerms, st.sampled_from(["none", "days-after"]), st.sampled_from(["none", "days-left"])
        ),
        validity=st.none()
        | st.builds(
            Validity, st.integers(1, 2), st.just("anniversary"), st.sampled_from(["while-positive", "always"]), starts
        ),
        allowances=st.lists(allowances, max_size=1).map(tuple),
        settlement=st.sampled_from(["prepaid", "prepaid", "invoice"]),
        leaving=leavings,
        joining=st.builds(Joining, period=st.sampled_from(["keep", "restart"])),
    )


catalogues = st.tuples(
    any_plan("x"),
    any_plan("x", version="2", since=at("2028-03-10 00:00")),
    any_plan("y"),
    any_plan("z"),
).map(list)


@given(catalogues, st.integers(0, 60), histories, st.sampled_from(["2027-12-31 23:30", "2028-01-31 02:30"]))
@settings(max_examples=300, deadline=None)
def test_no_history_charges_twice_or_grants_what_was_not_paid(catalogue, balance, history, start):
    """Over any plans; what is due is always known, and who goes on after the end of one period is in the next."""
    desk = Careful(without_circles(catalogue), str(balance))
    now_ms = at(start)
    desk.begin("x", now_ms)
    refilled = 0
    for hours, kind, value in history:
        now_ms += hours * HOUR_MS
        if kind == "refill":
            refilled += value % 40
        act(desk, kind, value, now_ms)
        assert desk.balance == (balance + refilled) * NANOS - sum(int(Decimal(fee) * NANOS) for _, _, fee in desk.fees)
        check_time(desk, now_ms)
    if desk.now.bought:
        order = desk.now.bought[0]
        if order.next_ms:
            desk.make(auto_pay(desk.now, order.id, False, now_ms, desk.view))
    assert desk.make(cancel(desk.now, now_ms, desk.view))
    assert next_step(desk.now, FAR_MS, desk.view) is None
    assert wake(desk.now, FAR_MS, desk.view) is None


def without_circles(catalogue: list[Plan]) -> list[Plan]:
    """A plan that migrates to itself, or to one that migrates back, is a mistake of the catalogue."""
    return [replace(one, leaving=replace(one.leaving, migrate_to="")) if one.name == "z" else one for one in catalogue]


def check_time(desk: Desk, now_ms: int) -> None:
    """An active subscriber whose periods have begun is in one that has."""
    sub = desk.now
    if sub.status == "active" and sub.periods is not None and sub.next_period:
        period = sub.periods.period_at(now_ms)
        assert period is not None
    assert sub.stepped_ms <= now_ms
    assert sub.valid_until_ms is None or sub.valid_until_ms > now_ms or sub.status != "active"
    assert all(from_ms < until_ms for from_ms, until_ms, _ in sub.past)
