"""Asks for refills by itself: when a wallet is low, when a wait or a cap is over, when a payment has ended.

1. put    the wallet's name stands among what is due; the wallet gets the threshold at which it says that it is low.
2. decide upon the document as read, then the wallet as read after it. A crash: the timer looks again.
3. ask    the document is replaced if it is still what was read: the request stands, with its price and its payment's
          id. Of two processes one asks. A crash: the timer finds a request without a payment, and makes it.
4. pay    the desk makes the payment of that id, or goes on with it.
5. end    once it is decided the document says so, with the notices that tell of it. A crash: the payment stays due
          until the wallet's name is put among what is due (`PaymentDesk.ended`), and the timer ends it.
6. tell   each notice is an entry on the wallet that changes nothing, applied once. A crash: again.
7. leave  the wallet's name is due again when time alone changes something, or not any more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec

from rater.documents import Documents
from rater.money import NANOS
from rater.payments.auto_refill import (
    WalletAutoRefill,
    auto_refills,
    due,
    ended,
    entry_of,
    payment_of,
    requested,
    set_terms,
    threshold_of,
    told,
    without_offer,
)
from rater.payments.methods import WalletMethods
from rater.payments.model import Means, Payment
from rater.wallet.entry import Stale
from rater.wallet.store import WalletStore
from streams.payments.desk import LOOK_MAX_MS, LOOK_MIN_MS, PaymentDesk
from streams.payments.due import PAGE, Due, each
from streams.payments.offers import Offers

log = logging.getLogger(__name__)

DUE: Final = "auto-refills"


class AutoRefills:
    """One per process; any number of them share the wallets."""

    def __init__(
        self, redis: Any, store: WalletStore, desk: PaymentDesk, offers: Offers, methods: Documents[WalletMethods],
        clock_ms: Callable[[], int], wake: Callable[[], None],
    ) -> None:  # fmt: skip
        self._store = store
        self._desk = desk
        self._offers = offers
        self._methods = methods
        self._clock_ms = clock_ms
        self._wake = wake
        self._documents = auto_refills(redis, store)
        self._due = Due(redis, DUE)
        desk.ended = self._payment_ended

    async def get(self, tenant: str, wallet: str) -> WalletAutoRefill | None:
        """What is set for a wallet, and what has come of it."""
        return await self._documents.get(tenant, wallet)

    async def set(self, wanted: WalletAutoRefill, version: int) -> WalletAutoRefill | None:
        """Set a wallet's terms, if they are still the ones of this version (0: none); None if they are not."""
        await self._due.put(_name(wanted.tenant, wanted.wallet), self._clock_ms())
        if not version:
            stood, is_new = await self._documents.create(wanted, wanted.wallet)
            return stood if is_new else None
        taken = False

        def after(found: WalletAutoRefill) -> WalletAutoRefill:
            nonlocal taken
            taken = found.version == version
            return set_terms(found, wanted.terms) if taken else found

        changed = await self._documents.change(wanted.tenant, wanted.wallet, after)
        return changed if taken else None

    async def look_soon(self, tenant: str, wallet: str) -> None:
        """Let a wallet be looked at by whoever is first."""
        if await self.get(tenant, wallet) is not None:
            await self._due.put(_name(tenant, wallet), self._clock_ms())

    async def look_once(self) -> int:
        """Look at the wallets that are due; answers how many there were."""
        claimed = await self._due.claim(self._clock_ms(), PAGE)
        await each(claimed, self._look, "auto-refill")
        return len(claimed)

    async def _look(self, name: str, token: int) -> None:
        """Steps 2 to 7."""
        tenant, wallet = msgspec.json.decode(name, type=tuple[str, str])
        known = await self.get(tenant, wallet)
        if known is None:  # a crash came before it was set
            await self._due.again(name, token, None)
            return
        await self._follow_terms(known)
        found = await self._end(await self._documents.change(tenant, wallet, self._decided))
        found = await self._tell(found)
        await self._due.again(name, token, await self._next_ms(found))

    async def _follow_terms(self, found: WalletAutoRefill) -> None:
        """The wallet's threshold is that of the terms, once for each time that they were set."""
        state = await self._store.wallet(found.tenant, found.wallet)
        if found.terms.enabled and state is not None and state.threshold_nanos != found.terms.threshold_nanos:
            await self._store.apply([threshold_of(found)], now_ms=self._clock_ms())
            self._wake()

    async def _decided(self, found: WalletAutoRefill) -> WalletAutoRefill:
        """Steps 2 and 3: what the document is to be. The wallet is read after it, so it is not older."""
        if found.request is not None or found.state.is_off or not found.terms.enabled:
            return found
        now_ms, terms = self._clock_ms(), found.terms
        offered = self._offers.offer(terms.plan, terms.offer, now_ms)
        if offered is None or terms.method not in offered[1].paid_by:
            return without_offer(found, "no_offer", now_ms)
        means = await self._means(found)
        if means is None:
            return without_offer(found, "no_payment_method", now_ms)
        plan, offer = offered
        if not due(found, offer, await self._available_nanos(found), now_ms).asks:
            return found
        return requested(found, offer, plan.currency, means, now_ms)

    async def _end(self, found: WalletAutoRefill) -> WalletAutoRefill:
        """Steps 4 and 5."""
        if found.request is None:
            return found
        payment = await self._desk.get(found.tenant, found.request.payment)
        if payment is None:
            payment, _ = await self._desk.start(payment_of(found, found.request))
        after = partial(ended, payment=payment, at_ms=self._clock_ms())
        return await self._documents.change(found.tenant, found.wallet, after)

    async def _tell(self, found: WalletAutoRefill) -> WalletAutoRefill:
        """Step 6."""
        if not found.to_tell:
            return found
        entries = [entry_of(found, telling) for telling in found.to_tell]
        answers = await self._store.apply(entries, now_ms=self._clock_ms())
        self._wake()
        done = {
            telling.id
            for telling, answer in zip(found.to_tell, answers, strict=True)
            if not isinstance(answer, Stale)
        }  # fmt: skip
        return await self._documents.change(found.tenant, found.wallet, partial(told, ids=done))

    async def _next_ms(self, found: WalletAutoRefill) -> int | None:
        """When to look again without being told to; None if only news makes it necessary."""
        now_ms = self._clock_ms()
        if found.to_tell:
            return now_ms + LOOK_MIN_MS
        if found.request is not None:  # its end is told; this is for a word that was lost
            waited_ms = now_ms - found.request.at_ms
            return now_ms + min(max(waited_ms, LOOK_MIN_MS), LOOK_MAX_MS)
        offered = self._offers.offer(found.terms.plan, found.terms.offer, now_ms)
        if offered is None:  # a request was in flight until now: the next look says that there is no offer any more
            return None if found.state.is_off or not found.terms.enabled else now_ms
        decision = due(found, offered[1], await self._available_nanos(found), now_ms)
        return now_ms if decision.asks else decision.retry_ms

    async def _available_nanos(self, found: WalletAutoRefill) -> int:
        state = await self._store.wallet(found.tenant, found.wallet)
        # A wallet that is nowhere is not refilled; wallets are never removed, so this is before it is opened.
        return state.available_nanos if state is not None else 2**63 * NANOS

    async def _means(self, found: WalletAutoRefill) -> Means | None:
        """With what a card payment is made; None if the method that was set is gone."""
        if found.terms.method != "card":
            return Means()
        methods = await self._methods.get(found.tenant, found.wallet)
        method = methods.named(found.terms.payment_method) if methods is not None else None
        return method.means if method is not None else None

    async def _payment_ended(self, payment: Payment) -> None:
        if payment.purpose.kind == "auto-refill":
            await self.look_soon(payment.tenant, payment.wallet)


def _name(tenant: str, wallet: str) -> str:
    """The wallet among what is due."""
    return msgspec.json.encode((tenant, wallet)).decode()
