"""By invoice: the payment waits until a person says that it was paid. The balance is given then, or at once."""

from __future__ import annotations

from rater.payments.model import Payment, ProviderAnswer
from streams.payments.provider import NoWebhooks


class InvoiceProvider(NoWebhooks):
    """Nobody is asked; `PaymentDesk.confirm` and `cancel` carry what the person said."""

    async def create(self, payment: Payment, now_ms: int) -> ProviderAnswer:
        """It is pending from now on."""
        return ProviderAnswer("pending", payment.id)

    async def look(self, payment: Payment, now_ms: int) -> ProviderAnswer:
        """Nothing is known here that the payment does not say itself."""
        return ProviderAnswer("pending", payment.id)

    async def cancel(self, payment: Payment, now_ms: int) -> ProviderAnswer:
        """It is not expected any more."""
        return ProviderAnswer("cancelled", payment.id)
