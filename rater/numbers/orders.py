"""Numbers are ordered for subscriptions, and come back from them.

An order has an id of its own, which its step has too (`request`), and is made in three steps:

1. look: all that stands in the way and changes nothing. A crash: nothing happened.
2. claim: the number's document names the order. A crash: the number is taken by an order that was not made. The repeat
   finds it its own and goes on; if none comes, `settle` gives the order up and frees the number.
3. the step: fee and add-on, all or nothing, in the wallet's call. A crash: it is made, and found made by the repeat.

A number is freed (`settle`) where the subscription that it is claimed for does not have it:

1. read the subscription: if it has the number, nothing is to be done.
2. give the order up: a note with the id of its step goes into the wallet. From here on the step cannot be made any
   more, however late it comes; or it was made before, and then the subscription is read once more.
3. free the document, if it is still as it was read. A crash before: the next look does all of it again.

An order's step is made once for its id at any age, so a number that was given up never comes back into a subscription
by an old order, and no number has two owners. That a number rests before others can have it counts from when it was
given up, or where that was not heard of from when it was seen.

A SIM that has another wallet leaves its subscription behind, and its numbers: they are freed, and who comes back to the
wallet comes without them (`rater.plans.life.begin`).
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from rater.directory import Directory
from rater.errors import PlanError, WalletError
from rater.identity import identity
from rater.numbers.book import NumberBook, check_free
from rater.numbers.model import Capability, Holder, PhoneNumber
from rater.pipeline.choosing import Subject
from rater.pipeline.stepper import SOURCE, Tax
from rater.plans.life import Step, Subscription, View, buy, read_subscription
from rater.plans.life.due import addon_named
from rater.plans.life.state import DAY_MS
from rater.subscriptions import Subscriptions
from rater.wallet.entry import Decision, Entry, Kind
from rater.wallet.keys import document_key
from rater.wallet.news import pack_notice
from rater.wallet.store import WalletStore
from schemas.fates import Fate
from schemas.notice import Notice

#: The fingerprint that a step's id is remembered with when it was given up.
GIVEN_UP: Final = b"given up"
#: A claim is left alone so long: its step is on the way. Nothing depends on it, see above.
UNDER_WAY_MS: Final = 60_000


class NumberOrder(msgspec.Struct, frozen=True):
    """A number that is ordered. `request` is the id of the step, `order` that of the add-on in the subscription."""

    number: str
    order: str
    request: str
    auto_pay: bool = True
    capabilities: frozenset[Capability] = frozenset()


class NumberOrders:
    """One per process; safe to share between tasks."""

    def __init__(
        self, store: WalletStore, directory: Directory, subscriptions: Subscriptions, book: NumberBook
    ) -> None:  # fmt: skip
        self._store = store
        self._directory = directory
        self._subscriptions = subscriptions
        self.book = book

    async def order(self, subject: Subject, asked: NumberOrder, tax: Tax | None = None) -> Decision:
        """Make an order, paid from the wallet, once for its id. What else sells numbers calls this for its items.

        Raises:
            TakenError: the number cannot be had.
            PlanError: the subscription cannot have it; names the field.
            WalletError: the wallet cannot pay it, or the order was given up.
        """
        decision = await self._subscriptions.found(subject, asked.request)
        if decision is None:
            claimed = await self.reserve(subject, asked, tax)
            try:
                decision = await self._make(subject, asked, claimed.addon, tax)
            except (PlanError, WalletError):
                await self.settle(claimed.tenant, claimed.number, subject.at_ms, order=asked.order)
                raise
        if decision.fingerprint == GIVEN_UP:
            await self.settle(subject.subscriber.tenant, asked.number, subject.at_ms, order=asked.order)
            raise WalletError(f"id: order {asked.order} was given up before it was made; order again under another")
        return self._subscriptions.checked(subject, decision)

    async def reserve(
        self, subject: Subject, asked: NumberOrder, tax: Tax | None = None, until_ms: int = 0
    ) -> PhoneNumber:  # fmt: skip
        """Claim the number of an order that is to be made; `until_ms`: it waits for its payment until then.

        Without `until_ms` the wallet must be able to pay it now.

        Raises:
            TakenError, PlanError, WalletError: as `order`.
        """
        tenant = subject.subscriber.tenant
        holder = Holder(
            wallet=subject.wallet.name,
            sim=subject.subscriber.id,
            order=asked.order,
            request=asked.request,
            since_ms=subject.at_ms,
            until_ms=until_ms,
        )
        found = check_free(await self.book.get(tenant, asked.number), tenant, asked.number, holder)
        if lacks := found.lacks(asked.capabilities):
            has = " and ".join(found.capabilities)
            raise PlanError("capabilities", f"{found.number} has {has}, not {' and '.join(lacks)}")
        subscription, view = await self._subscriptions.present(subject)
        step = _bought(subscription, view, subject, asked, found.addon)
        due_nanos = step.fee_nanos + (tax(step.fee_nanos) if tax is not None else 0)
        if not until_ms and due_nanos > max(0, view.available_nanos):
            raise WalletError(f"amount: wallet {subject.wallet.name} cannot pay it; refill it first")
        addon = addon_named(view.plan(subscription.plan, subject.at_ms), found.addon)
        days = addon.quarantine_days if addon is not None else 0
        return await self.book.take(tenant, asked.number, replace(holder, quarantine_days=days))

    async def settle(self, tenant: str, number: str, at_ms: int, *, order: str = "") -> None:
        """Free a number that the subscription it is claimed for does not have; it rests from `at_ms` on.

        `order`: only if it is claimed by this order, of which is known that it is over. Else a claim is left alone
        whose step may be on the way, or that waits for its payment.
        """
        found = await self.book.get(tenant, number)
        holder = found.holder if found is not None else None
        if found is None or holder is None or (order and order != holder.order):
            return
        if await self._stand(found, holder) == "had":
            return
        if not order and at_ms < max(holder.until_ms, holder.since_ms + UNDER_WAY_MS):
            return
        was_made = await self._give_up(found, holder, at_ms)
        stand = await self._stand(found, holder)  # once more: it may have been made before it was given up
        if stand == "had":
            return
        if stand == "left":
            await self._tell(found, holder, at_ms)
        await self.book.free(found, at_ms + holder.quarantine_days * DAY_MS if was_made else 0)

    async def _make(self, subject: Subject, asked: NumberOrder, addon: str, tax: Tax | None) -> Decision:
        def wanted(subscription: Subscription, view: View) -> Step:
            return _bought(subscription, view, subject, asked, addon)

        return await self._subscriptions.make(subject, wanted, asked.request, tax)

    async def _stand(self, found: PhoneNumber, holder: Holder) -> Literal["had", "left", "not"]:
        """Whether the subscription has the number by this order; "left": it has, but the SIM has another wallet now."""
        ref = self._store.wallet_ref(found.tenant, holder.wallet)
        (document,) = await self._store.documents([document_key(self._store.member_key(ref, holder.sim))])
        subscription = read_subscription(document) if document is not None else None
        owned = (one.id == holder.order and one.number == found.number for one in getattr(subscription, "bought", ()))
        if subscription is None or not any(owned):
            return "not"
        sim = await self._directory.get(found.tenant, holder.sim)
        last = sim.assignments[-1] if sim is not None else None
        # Such a subscription makes no step while its SIM is away, and begins without numbers when it comes back: by
        # an assignment that is later than the one it had.
        has_left = last is not None and last.wallet != holder.wallet and last.from_ms > subscription.assigned_ms
        return "left" if has_left else "had"

    async def _give_up(self, found: PhoneNumber, holder: Holder, at_ms: int) -> bool:
        """Let the order's step not be made from now on; answers whether it was before."""
        entry = Entry(
            kind=Kind.NOTE,
            tenant=found.tenant,
            wallet=holder.wallet,
            identity=identity(found.tenant, SOURCE, holder.request),
            fingerprint=GIVEN_UP,
            cause=f"{SOURCE}/{holder.request}",
        )
        decision = await self._apply(entry, at_ms)
        return decision.fingerprint != GIVEN_UP and decision.fate is Fate.RATED

    async def _tell(self, found: PhoneNumber, holder: Holder, at_ms: int) -> None:
        """The number was given up because the SIM has another wallet."""
        told = f"left/{holder.wallet}/{holder.sim}/{holder.order}"
        notice = Notice(
            id=f"numbers/{told}",
            type="addon.released",
            tenant=found.tenant,
            occurred_ms=at_ms,
            wallet=holder.wallet,
            subscriber=holder.sim,
            data={"addon": found.addon, "order": holder.order, "number": found.number, "reason": "moved"},
        )
        entry = Entry(
            kind=Kind.NOTE,
            tenant=found.tenant,
            wallet=holder.wallet,
            identity=identity(found.tenant, "numbers", told),
            fingerprint=bytes(8),
            cause=f"numbers/{told}",
            news=(pack_notice(notice),),
        )
        await self._apply(entry, at_ms)

    async def _apply(self, entry: Entry, now_ms: int) -> Decision:
        (answer,) = await self._store.apply([entry], now_ms=now_ms)
        if not isinstance(answer, Decision):
            raise WalletError(f"wallet: {entry.wallet} cannot be reached ({answer.why})")
        return answer


def _bought(subscription: Subscription, view: View, subject: Subject, asked: NumberOrder, addon: str) -> Step:
    plan = view.plan(subscription.plan, subject.at_ms)
    if "buy-addon" not in plan.actions:
        raise PlanError("number", f"plan {plan.name} does not offer buy-addon")
    return buy(subscription, addon, asked.order, subject.at_ms, view, auto_pay=asked.auto_pay, number=asked.number)
