"""Makes invoices of closings, and has them paid and cancelled; any number of processes at once, each safe to repeat.

An invoice is made in these steps:

1. read    the decision on the step that closed the period, and the earlier invoices that cover something there.
2. list    the invoice's names (streams/invoices/shelf.py). A crash: names of nothing, left out by readers.
3. write   the invoice, if there is none of its id; else that one stands. A crash: the closing is told again, from 1.
4. tell    `invoice.issued`, by a note in the wallet's call, once for its id. A crash: told again, and known there.

The closings of a wallet come in the order of its changes, and whoever makes one has seen the earlier ones made: they
are told on one topic under one key, and a reader goes on only behind what is done.

It is paid in these steps:

1. confirm that a person said so stands in the invoice. From here on it cannot be cancelled. A crash: confirm again.
2. credit  the wallet takes the money and tells `invoice.paid` in the same call, once for the id invoice/<id>.
3. mark    the invoice is paid. A crash between 2 and 3: the repeat finds the money there, and marks it.

Money that a provider took for it comes by its notice `payment.confirmed`, and goes the same way.

Whether an invoice is paid is asked of the wallet where it matters (rater/invoices/accrual.py), not of the mark.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from rater.errors import WalletError
from rater.identity import identity
from rater.invoices.accrual import covers, invoice_of
from rater.invoices.entries import issued, payment, payment_identity, surplus
from rater.invoices.model import Closing, Invoice, Place, Received
from rater.wallet.entry import Decision, Entry, Stale
from rater.wallet.store import WalletStore
from schemas.fates import Fate
from streams.invoices.shelf import Shelf

log = logging.getLogger(__name__)

#: The account that a wallet of a tenant belongs to.
AccountOf = Callable[[str, str], Awaitable[str]]


class InvoiceDesk:
    """One per process."""

    def __init__(self, shelf: Shelf, store: WalletStore, account_of: AccountOf, clock_ms: Callable[[], int]) -> None:
        self.shelf = shelf
        self._store = store
        self._account_of = account_of
        self._clock_ms = clock_ms

    async def get(self, tenant: str, invoice_id: str) -> Invoice | None:
        """An invoice; None if there is none."""
        found = await self.shelf.get(tenant, invoice_id)
        return found if found is not None and found.status != "empty" else None

    async def close(self, closing: Closing) -> Invoice | None:
        """Make the invoice of a closing, or the mark that nothing was owed; the same again changes nothing.

        None where the wallet does not know the step: then there is nothing to go by, and what was owed comes with the
        next closing.
        """
        stands = await self.shelf.get(closing.tenant, closing.id)
        if stands is None:
            stands = await self._made(closing)
        if stands is not None and stands.status != "empty":
            await self._store.apply([issued(stands)], now_ms=self._clock_ms())
        return stands

    async def _made(self, closing: Closing) -> Invoice | None:
        tenant, wallet = closing.tenant, closing.wallet
        state = await self._store.wallet(tenant, wallet)
        step = await self._store.remembered(tenant, wallet, identity(tenant, closing.source, closing.step))
        if state is None or step is None or step.fate is not Fate.RATED or not step.n:
            log.error("%s/%s: the step %s that closed a period is not known", tenant, wallet, closing.step)
            return None
        place = Place(step.epoch, step.n)
        covering = []
        for earlier in await self.shelf.covering(tenant, wallet):
            if earlier.place >= place:
                continue
            if covers(earlier, await self.payment(earlier), place):
                covering.append(earlier)
            else:
                await self.shelf.uncover(earlier)  # nor will it at a later place
        before = await self.shelf.before(tenant, wallet, place)
        account = await self._account_of(tenant, wallet)
        return await self.shelf.create(invoice_of(closing, step, account, state.currency, covering, before))

    async def payment(self, invoice: Invoice) -> Decision | None:
        """What the wallet decided on the payment of an invoice."""
        digest = payment_identity(invoice.tenant, invoice.id)
        return await self._store.remembered(invoice.tenant, invoice.wallet, digest)

    async def pay(self, invoice: Invoice) -> Invoice:
        """A person says that an invoice was paid. The same again changes nothing.

        Raises:
            WalletError: it was cancelled, or the wallet cannot take so much.
        """
        now_ms = self._clock_ms()

        def confirmed(found: Invoice) -> Invoice:
            if found.status != "open" or found.confirmed_ms:
                return found
            return replace(found, confirmed_ms=now_ms)

        found = await self.shelf.change(invoice.tenant, invoice.id, confirmed)
        if found.status == "cancelled":
            raise WalletError(f"invoice: {found.id} was cancelled, so it cannot be paid")
        await self._credit(payment(found), now_ms)
        return await self.shelf.change(found.tenant, found.id, _paid)

    async def receive(self, received: Received) -> None:
        """Money arrived by a payment: the wallet has it once for each payment, whatever became of the invoice.

        Of a cancelled invoice too, and of one that was paid otherwise: it is the payer's.
        """
        invoice = await self.shelf.get(received.tenant, received.invoice)
        if invoice is None:
            log.error("payment %s is of an invoice %s that is not there", received.payment, received.invoice)
            return
        now_ms = self._clock_ms()

        def confirmed(found: Invoice) -> Invoice:
            return found if found.confirmed_ms else replace(found, confirmed_ms=now_ms, paid_by=received.payment)

        found = await self.shelf.change(invoice.tenant, invoice.id, confirmed)
        if found.paid_by != received.payment:
            await self._credit(surplus(found, received.payment), now_ms)
            return
        await self._credit(payment(found), now_ms)
        await self.shelf.change(found.tenant, found.id, _paid)

    async def bind(self, invoice: Invoice, payment_id: str, last: str) -> bool:
        """Say that a payment is begun for an invoice; False where the last one is not `last` any more."""

        def bound(found: Invoice) -> Invoice:
            is_free = found.payment == last and found.status == "open" and not found.confirmed_ms
            return replace(found, payment=payment_id) if is_free else found

        found = await self.shelf.change(invoice.tenant, invoice.id, bound)
        return found.payment == payment_id

    async def _credit(self, entry: Entry, now_ms: int) -> None:
        (answer,) = await self._store.apply([entry], now_ms=now_ms)
        if isinstance(answer, Stale):
            raise WalletError(f"invoice: wallet {entry.wallet} cannot be credited: {answer.why}")
        if answer.fate is not Fate.RATED:
            raise WalletError("amount: the balance would pass what the ledger holds")

    async def cancel(self, invoice: Invoice) -> Invoice:
        """Call an invoice off. What it was over stays owed, and is on the next one. The same again changes nothing.

        Raises:
            WalletError: it is paid.
        """
        now_ms = self._clock_ms()

        def cancelled(found: Invoice) -> Invoice:
            if found.status != "open" or found.confirmed_ms:
                return found
            return replace(found, status="cancelled", cancelled_ms=now_ms)

        found = await self.shelf.change(invoice.tenant, invoice.id, cancelled)
        if found.status != "cancelled":
            raise WalletError(f"invoice: {found.id} is paid, so it cannot be cancelled")
        await self.shelf.uncover(found)
        return found


def _paid(invoice: Invoice) -> Invoice:
    """An open invoice is paid; one that was cancelled stays so, though its money came."""
    return replace(invoice, status="paid", paid_ms=invoice.confirmed_ms) if invoice.status == "open" else invoice
