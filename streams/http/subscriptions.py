"""Subscriptions: what a SIM (or an account's own line) has of its plan, and what can be changed, bought and ended.

Who may ask for a change the plan says (`leaving.asked_by`); others are told who can. A change is made as it was
previewed, at the latest figures; with `expected` only if these are still what the preview said.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from rater.accounts.roles import ROLES, role_of
from rater.errors import PlanError, WalletError
from rater.money import parse_nanos
from rater.pipeline.choosing import Subject
from rater.plans.change import ChangePreview, preview_change
from rater.plans.life import (
    Subscription,
    View,
    account_of,
    auto_pay,
    buy,
    cancel,
    change,
    pay,
    release,
    schedule,
    unschedule,
)
from rater.plans.life.state import Step
from rater.plans.terms import Role
from rater.subscriber import Subscriber
from streams.http.endpoint import Call, Endpoint, NoForm
from streams.http.estimates import estimate_of
from streams.http.forms import money
from streams.http.forms_subscriptions import (
    AddOnForm,
    AutoPayForm,
    ChangeForm,
    ChangePreviewForm,
    ChangePreviewOut,
    SubscriptionOut,
)
from streams.http.order_pricing import check_currency
from streams.http.plans import check_volume, plan_in_force
from streams.http.plans import shown as shown_plan
from streams.http.problems import Problem, of_wallet
from streams.http.show_subscription import shown, shown_preview
from streams.http.sims import find_sim

FormT = TypeVar("FormT")


async def show(call: Call[NoForm]) -> SubscriptionOut:
    """A subscription as it stands."""
    subject = await find(call)
    subscription, view = await present(call, subject)
    return shown(subject, subscription, view)


async def preview(call: Call[ChangePreviewForm]) -> ChangePreviewOut:
    """What a change would mean."""
    subject, form = await find(call), call.form
    subscription, view = await present(call, subject)
    previewer = await _previewer(call, subject)
    found = previewer(subscription, view)
    answer = shown_preview(subject, found, subscription, view, shown_plan(call, found.new))
    # Where the volume is wrong the preview says so, and there is nothing to estimate.
    if form.estimate_months is not None and found.new.takes(form.volume):
        answer.estimate = await estimate_of(call, subject.subscriber, found.new, form.volume, form.estimate_months)
    return answer


async def confirm(call: Call[ChangeForm]) -> SubscriptionOut:
    """Change the plan, at once or when the preview says."""
    subject = await find(call)
    previewer, form = await _previewer(call, subject), call.form

    def wanted(subscription: Subscription, view: View) -> Step:
        found = previewer(subscription, view)
        _check_refusals(found)
        if form.expected is not None and parse_nanos(form.expected) != found.charged_now_nanos:
            detail = f"{money(found.charged_now_nanos)} would be charged now; look at the preview again"
            raise Problem("conflict", detail, "expected")
        if found.when_ms > subject.at_ms:
            return schedule(subscription, found, subject.at_ms, view, call.idempotency_key)
        return change(subscription, found, view, call.idempotency_key)

    return await _make(call, subject, wanted)


async def withdraw(call: Call[NoForm]) -> SubscriptionOut:
    """Give up a planned change."""
    subject = await find(call)
    return await _make(call, subject, lambda subscription, view: unschedule(subscription, subject.at_ms, view))


async def order_addon(call: Call[AddOnForm]) -> SubscriptionOut:
    """Buy an add-on from the wallet."""
    subject, form, order = await find(call), call.form, call.idempotency_key

    def wanted(subscription: Subscription, view: View) -> Step:
        plan = view.plan(subscription.plan, subject.at_ms)
        if "buy-addon" not in plan.actions:
            raise PlanError("addon", f"plan {plan.name} does not offer buy-addon")
        return buy(subscription, form.addon, order, subject.at_ms, view, auto_pay=form.auto_pay)

    return await _make(call, subject, wanted)


async def release_addon(call: Call[NoForm]) -> SubscriptionOut:
    """Give an add-on up."""
    subject, order = await find(call), call.path["order"]
    return await _make(call, subject, lambda subscription, view: release(subscription, order, subject.at_ms, view))


async def pay_addon(call: Call[NoForm]) -> SubscriptionOut:
    """Pay an add-on that is on hold."""
    subject, order = await find(call), call.path["order"]
    return await _make(call, subject, lambda subscription, view: pay(subscription, order, subject.at_ms, view))


async def set_auto_pay(call: Call[AutoPayForm]) -> SubscriptionOut:
    """Whether an add-on pays by itself."""
    subject, order, on = await find(call), call.path["order"], call.form.auto_pay
    return await _make(call, subject, lambda subscription, view: auto_pay(subscription, order, on, subject.at_ms, view))


async def end(call: Call[NoForm]) -> SubscriptionOut:
    """Cancel the subscription, at once."""
    subject = await find(call)

    def wanted(subscription: Subscription, view: View) -> Step:
        if "cancel" not in view.plan(subscription.plan, subject.at_ms).actions:
            raise PlanError("plan", f"plan {subscription.plan} does not offer cancel")
        return cancel(subscription, subject.at_ms, view)

    return await _make(call, subject, wanted)


async def find(call: Call[Any]) -> Subject:
    """Whose subscription is meant, if the key reaches it."""
    subscriber = await find_sim(call, call.path["sim"])
    return subject_of(call, subscriber)


def subject_of(call: Call[Any], subscriber: Subscriber) -> Subject:
    """The subscriber under the wallet that pays now."""
    try:
        return call.desk.engine.desks.subscriptions.subject(subscriber, call.desk.now_ms)
    except WalletError as error:
        raise of_wallet(error) from error


async def asker(call: Call[Any], subject: Subject) -> tuple[Role, str, bool]:
    """The role of who asks, the owner's name, and whether payment details are there.

    The operator's own programs ask for the owner, an account's for a manager.
    """
    account = await call.account_of(subject.assignment)
    chain = await call.desk.reach.chain(call.tenant, account)
    owner, has_details = (chain[0].owner, chain[0].has_payment_details) if chain else ("", False)
    if call.actor.user:
        return role_of(chain, call.actor.user) or "reader", owner, has_details
    return ("owner" if call.actor.is_operator else "manager"), owner, has_details


async def _previewer(call: Call[Any], subject: Subject) -> Callable[[Subscription, View], ChangePreview]:
    form, at_ms = call.form, subject.at_ms
    new = plan_in_force(call, form.plan, "plan")
    check_currency(call, new, subject.assignment.currency, "plan")
    if not new.joining.quote_only:
        check_volume(new, form.volume, "volume")
    role, owner, has_details = await asker(call, subject)

    def previewed(subscription: Subscription, view: View) -> ChangePreview:
        account = account_of(subscription, view, role, owner, has_details, at_ms=at_ms)
        return preview_change(account, new, at_ms, form.volume)

    return previewed


def _check_refusals(found: ChangePreview) -> None:
    for refusal in found.refusals:
        kind = "not-allowed" if refusal.reason == "not_allowed" else "conflict"
        raise Problem(kind, refusal.detail, "plan")


async def present(call: Call[Any], subject: Subject) -> tuple[Subscription, View]:
    """The subscription after all that was due by now."""
    try:
        return await call.desk.engine.desks.subscriptions.present(subject)
    except PlanError as error:
        raise Problem("conflict", str(error), error.field) from error
    except WalletError as error:
        raise of_wallet(error) from error


async def _make(call: Call[Any], subject: Subject, wanted: Callable[[Subscription, View], Step]) -> SubscriptionOut:
    """Make a step once for its Idempotency-Key, and answer the subscription as it then stands."""
    await call.desk.claims.claim(call.tenant, call.idempotency_key, call.subject, call.form)
    try:
        decision = await call.desk.engine.desks.subscriptions.make(subject, wanted, f"http/{call.idempotency_key}")
    except PlanError as error:
        raise Problem("conflict", str(error), error.field) from error
    except WalletError as error:
        raise of_wallet(error) from error
    call.desk.engine.publisher.wake()
    subscription, view = await present(call, subject)
    answer = shown(subject, subscription, view)
    answer.charged, answer.repeated = money(decision.charged_nanos), decision.known
    return answer


_ONE = "/v1/subscriptions/{sim}"
_ORDER = f"{_ONE}/add-ons/{{order}}"
ENDPOINTS = (
    Endpoint(
        method="GET", path=_ONE, handler=show, scope="read", answer=SubscriptionOut, problems=(404, 409),
        summary="What a SIM has of its plan, after all that was due",
    ),
    Endpoint(
        method="POST", path=f"{_ONE}/change/preview", handler=preview, scope="read", form=ChangePreviewForm,
        summary="What a change of plan would cost, forfeit and grant, and what stands in its way",
        answer=ChangePreviewOut, problems=(404, 409),
    ),
    Endpoint(
        method="POST", path=f"{_ONE}/change", handler=confirm, scope="manage", keyed=True, form=ChangeForm,
        summary="Change the plan, at once or when its terms say", answer=SubscriptionOut, roles=ROLES,
        problems=(404,),
    ),
    Endpoint(
        method="DELETE", path=f"{_ONE}/change", handler=withdraw, scope="manage", keyed=True,
        summary="Give up a planned change", answer=SubscriptionOut, problems=(404,),
    ),
    Endpoint(
        method="POST", path=f"{_ONE}/add-ons", handler=order_addon, scope="manage", keyed=True, form=AddOnForm,
        summary="Buy an add-on from the wallet", answer=SubscriptionOut, status=201, problems=(404,),
    ),
    Endpoint(
        method="DELETE", path=_ORDER, handler=release_addon, scope="manage", keyed=True,
        summary="Give an add-on up", answer=SubscriptionOut, problems=(404,),
    ),
    Endpoint(
        method="POST", path=f"{_ORDER}/pay", handler=pay_addon, scope="manage", keyed=True,
        summary="Pay an add-on that is on hold", answer=SubscriptionOut, problems=(404,),
    ),
    Endpoint(
        method="PUT", path=f"{_ORDER}/auto-pay", handler=set_auto_pay, scope="manage", keyed=True, form=AutoPayForm,
        summary="Let an add-on pay its next periods by itself, or not", answer=SubscriptionOut, problems=(404,),
    ),
    Endpoint(
        method="POST", path=f"{_ONE}/cancel", handler=end, scope="manage", keyed=True,
        summary="End the subscription at once", answer=SubscriptionOut, problems=(404,),
    ),
)  # fmt: skip
