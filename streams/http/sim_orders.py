"""What a SIM's order comes to: one reckoning for the preview and for the order itself.

A plan is priced as the change from the one that the SIM has: at once its (shared) fee, later nothing yet. Where a plan
wants a positive balance first, it must be there whoever pays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rater.errors import PlanError
from rater.money import parse_nanos
from rater.orders.model import PROVIDERS, Asker, Item, Order
from rater.orders.step import Worked, work_out
from rater.payments.model import Means
from rater.pipeline.choosing import Subject
from rater.plans.order import OrderPreview, Payment, preview_order
from rater.rating.explain import number_text
from rater.wallet.states import WalletState
from streams.http.endpoint import Call
from streams.http.forms import instant, money
from streams.http.forms_orders import (
    NewOrder,
    OrderLineOut,
    OrderPreviewOut,
    OrderRefusal,
    PreviewForm,
    SimItem,
)
from streams.http.order_pricing import check_currency, shown, vat_percent
from streams.http.plans import check_volume, plan_in_force
from streams.http.problems import Problem
from streams.http.refills import saved_means
from streams.http.sims import find_sim
from streams.http.subscriptions import asker, present, subject_of
from streams.http.wallets import find


@dataclass(frozen=True)
class Quoted:
    """A SIM's order as it would be charged now."""

    subject: Subject
    wallet: WalletState
    asker: Asker
    worked: Worked
    figures: OrderPreview
    means: Means
    refusals: list[OrderRefusal]

    def shown(self, country: str) -> OrderPreviewOut:
        """As the API writes it."""
        lines = [OrderLineOut(0, line.name, money(line.net_nanos)) for line in self.worked.lines]
        found = shown(self.wallet, country, self.figures, lines, self.refusals)
        found.at = instant(self.worked.effective_ms)
        return found

    def order(self, call: Call[NewOrder], account: str) -> Order:
        """The order, at these figures."""
        form, figures = call.form, self.figures
        return Order(
            tenant=call.tenant,
            id=call.idempotency_key,
            account=account,
            wallet=self.wallet.wallet,
            sim=self.subject.subscriber.id,
            item=item_of(form.item),
            asker=self.asker,
            created_ms=call.desk.now_ms,
            currency=figures.currency,
            payment=form.payment,
            lines=figures.lines,
            vat_country=form.billing_country,
            vat_percent=number_text(figures.vat_percent),
            net_nanos=figures.net_nanos,
            vat_nanos=figures.vat_nanos,
            total_nanos=figures.total_nanos,
            effective_ms=self.worked.effective_ms,
            means=self.means,
        )


async def quote_sim(call: Call[Any], form: NewOrder | PreviewForm, item: SimItem) -> Quoted:
    """Work a SIM's order out.

    Raises:
        Problem: there is no such SIM, plan or add-on, or a field is wrong. What a plan's terms refuse is no problem.
    """
    subject = subject_of(call, await find_sim(call, form.sim))
    wallet = await find(call, subject.wallet.name)
    _check_item(call, item, wallet)
    subscription, view = await present(call, subject)
    role, owner, has_details = await asker(call, subject)
    asking = Asker(role, owner, has_details)
    try:
        worked = work_out(item_of(item), asking, subscription, view, subject.at_ms, call.idempotency_key)
    except PlanError as error:
        kind = "not-found" if error.field == "addon" else "conflict"
        raise Problem(kind, str(error), f"/item/{error.field}") from error
    plan = view.plan(item.plan or subscription.plan, subject.at_ms)
    percent = vat_percent(call, form.billing_country, plan.zone)
    available_nanos = wallet.balance_nanos - wallet.floor_nanos
    figures = preview_order(worked.lines, wallet.currency, percent, available_nanos, form.payment)
    refusals = [OrderRefusal(one.reason, one.detail, "/item") for one in worked.obstacles]
    means = Means()
    if form.payment != "balance" and figures.total_nanos > 0:
        means = await _means(call, form, form.payment, wallet, figures, refusals)
    return Quoted(subject, wallet, asking, worked, figures, means, refusals)


def item_of(item: SimItem) -> Item:
    """What is ordered."""
    return Item(item.plan, item.volume, item.addon)


def check_expected(form: NewOrder | PreviewForm, figures: OrderPreview) -> None:
    """Refuse an order whose total is not the one that was expected.

    Raises:
        Problem: says what it is.
    """
    if form.expected is not None and parse_nanos(form.expected) != figures.total_nanos:
        total = f"{money(figures.total_nanos)} in all would be charged; look at the preview again"
        raise Problem("conflict", total, "expected")


def _check_item(call: Call[Any], item: SimItem, wallet: WalletState) -> None:
    if item.addon:
        if item.volume is not None:
            raise Problem("invalid", "only a plan itself is ordered at a volume", "/item/volume")
        return
    if not item.plan:
        raise Problem("invalid", "order a plan, or an add-on of the plan that the SIM has", "/item/plan")
    plan = plan_in_force(call, item.plan, "/item/plan")
    check_currency(call, plan, wallet.currency, "/item/plan")
    if not plan.joining.quote_only:
        check_volume(plan, item.volume, "/item/volume")


async def _means(
    call: Call[Any], form: NewOrder | PreviewForm, payment: Payment, wallet: WalletState, figures: OrderPreview,
    refusals: list[OrderRefusal],
) -> Means:  # fmt: skip
    """With what a provider is asked; what it cannot take, or would not be enough, is added to the refusals."""
    method = PROVIDERS[payment]
    provider = call.desk.engine.desks.payments.providers.get(method)
    why = None
    if provider is None:
        why = f"nothing is paid by {method} here; see [payments] in the settings"
    else:
        why = provider.refuses(figures.total_nanos, figures.currency)
    if why is not None:
        refusals.append(OrderRefusal("not_payable", why, "payment"))
    if figures.available_nanos < 0:
        below = money(-figures.available_nanos)
        detail = f"{wallet.wallet} is {below} below what it may be, which the payment would go to first; refill it"
        refusals.append(OrderRefusal("insufficient_balance", detail, ""))
    if payment != "card" or form.payer_present or why is not None:
        return Means()
    try:
        return await saved_means(call, wallet, form.payment_method)
    except Problem as problem:
        refusals.append(OrderRefusal("not_payable", str(problem), "payment_method"))
        return Means()
