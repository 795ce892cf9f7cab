"""What is sold by itself: lines, VAT of the billing country, total, and whether the wallet can pay it. Only reads.

49.00 billed to Germany: VAT 9.31, total 58.31; with 58.30 available it is short by 0.01, and refused unless a card or
an invoice pays. A plan is taken as ordered now by itself: its first fee may be a share of a period's, and is not due
yet where it waits for the first usage. What it costs a SIM that has a plan is in streams/http/sim_orders.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import msgspec

from rater.errors import CatalogueError
from rater.geo.codes import is_country
from rater.orders.model import PROVIDERS
from rater.plans.calendar import local
from rater.plans.due import billing_periods, period_fee
from rater.plans.model import Plan
from rater.plans.order import OrderLine, OrderPreview, addon_lines, plan_lines, preview_order, refill_lines
from rater.rating.explain import number_text
from rater.wallet.states import WalletState
from streams.http.endpoint import Call
from streams.http.forms import money
from streams.http.forms_orders import OrderItem, OrderLineOut, OrderPreviewOut, OrderRefusal, PreviewForm
from streams.http.plans import check_volume, plan_in_force
from streams.http.problems import Problem
from streams.http.wallets import find


class Priced(msgspec.Struct):
    """An item's lines, and what stands in its way."""

    lines: tuple[OrderLine, ...]
    note: str
    refusals: list[OrderRefusal]


async def quote_wallet(call: Call[PreviewForm]) -> OrderPreviewOut:
    """Add an order up that is for no SIM yet."""
    form = call.form
    wallet = await find(call, form.wallet, "wallet")
    items = form.items or []
    plans = [plan_in_force(call, item.plan, f"/items/{index}/plan") for index, item in enumerate(items)]
    for index, plan in enumerate(plans):
        check_currency(call, plan, wallet.currency, f"/items/{index}/plan")
    priced = [_priced(call, form, index, plan) for index, plan in enumerate(plans)]
    percent = vat_percent(call, form.billing_country, plans[0].zone)
    available_nanos = wallet.balance_nanos - wallet.floor_nanos
    lines = [line for item in priced for line in item.lines]
    order = preview_order(lines, wallet.currency, percent, available_nanos, form.payment)
    shown_lines = [
        OrderLineOut(index, line.name, money(line.net_nanos), "" if number else item.note)
        for index, item in enumerate(priced)
        for number, line in enumerate(item.lines)
    ]
    refusals = [refusal for item in priced for refusal in item.refusals]
    return shown(wallet, form.billing_country, order, shown_lines, refusals)


def check_currency(call: Call[Any], plan: Plan, kept_in: str, field: str) -> None:
    """Refuse a plan that is not sold in the currency in which the wallet is kept."""
    currency = call.desk.engine.catalogue.currency_of(plan)
    if currency != kept_in:
        raise Problem("conflict", f"it is sold in {currency}, the wallet is kept in {kept_in}", field)


def vat_percent(call: Call[Any], country: str, zone: str) -> Fraction:
    """The rate of the billing country today, by the clock of the seller's zone."""
    if not is_country(country):
        raise Problem("invalid", f'"{country}" is no ISO 3166-1 alpha-2 country', "billing_country")
    try:
        return call.desk.engine.catalogue.vat.percent(country, local(zone, call.desk.now_ms).date())
    except CatalogueError as error:
        raise Problem("invalid", str(error), "billing_country") from error


def _priced(call: Call[PreviewForm], form: PreviewForm, index: int, plan: Plan) -> Priced:
    assert form.items is not None, "it is an order for a wallet"
    item, at = form.items[index], f"/items/{index}"
    if item.addon and item.refill:
        raise Problem("invalid", "an item is an add-on or a refill offer; write two items", f"{at}/refill")
    if item.addon or item.refill:
        if item.volume is not None:
            raise Problem("invalid", "only a plan itself is ordered at a volume", f"{at}/volume")
        return _priced_addon(plan, item, at) if item.addon else _priced_refill(plan, item, form, at)
    if item.count != 1:
        raise Problem("invalid", "a plan is ordered once", f"{at}/count")
    if not plan.joining.quote_only:
        check_volume(plan, item.volume, f"{at}/volume")
    return _priced_plan(plan, item, at, call.desk.now_ms)


def _priced_plan(plan: Plan, item: OrderItem, at: str, now_ms: int) -> Priced:
    periods = billing_periods(plan, plan.zone, now_ms, None)
    due = period_fee(plan, periods, 0, now_ms, None, item.volume) if periods else None
    whole = plan.fee_nanos(item.volume)
    note = ""
    if due is None or due.at_ms > now_ms:
        note = f"{money(whole)} a period, from the first usage or a later date on" if whole else ""
        lines = plan_lines(plan, 0)
    else:
        note = f"{money(whole)} a period" + (", shared by the days" if due.amount_nanos != whole else "")
        lines = plan_lines(plan, due.amount_nanos)
    refusals = []
    if plan.joining.quote_only:
        refusals.append(OrderRefusal("quote_only", f"plan {plan.name} is offered by quote only; ask for one", at))
    return Priced(lines, note, refusals)


def _priced_addon(plan: Plan, item: OrderItem, at: str) -> Priced:
    addon = next((addon for addon in plan.addons if addon.name == item.addon), None)
    if addon is None:
        raise Problem("not-found", f"plan {plan.name} has no add-on {item.addon}", f"{at}/addon")
    note = f"{money(addon.price_nanos)} a period" if addon.recurring else ""
    return Priced(_times(addon_lines(addon), item.count), note, list(_offered(plan, "buy-addon", at)))


def _priced_refill(plan: Plan, item: OrderItem, form: PreviewForm, at: str) -> Priced:
    refill = next((refill for refill in plan.refills if refill.name == item.refill), None)
    if refill is None:
        raise Problem("not-found", f"plan {plan.name} has no refill offer {item.refill}", f"{at}/refill")
    refusals = list(_offered(plan, "refill", at))
    if PROVIDERS.get(form.payment) not in refill.paid_by:
        ways = " or ".join(sorted(refill.paid_by))
        detail = f"refill {refill.name} is paid by {ways}, not by {form.payment}"
        refusals.append(OrderRefusal("not_payable", detail, at))
    note = f"the wallet is given {money(refill.balance_nanos * item.count)}"
    return Priced(_times(refill_lines(refill), item.count), note, refusals)


def _times(lines: tuple[OrderLine, ...], count: int) -> tuple[OrderLine, ...]:
    return tuple(OrderLine(line.name, line.net_nanos * count) for line in lines)


def _offered(plan: Plan, action: str, at: str) -> Iterator[OrderRefusal]:
    if action not in plan.actions:
        yield OrderRefusal("not_offered", f"plan {plan.name} does not offer {action}", at)


def shown(
    wallet: WalletState, country: str, order: OrderPreview, lines: list[OrderLineOut], refusals: list[OrderRefusal]
) -> OrderPreviewOut:  # fmt: skip
    """An order as it would be charged, with all that stands in its way; that the balance is short comes last."""
    if order.is_refused:
        short, held = money(order.short_nanos), money(order.available_nanos)
        detail = f"{wallet.wallet} has {held} available and is short by {short}; pay by card or by invoice, or refill"
        refusals = [*refusals, OrderRefusal("insufficient_balance", detail, "")]
    after_nanos = order.available_after_nanos if not refusals else order.available_nanos
    return OrderPreviewOut(
        wallet=wallet.wallet,
        currency=order.currency,
        lines=lines,
        net=money(order.net_nanos),
        vat_country=country,
        vat_percent=number_text(order.vat_percent),
        vat=money(order.vat_nanos),
        total=money(order.total_nanos),
        payment=order.payment,
        balance=money(wallet.balance_nanos),
        balance_after=money(after_nanos + wallet.floor_nanos),
        available=money(order.available_nanos),
        available_after=money(after_nanos),
        short=money(order.short_nanos),
        refused=bool(refusals),
        refusals=refusals,
    )
