"""Phone numbers of a SIM: ordered from the inventory by their add-on, and looked at.

A number that is had is an add-on of the subscription by its order: given up, paid and set to pay by itself there
(streams/http/subscriptions.py). Which number an order means that names none is chosen with its Idempotency-Key's claim
and stays so; where another was quicker the claim is given back and another number chosen.
"""

from __future__ import annotations

from zlib import crc32

from rater.errors import PlanError, WalletError
from rater.numbers.book import TakenError, able
from rater.numbers.model import PhoneNumber
from rater.numbers.orders import NumberOrder
from rater.pipeline.choosing import Subject
from rater.plans.life import overview
from rater.plans.life.overview import AddOnState
from rater.wallet.entry import Decision
from streams.http.endpoint import Call, Endpoint, NoForm
from streams.http.forms import instant, money
from streams.http.forms_numbers import NumberOrderForm, SimNumber, SimNumbers
from streams.http.numbers import book_of
from streams.http.problems import Problem, of_wallet
from streams.http.show_subscription import payment_out
from streams.http.subscriptions import find, present

#: Numbers to choose from, so that orders at one moment choose different ones; and how often another is chosen.
CHOICE = 20
TRIES = 20


async def show(call: Call[NoForm]) -> SimNumbers:
    """The numbers a SIM has."""
    subject = await find(call)
    subscription, view = await present(call, subject)
    seen = overview(subscription, view, subject.at_ms)
    addons = [addon for addon in seen.addons if addon.number]
    found = await book_of(call).many(call.tenant, [addon.number for addon in addons])
    return SimNumbers(
        [_shown(number, addon) for number, addon in zip(found, addons, strict=True) if number is not None],
        seen.capacity.numbers,
    )


async def order(call: Call[NumberOrderForm]) -> SimNumber:
    """Order a number from the wallet: its up-front fee and its first period, for exactly that number, in one step."""
    subject = await find(call)
    for _ in range(TRIES):
        number = await _claimed(call, subject)
        try:
            decision = await _ordered(call, subject, number)
        except TakenError as error:
            await call.desk.claims.release(call.tenant, call.idempotency_key)
            if call.form.number:
                raise of_wallet(error) from error
            continue
        call.desk.engine.publisher.wake()
        return await _answer(call, subject, number, decision)
    raise Problem("conflict", "others took every number that was chosen; send this again", "country")


async def _claimed(call: Call[NumberOrderForm], subject: Subject) -> str:
    """The number that this order is for, and stays for; under the wallet that pays it."""
    number = call.form.number or await _chosen(call, subject)
    plan = f"{number} {subject.wallet.name}".encode()
    claimed, is_new = await call.desk.claims.claim(call.tenant, call.idempotency_key, call.subject, call.form, plan)
    number, _, wallet = claimed.decode().partition(" ")
    if not number:
        if is_new:
            await call.desk.claims.release(call.tenant, call.idempotency_key)
        what = f"{' and '.join(call.form.capabilities) or 'any capability'} in {call.form.country or 'any country'}"
        raise Problem("conflict", f"no number with {what} is there for the SIM's plan", "country")
    if wallet != subject.wallet.name:
        raise Problem(
            "conflict", f"this order is of the wallet {wallet}, which does not pay for the SIM any more", "sim"
        )
    return number


async def _chosen(call: Call[NumberOrderForm], subject: Subject) -> str:
    """A number that is as asked for; empty where there is none."""
    form = call.form
    subscription, view = await present(call, subject)
    plan = view.plan(subscription.plan, subject.at_ms)
    addons = frozenset(addon.name for addon in plan.addons if addon.is_number)
    wanted = able(frozenset(form.capabilities), addons, subject.at_ms)
    found, _ = await book_of(call).page(call.tenant, form.country, "", CHOICE, wanted, only_free=True)
    place = crc32(f"{call.idempotency_key}{subject.at_ms}".encode())
    return found[place % len(found)].number if found else ""


async def _ordered(call: Call[NumberOrderForm], subject: Subject, number: str) -> Decision:
    form, key = call.form, call.idempotency_key
    found = await book_of(call).get(call.tenant, number)
    if found is not None and form.country and found.country != form.country:
        raise Problem("conflict", f"{number} is a number of {found.country}", "country")
    asked = NumberOrder(number, key, f"http/{key}", form.auto_pay, frozenset(form.capabilities))
    try:
        return await call.desk.engine.desks.numbers.orders.order(subject, asked)
    except TakenError:
        raise
    except PlanError as error:
        raise Problem("conflict", str(error), error.field) from error
    except WalletError as error:
        raise of_wallet(error) from error


async def _answer(call: Call[NumberOrderForm], subject: Subject, number: str, decision: Decision) -> SimNumber:
    subscription, view = await present(call, subject)
    seen = overview(subscription, view, subject.at_ms)
    addon = next((one for one in seen.addons if one.order == call.idempotency_key), None)
    # Two requests of one key may both have had to choose anew; the order was made once, for the number that it has.
    found = await book_of(call).get(call.tenant, addon.number if addon is not None else number)
    assert found is not None, "a number is never removed"
    answer = _shown(found, addon)
    answer.order, answer.charged, answer.repeated = call.idempotency_key, money(decision.charged_nanos), decision.known
    return answer


def _shown(found: PhoneNumber, addon: AddOnState | None) -> SimNumber:
    """A number with its add-on; None: it was given up since."""
    release_ms = addon.release_ms if addon is not None else None
    return SimNumber(
        number=found.number,
        country=found.country,
        capabilities=list(found.capabilities),
        order=addon.order if addon is not None else "",
        addon=found.addon,
        state="released" if addon is None else "on-hold" if addon.state == "on-hold" else "active",
        auto_pay=addon is not None and addon.auto_pay,
        next=payment_out(addon.next) if addon is not None else None,
        release_at=None if release_ms is None else instant(release_ms),
    )


_NUMBERS = "/v1/subscriptions/{sim}/numbers"
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        method="GET", path=_NUMBERS, handler=show, scope="read", answer=SimNumbers, problems=(404, 409),
        summary="The phone numbers a SIM has",
    ),
    Endpoint(
        method="POST", path=_NUMBERS, handler=order, scope="manage", keyed=True, status=201, form=NumberOrderForm,
        answer=SimNumber, problems=(404,), summary="Order a phone number from the wallet",
    ),
)  # fmt: skip
