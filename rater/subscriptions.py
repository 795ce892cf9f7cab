"""Subscriptions for people and programs: looked at, changed, added to and ended, between the steps that time makes.

Whatever is asked for, all that is due by then is done first. A change has the id of who asked: asked again it is found
made, whatever has become of the subscription since.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from rater.catalogue import Catalogue
from rater.errors import PlanError, WalletError
from rater.pipeline.choosing import Subject, due_by_time, joins
from rater.pipeline.live import view_of
from rater.pipeline.stepper import Stepper, Tax
from rater.plans.life import Step, Subscription, View, read_subscription
from rater.subscriber import Assignment, Subscriber
from rater.wallet.entry import Decision
from rater.wallet.keys import document_key
from rater.wallet.store import WalletStore
from rater.wallet.timers import Timers
from schemas.fates import Reason

#: Works out the step that is asked for.
Wanted = Callable[[Subscription, View], Step]


class Subscriptions:
    """One per process."""

    def __init__(self, store: WalletStore, catalogue: Catalogue) -> None:
        self._store = store
        self._stepper = Stepper(store, catalogue)
        self.catalogue = catalogue

    def subject(self, subscriber: Subscriber, now_ms: int) -> Subject:
        """Whose subscription it is now.

        Raises:
            WalletError: no wallet pays for the subscriber yet.
        """
        assignment = subscriber.assignment_at(now_ms)
        if assignment is None:
            raise WalletError(f"sim: no wallet pays for {subscriber.id} yet")
        wallet = self._store.wallet_ref(subscriber.tenant, assignment.wallet)
        return Subject(subscriber, assignment, wallet, self._store.member_key(wallet, subscriber.id), now_ms)

    async def present(self, subject: Subject) -> tuple[Subscription, View]:
        """The subscription, once all that is due is done; it begins if the plan has been assigned."""
        while (done := await self._stepper.round([subject], _up_to_now, now_ms=subject.at_ms)).went:
            pass
        if done.stuck:
            raise PlanError("plan", done.stuck[subject.key])
        (standing,) = await self._stepper.standing([subject])
        if standing.subscription is None:
            raise WalletError(f"sim: {subject.subscriber.id} is no member of wallet {subject.wallet.name}")
        counters = standing.member.counters
        return standing.subscription, view_of(self.catalogue, counters, standing.available_nanos)

    async def standing(self, subjects: Sequence[Subject]) -> list[tuple[Subscription | None, View]]:
        """Subscriptions as they stand, whatever is due; None where the assigned plan has not begun."""
        found = []
        for subject, standing in zip(subjects, await self._stepper.standing(subjects), strict=True):
            subscription = standing.subscription
            if subscription is not None and subscription.assigned_ms < subject.assignment.from_ms:
                subscription = None
            found.append((subscription, view_of(self.catalogue, standing.member.counters, standing.available_nanos)))
        return found

    async def begin_assigned(self, subscriber: Subscriber, timers: Timers, *, now_ms: int) -> None:
        """Begin the plan that was assigned last, or note when that is due. A crash before: it begins with its usage."""
        assignment = subscriber.assignments[-1]
        if assignment.from_ms > now_ms:
            wallet = self._store.wallet_ref(subscriber.tenant, assignment.wallet)
            await timers.put(wallet, subscriber.id, assignment.from_ms)
        else:
            await self.begin(self.subject(subscriber, now_ms))

    async def begin(self, subject: Subject) -> None:
        """Begin the assigned plan, if it has a life or another ends with it, so that this does not wait for usage."""
        plan = self.catalogue.plan(subject.assignment.plan, subject.at_ms)
        if plan is not None and (plan.has_life or await self._has_any(subject)):
            await self.present(subject)

    async def _has_any(self, subject: Subject) -> bool:
        (standing,) = await self._stepper.standing([subject])
        return standing.subscription is not None

    async def check_move(self, subscriber: Subscriber, wanted: Assignment) -> None:
        """Whether a subscriber may be given another wallet or plan as of then.

        Raises:
            WalletError: it changed its plan later than that. What it has of that plan would go on in a wallet that pays
                for it no more, or before a plan that was assigned, and nothing would ever end it.
        """
        last = subscriber.assignments[-1]
        ref = self._store.wallet_ref(subscriber.tenant, last.wallet)
        key = self._store.member_key(ref, subscriber.id)
        (document,) = await self._store.documents([document_key(key)])
        if wanted == last or document is None:
            return
        since_ms = read_subscription(document).assigned_ms
        if since_ms > wanted.from_ms:
            since = datetime.fromtimestamp(since_ms // 1000, UTC).isoformat()
            raise WalletError(f"from: {subscriber.id} has its plan since {since}; this can hold from then on, or later")

    async def make(self, subject: Subject, wanted: Wanted, request: str, tax: Tax | None = None) -> Decision:
        """Make the step that is asked for, once for each request.

        Raises:
            PlanError: it cannot be done; names the field. WalletError: the wallet cannot pay it.
        """
        return self.checked(subject, await self.decide(subject, wanted, request, tax))

    @staticmethod
    def checked(subject: Subject, decision: Decision) -> Decision:
        """A decision by which something was done.

        Raises:
            WalletError: the wallet could not pay it.
        """
        if decision.reason is Reason.INSUFFICIENT_BALANCE:
            raise WalletError(f"amount: wallet {subject.wallet.name} cannot pay it; refill it first")
        if decision.reason is Reason.BALANCE_LIMIT:
            raise WalletError("amount: the balance would pass what the ledger holds")
        return decision

    async def decide(self, subject: Subject, wanted: Wanted, request: str, tax: Tax | None = None) -> Decision:
        """The same; that the wallet cannot pay it is an answer too.

        Raises:
            PlanError: it cannot be done; names the field. WalletError: the subscriber is no member of the wallet now.
        """
        known = await self.found(subject, request)
        if known is not None:
            return known
        await self.present(subject)

        def choose(_: Subject, subscription: Subscription | None, view: View) -> Step | None:
            if subscription is None:
                return None
            if subscription.stepped_ms > subject.at_ms:
                # As of before a step that was made by a clock ahead of this one, what that paid for would be lost.
                raise WalletError(f"sim: a step of {subject.subscriber.id} was made at this moment; send it again")
            return wanted(subscription, view)

        decision = await self._stepper.make(subject, choose, now_ms=subject.at_ms, entry_id=request, tax=tax)
        if decision is None:
            raise PlanError("sim", f"{subject.subscriber.id} has no subscription")
        return decision

    async def decided(self, tenant: str, wallet: str, request: str) -> Decision | None:
        """What was decided on a request before."""
        return await self._stepper.remembered(tenant, wallet, request)

    async def found(self, subject: Subject, request: str) -> Decision | None:
        """The same in any wallet that the subscriber has had: it may have moved before the request is repeated."""
        for wallet in dict.fromkeys(assignment.wallet for assignment in reversed(subject.subscriber.assignments)):
            decision = await self.decided(subject.subscriber.tenant, wallet, request)
            if decision is not None:
                return decision
        return None


def _up_to_now(subject: Subject, subscription: Subscription | None, view: View) -> Step | None:
    return joins(subject, None, view) if subscription is None else due_by_time(subject, subscription, view)
