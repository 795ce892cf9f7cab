"""What an order comes to, upon the subscription as it stands: its lines, what stands in its way, and its step.

Preview and order are worked out by this one function, and so agree: a plan is the change of the subscription that its
terms say, an add-on is bought beside it. A change that takes effect later costs nothing now.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec.structs import replace

from rater.errors import PlanError
from rater.money import format_nanos
from rater.orders.model import Asker, Item, Order
from rater.plans.account import Reason as ChangeReason
from rater.plans.change import ChangePreview, preview_change
from rater.plans.life import Saying, Step, Subscription, View, account_of, buy, change, schedule
from rater.plans.life.due import addon_named
from rater.plans.order import OrderLine

Reason = ChangeReason | Literal["not_possible"]


class Obstacle(msgspec.Struct, frozen=True):
    """What stands in the way, in a word and in a sentence."""

    reason: Reason
    detail: str


class Worked(msgspec.Struct, frozen=True):
    """An order as it would be made now; without a step if something stands in the way."""

    step: Step | None
    lines: tuple[OrderLine, ...]
    #: When it takes effect.
    effective_ms: int
    obstacles: tuple[Obstacle, ...] = ()

    @property
    def net_nanos(self) -> int:
        """What is charged now, without VAT."""
        return sum(line.net_nanos for line in self.lines)


def work_out(item: Item, asker: Asker, sub: Subscription, view: View, at_ms: int, order: str) -> Worked:
    """Work an order out. `order` is its id.

    Raises:
        PlanError: there is no such plan or add-on; names the field.
    """
    if item.addon:
        return _addon(item, asker, sub, view, at_ms, order)
    account = account_of(sub, view, asker.role, asker.owner, asker.has_payment_details, at_ms=at_ms)
    found = preview_change(account, view.plan(item.plan, at_ms), at_ms, item.volume)
    obstacles = tuple(Obstacle(refusal.reason, refusal.detail) for refusal in found.refusals)
    is_now = found.when_ms <= at_ms
    lines = _change_lines(found) if is_now else (OrderLine(item.plan, 0),)
    if obstacles:
        return Worked(None, lines, found.when_ms, obstacles)
    try:
        make = change(sub, found, view, order) if is_now else schedule(sub, found, at_ms, view, order)
    except PlanError as error:
        return Worked(None, lines, found.when_ms, (Obstacle("not_possible", str(error)),))
    owed_nanos = make.fee_nanos - sum(line.net_nanos for line in lines)
    owed = (OrderLine("owed from before", owed_nanos),) if owed_nanos else ()
    return Worked(make, (*lines, *owed), found.when_ms)


def step_of(order: Order, sub: Subscription, view: View, at_ms: int) -> Step:
    """The step of an order, which tells that it is done; at most at the figures of its preview.

    Raises:
        PlanError: it cannot be made, or costs more by now.
    """
    worked = work_out(order.item, order.asker, sub, view, at_ms, order.id)
    if worked.step is None:
        raise PlanError("item", worked.obstacles[0].detail)
    if worked.net_nanos > order.net_nanos:
        now, then = format_nanos(worked.net_nanos), format_nanos(order.net_nanos)
        raise PlanError("total", f"it costs {now} without VAT by now, and was ordered at {then}")
    made = worked.step
    said = Saying("order.done", order_data(order, made.fee_nanos))
    return replace(made, paid=replace(made.paid, sayings=(*made.paid.sayings, said)))


def order_data(order: Order, net_nanos: int) -> dict[str, object]:
    """What notices say of an order."""
    vat_nanos = order.tax_nanos(net_nanos)
    return {
        "order": order.id,
        "plan": order.item.plan,
        "volume": order.item.volume,
        "addon": order.item.addon,
        "payment": order.payment,
        "currency": order.currency,
        "net": format_nanos(net_nanos),
        "vat": format_nanos(vat_nanos),
        "total": format_nanos(net_nanos + vat_nanos),
    }


def _change_lines(found: ChangePreview) -> tuple[OrderLine, ...]:
    lines = (
        OrderLine(found.new.name, found.fee_nanos),
        OrderLine("activation", found.activation_nanos),
        OrderLine(f"{found.old.name} given back", -found.refund_nanos),
    )
    return (lines[0], *(line for line in lines[1:] if line.net_nanos))


def _addon(item: Item, asker: Asker, sub: Subscription, view: View, at_ms: int, order: str) -> Worked:
    plan = view.plan(sub.plan, at_ms)
    if item.plan not in ("", plan.name):
        raise PlanError("plan", f"the SIM has plan {plan.name}, whose add-ons it can buy")
    addon = addon_named(plan, item.addon)
    if addon is None:
        raise PlanError("addon", f"plan {plan.name} has no add-on {item.addon}")
    obstacles: list[Obstacle] = []
    if "buy-addon" not in plan.actions:
        obstacles.append(Obstacle("not_offered", f"plan {plan.name} does not offer buy-addon"))
    if asker.role == "reader":
        obstacles.append(Obstacle("not_allowed", f"only the owner ({asker.owner}) or a manager may buy an add-on"))
    make = None
    try:
        make = buy(sub, item.addon, order, at_ms, view)
    except PlanError as error:
        obstacles.append(Obstacle("not_possible", str(error)))
    fee_nanos = make.fee_nanos if make is not None else addon.price_nanos + addon.upfront_nanos
    lines = [OrderLine(addon.name, fee_nanos - addon.upfront_nanos)]
    if addon.upfront_nanos:
        lines.append(OrderLine(f"{addon.name} up front", addon.upfront_nanos))
    return Worked(None if obstacles else make, tuple(lines), at_ms, tuple(obstacles))
