"""Makes payments and brings each to its end, over crashes, time-outs, late and doubled webhooks, two processes at once.

1. put    the payment's name stands among what is due. A crash: nothing is there to look at, the name is dropped.
2. record the payment is written down, `created`. A crash: the timers look at the provider, who makes it or has it.
3. ask    the provider is called; our payment's id makes it one payment there. A crash, or no answer: as after 2.
4. report the answer goes into the record, together with the wallet entry it calls for; of two answers at once the
          second is judged upon what the first made of the payment. A crash: the timers carry the entry out.
5. wallet the entry is applied, its notice in the same call. Its id is remembered for ever. A crash: it is found done.
6. mark   the record says that the entry is done, and who waits for the payment is told (`ended`). A crash: again.
7. leave  the name leaves what is due, or stands there for the next look.

A webhook starts with 1, looks at the provider, and goes on with 4. It may come before our own call has returned: both
report the same.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

import msgspec

from rater.documents import Documents
from rater.errors import RaterError
from rater.payments.entries import entry_of
from rater.payments.machine import marked, reported
from rater.payments.model import Payment, ProviderAnswer, Report
from rater.plans.model import Method
from rater.wallet.entry import Stale
from rater.wallet.store import WalletStore
from schemas.fates import Reason
from streams.payments.due import PAGE, Due, each
from streams.payments.listing import Listing, Sort, payment_of
from streams.payments.provider import NoAnswerError, Provider, ProviderEvent

log = logging.getLogger(__name__)

DUE: Final = "payments"
MINUTE_MS = 60_000
#: A payment is looked at again after as long as it has waited so far, within these.
LOOK_MIN_MS = MINUTE_MS
LOOK_MAX_MS = 6 * 60 * MINUTE_MS


class PaymentError(RaterError):
    """What was asked of a payment is not possible; says why."""


class PaymentDesk:
    """One per process; any number of them share the payments."""

    def __init__(
        self, redis: Any, store: WalletStore, providers: Mapping[Method, Provider], clock_ms: Callable[[], int],
        wake: Callable[[], None],
    ) -> None:  # fmt: skip
        self._store = store
        self._providers = providers
        self._clock_ms = clock_ms
        self._wake = wake
        self._documents = Documents(redis, store, "payment", Payment)
        self._due = Due(redis, DUE)
        self._listing = Listing(redis)
        #: Called for each payment that is decided, at least once, before it is let go of.
        self.ended: Callable[[Payment], Awaitable[None]] | None = None

    async def get(self, tenant: str, payment_id: str) -> Payment | None:
        """A payment as it stands."""
        return await self._documents.get(tenant, payment_id)

    async def page(
        self, tenant: str, sort: Sort, name: str, limit: int, before: str = ""
    ) -> tuple[list[Payment], str]:  # fmt: skip
        """Payments of an account, a wallet or the tenant, the newest first, and where the next page begins, if any."""
        entries = await self._listing.page(tenant, sort, name, limit + 1, before)
        shown = entries[:limit]
        payments = await self._documents.many(tenant, [payment_of(entry) for entry in shown])
        return payments, shown[-1] if len(entries) > limit else ""

    async def start(self, payment: Payment) -> tuple[Payment, bool]:
        """Make a payment, or go on with the one of this id; answers it as it stands, and whether it is new.

        It may still be `created` or `pending`: then it goes on by itself.
        """
        token = await self._due.put(_name(payment), self._clock_ms() + LOOK_MIN_MS)
        stored, is_new = await self._documents.create(payment, payment.id)
        return await self._go_on(stored, token, is_new=is_new), is_new

    async def forestall(self, payment: Payment) -> Payment:
        """Let a payment that was never written down not be made later either; answers the one of its id as it stands.

        Who is about to start it, and is slow, finds it cancelled.
        """
        never = msgspec.structs.replace(payment, status="cancelled", reason="never_begun", changed_ms=self._clock_ms())
        stands, _ = await self._documents.create(never, payment.id)
        return stands

    async def take(self, event: ProviderEvent) -> Payment | None:
        """Act on a provider's webhook; None if it is about no payment of ours.

        Raises:
            NoAnswerError: the provider does not say how it stands; the webhook is to be sent again.
        """
        payment = await self.get(event.tenant, event.payment)
        if payment is None or payment.reference not in ("", event.reference):
            return None
        token = await self._due.put(_name(payment), self._clock_ms() + LOOK_MIN_MS)
        report = event.report
        if report is None:
            named = msgspec.structs.replace(payment, reference=event.reference)
            report = await self._provider(payment).look(named, self._clock_ms())
        return await self._leave(await self._settle(await self._report(payment, report)), token)

    async def confirm(self, payment: Payment) -> Payment:
        """An invoice was paid, says a person.

        Raises:
            PaymentError: it is paid otherwise, or was given up.
        """
        if payment.method != "invoice":
            raise PaymentError(f"payment: {payment.id} is paid by {payment.method}, which confirms it by itself")
        return await self._by_hand(payment, ProviderAnswer("confirmed", payment.id))

    async def cancel(self, payment: Payment) -> Payment:
        """Give a payment up that is not decided.

        Raises:
            PaymentError: it is decided, or cannot be called off now.
            NoAnswerError: the provider does not say whether it is.
        """
        if payment.status == "cancelled":
            return await self._by_hand(payment, ProviderAnswer("cancelled", payment.reference))
        answer = ProviderAnswer("pending", payment.reference)
        if not payment.is_decided:
            answer = await self._provider(payment).cancel(payment, self._clock_ms())
        return await self._by_hand(payment, answer, "cancelled")

    async def _by_hand(self, payment: Payment, answer: ProviderAnswer, wanted: str = "") -> Payment:
        """Report what a person decided, unless it was decided otherwise before."""
        wanted = wanted or answer.status
        token = await self._due.put(_name(payment), self._clock_ms() + LOOK_MIN_MS)
        by_person = payment.method == "invoice"

        def after(found: Payment) -> Payment:
            if by_person and found.is_decided:
                return found  # the first person's word counts
            return reported(found, answer, self._clock_ms())

        changed = await self._documents.change(payment.tenant, payment.id, after)
        changed = await self._leave(await self._settle(changed), token)
        if changed.status != wanted:
            raise PaymentError(f"payment: {payment.id} is {changed.status}, so it cannot be {wanted}")
        return changed

    async def look_once(self) -> int:
        """Look at the payments that are due; answers how many there were."""
        claimed = await self._due.claim(self._clock_ms(), PAGE)
        await each(claimed, self._look, "payment")
        return len(claimed)

    async def _look(self, name: str, token: int) -> None:
        tenant, payment_id = msgspec.json.decode(name, type=tuple[str, str])
        payment = await self.get(tenant, payment_id)
        if payment is None:  # a crash came between steps 1 and 2
            await self._due.again(name, token, None)
        else:
            await self._go_on(payment, token, is_new=False)

    async def _go_on(self, payment: Payment, token: int, *, is_new: bool) -> Payment:
        """Steps 3 to 7. Without an answer the payment stays as it is until it is due again."""
        await self._listing.add(payment)
        if not payment.is_decided and not payment.waits_for_person:
            try:
                provider = self._provider(payment)
                answer = await (provider.create if is_new else provider.look)(payment, self._clock_ms())
            except NoAnswerError as error:
                log.warning("payment %s: %s", payment.id, error)
            else:
                payment = await self._report(payment, answer)
        return await self._leave(await self._settle(payment), token)

    async def _report(self, payment: Payment, report: Report) -> Payment:
        """Step 4."""
        after = partial(reported, report=report, at_ms=self._clock_ms())
        return await self._documents.change(payment.tenant, payment.id, after)

    async def _settle(self, payment: Payment) -> Payment:
        """Steps 5 and 6, for every entry that is not done."""
        if not payment.open:
            return payment
        entries = [entry_of(payment, planned) for planned in payment.open]
        answers = await self._store.apply(entries, now_ms=self._clock_ms())
        self._wake()
        outcomes = {}
        for planned, entry, answer in zip(payment.open, entries, answers, strict=True):
            if isinstance(answer, Stale):
                log.error("payment %s: the wallet %s does not take it: %s", payment.id, payment.wallet, answer.why)
                break
            is_ours = answer.fingerprint == entry.fingerprint
            outcomes[planned.id] = answer.reason.label if answer.reason else "" if is_ours else _ID_USED
            if outcomes[planned.id]:
                log.error("payment %s: the wallet refused %s: %s", payment.id, planned.id, outcomes[planned.id])
        after = partial(marked, outcomes=outcomes, at_ms=self._clock_ms())
        payment = await self._documents.change(payment.tenant, payment.id, after)
        # A refusal has a notice of its own, and another process may have planned more: until nothing is open.
        return await self._settle(payment) if outcomes else payment

    async def _leave(self, payment: Payment, token: int) -> Payment:
        """Step 7, and the word to whoever waits for the payment."""
        if payment.is_decided and self.ended is not None:
            await self.ended(payment)
        at_ms = None
        if payment.open or not (payment.is_decided or payment.waits_for_person):
            now_ms = self._clock_ms()
            waited_ms = now_ms - (payment.changed_ms or payment.created_ms)
            at_ms = now_ms + min(max(waited_ms, LOOK_MIN_MS), LOOK_MAX_MS)
        await self._due.again(_name(payment), token, at_ms)
        return payment

    def _provider(self, payment: Payment) -> Provider:
        provider = self._providers.get(payment.method)
        if provider is None:
            raise NoAnswerError(f"nothing is paid by {payment.method} here; see [payments] in the settings")
        return provider


_ID_USED: Final = Reason.ID_CONFLICT.label


def _name(payment: Payment) -> str:
    """The payment among what is due."""
    return msgspec.json.encode((payment.tenant, payment.id)).decode()
