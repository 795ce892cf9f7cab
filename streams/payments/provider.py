"""What a provider of payments is: who is asked to take the money, and says what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from rater.errors import RaterError
from rater.payments.model import Payment, ProviderAnswer, Report


class NoAnswerError(RaterError):
    """Nobody knows whether the payment was made: a time-out, a fault. It is asked for again, never made again."""


class WebhookError(RaterError):
    """What came as a provider's webhook is none: its signature or its form is wrong."""


@dataclass(frozen=True)
class ProviderEvent:
    """What came by itself, and which payment it is about. Without a report the provider is to be looked at."""

    tenant: str
    payment: str
    reference: str
    report: Report | None


class Provider(Protocol):
    """One way to be paid. Each call may be repeated: our payment's id is what makes it one payment there."""

    def refuses(self, amount_nanos: int, currency: str) -> str | None:
        """Why such an amount can't be paid this way at all, or None."""

    async def create(self, payment: Payment, now_ms: int) -> ProviderAnswer:
        """Ask for a payment that was never asked for before.

        Raises:
            NoAnswerError: it is not known what became of it.
        """

    async def look(self, payment: Payment, now_ms: int) -> ProviderAnswer:
        """What has become of a payment, also of one whose first call had no answer, or was never made.

        Raises:
            NoAnswerError: it is still not known.
        """

    async def cancel(self, payment: Payment, now_ms: int) -> ProviderAnswer:
        """Give a payment up that is not decided; the answer may be that it is paid already.

        Raises:
            NoAnswerError: it is not known whether that worked.
        """

    async def read_webhook(self, headers: Mapping[str, str], body: bytes) -> ProviderEvent | None:
        """What a webhook says; None if it is about nothing of ours.

        Raises:
            WebhookError: it is not from the provider.
            NoAnswerError: the provider had to be asked, and did not answer.
        """

    async def close(self) -> None:
        """Let go of connections."""


class NoWebhooks:
    """For providers that send none, and take any amount."""

    def refuses(self, amount_nanos: int, currency: str) -> str | None:
        """Nothing."""
        return None

    async def read_webhook(self, headers: Mapping[str, str], body: bytes) -> ProviderEvent | None:
        """Always refused."""
        raise WebhookError("this provider sends no webhooks")

    async def close(self) -> None:
        """There is nothing to let go of."""
