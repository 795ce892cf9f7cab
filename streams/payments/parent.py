"""From the wallet above: a transfer. The debit there is all or nothing, and carries the credit here with it."""

from __future__ import annotations

from rater.payments.entries import transfer_of
from rater.payments.model import Payment, ProviderAnswer
from rater.wallet.entry import Stale
from rater.wallet.outbox import Outbox
from rater.wallet.store import WalletStore
from schemas.fates import Reason
from streams.payments.provider import NoAnswerError, NoWebhooks


def wallet_above(tenant: str, wallet: str, named: str) -> str:  # noqa: ARG001 - who asks need not know how it is found
    """Which wallet pays for another one: the one that is named. The one place that knows."""
    return named


class ParentProvider(NoWebhooks):
    """Each call is the same: the wallets remember what was decided under the payment's id."""

    def __init__(self, store: WalletStore, outbox: Outbox) -> None:
        self._store = store
        self._outbox = outbox

    async def create(self, payment: Payment, now_ms: int) -> ProviderAnswer:
        """Debit, and let the money arrive; the publisher would bring it as well, from the outbox."""
        debit, onward = transfer_of(payment)
        (answer,) = await self._store.apply([debit], now_ms=now_ms)
        if isinstance(answer, Stale):
            if answer.why not in ("no_wallet", "currency"):
                raise NoAnswerError(f"the wallet {payment.parent} is busy: {answer.why}")
            return ProviderAnswer("declined", payment.id, f"parent_{answer.why}")
        if answer.fingerprint != debit.fingerprint:
            return ProviderAnswer("declined", payment.id, "id_used_before")
        if answer.reason is Reason.INSUFFICIENT_BALANCE:
            return ProviderAnswer("declined", payment.id, "insufficient_balance")
        if answer.reason:
            return ProviderAnswer("declined", payment.id, answer.reason.label)
        arrived = await self._outbox.forward(onward, now_ms=now_ms)
        return ProviderAnswer("confirmed" if arrived else "declined", payment.id, "" if arrived else "came_back")

    async def look(self, payment: Payment, now_ms: int) -> ProviderAnswer:
        """The same as to create it."""
        return await self.create(payment, now_ms)

    async def cancel(self, payment: Payment, now_ms: int) -> ProviderAnswer:
        """A transfer is done, or refused, by the time anybody could call it off."""
        return await self.create(payment, now_ms)
