"""From the wallet above: a transfer. The debit there is all or nothing, and carries the credit here with it."""

from __future__ import annotations

from rater.accounts.book import Accounts
from rater.accounts.wallets import AccountWallets
from rater.payments.entries import transfer_of
from rater.payments.model import Payment, ProviderAnswer
from rater.wallet.entry import Entry, Stale
from rater.wallet.legs import came_back, forward
from rater.wallet.store import WalletStore
from schemas.fates import Reason
from streams.payments.provider import NoAnswerError, NoWebhooks

#: A wallet with one of these pays for nobody, as in any transfer.
_STOPPING = {"operator", "fraud"}


async def wallet_above(
    accounts: Accounts, wallets: AccountWallets, tenant: str, wallet: str, named: str
) -> tuple[str, bool]:  # fmt: skip
    """Which wallet pays for another, and whether it is one of the organisation above the wallet's account.

    Without a name it is the organisation's wallet of its own name; empty if there is no organisation above.
    """
    chain = await accounts.chain(tenant, await wallets.account_of(tenant, wallet))
    if len(chain) < 2:
        return named, False
    organisation = chain[-1].name
    name = named or organisation
    return name, await wallets.account_of(tenant, name) == organisation


class ParentProvider(NoWebhooks):
    """Each call is the same: the wallets remember what was decided under the payment's id."""

    def __init__(self, store: WalletStore) -> None:
        self._store = store

    async def create(self, payment: Payment, now_ms: int) -> ProviderAnswer:
        """Debit, and let the money arrive; the publisher would bring it as well, from the outbox."""
        debit, onward = transfer_of(payment)
        if await self._is_stopped(debit):
            return ProviderAnswer("declined", payment.id, "parent_held")
        (answer,) = await self._store.apply([debit], now_ms=now_ms)
        if isinstance(answer, Stale):
            if answer.why not in ("no_wallet", "currency"):
                raise NoAnswerError(f"the wallet {payment.parent} is busy: {answer.why}")
            return ProviderAnswer("declined", payment.id, f"parent_{answer.why}")
        if answer.fingerprint != debit.fingerprint:
            return ProviderAnswer("declined", payment.id, Reason.ID_CONFLICT.label)
        if answer.reason:
            return ProviderAnswer("declined", payment.id, answer.reason.label)
        if not await forward(self._store, onward, now_ms=now_ms):
            raise NoAnswerError(f"neither {payment.wallet} nor {payment.parent} has room for the money now")
        if await came_back(self._store, onward.back):
            return ProviderAnswer("declined", payment.id, "came_back")
        return ProviderAnswer("confirmed", payment.id)

    async def look(self, payment: Payment, now_ms: int) -> ProviderAnswer:
        """The same as to create it."""
        return await self.create(payment, now_ms)

    async def cancel(self, payment: Payment, now_ms: int) -> ProviderAnswer:
        """A transfer is done, or refused, by the time anybody could call it off."""
        return await self.create(payment, now_ms)

    async def _is_stopped(self, debit: Entry) -> bool:
        """Whether the wallet above is held so that it pays for nobody, and has not paid for this before."""
        state = await self._store.wallet(debit.tenant, debit.wallet)
        if state is None or not _STOPPING.intersection(state.holds):
            return False
        return await self._store.remembered(debit.tenant, debit.wallet, debit.identity) is None
