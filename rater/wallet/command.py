"""Commands on wallets, from the command line or the commands topic, as entries for the wallet's one call."""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from rater.errors import WalletError
from rater.geo.codes import is_currency
from rater.identity import FINGERPRINT_BYTES, identity
from rater.money import parse_nanos
from rater.wallet.entry import Decision, Entry, Kind, Stale
from rater.wallet.store import WalletStore
from schemas.commands import WalletCommand
from schemas.fates import Reason

_KINDS = {"create": Kind.CREATE, "top-up": Kind.CREDIT, "fee": Kind.DEBIT, "hold": Kind.HOLD,
          "release": Kind.RELEASE, "floor": Kind.FLOOR}  # fmt: skip

#: What an answer that is no decision means to the person who asked.
_STALE = {
    "no_wallet": "wallet: {tenant} has no wallet {wallet}",
    "currency": "currency: wallet {wallet} is kept in another currency than {currency}",
    "assignment": "subscriber: {subscriber} is no member of wallet {wallet}",
}


def entry_of(command: WalletCommand) -> Entry:
    """The entry a command asks for.

    Raises:
        WalletError: a field is missing or wrong; names it.
        MoneyError: the amount is no exact decimal.
    """
    kind = _KINDS[command.kind]
    if kind in (Kind.HOLD, Kind.RELEASE) and not command.hold:
        raise WalletError(f"hold: {command.kind} needs one of expired, payment, operator, fraud")
    if kind in (Kind.CREDIT, Kind.DEBIT) and not command.amount:
        raise WalletError(f"amount: {command.kind} needs one, such as 12.50")
    if kind is Kind.CREATE and not command.currency:
        raise WalletError("currency: a wallet is created in one, such as EUR")
    if command.currency and not is_currency(command.currency):
        raise WalletError(f'currency: "{command.currency}" is no ISO 4217 code such as EUR')
    amount_nanos = parse_nanos(command.amount or "0")
    if amount_nanos < 0 and kind is not Kind.FLOOR:
        raise WalletError("amount: must not be negative")
    content = msgspec.json.encode(command)
    return Entry(
        kind=kind,
        tenant=command.tenant,
        wallet=command.wallet,
        identity=identity(command.tenant, command.source, command.id),
        fingerprint=blake2b(content, digest_size=FINGERPRINT_BYTES).digest(),
        cause=f"{command.source}/{command.id}",
        currency=command.currency,
        amount_nanos=amount_nanos,
        subscriber=command.subscriber,
        hold=command.hold,
        floor_nanos=parse_nanos(command.floor or "0"),
        note=command.note,
    )


async def carry_out(store: WalletStore, command: WalletCommand, *, now_ms: int) -> Decision:
    """Apply a command; the same again answers the same decision (`known`) and changes nothing.

    Raises:
        WalletError: it cannot be carried out, or its id was used for something else; says why.
    """
    entry = entry_of(command)
    (answer,) = await store.apply([entry], now_ms=now_ms)
    if isinstance(answer, Stale):
        text = _STALE.get(answer.why, "the wallet is busy: " + answer.why)
        raise WalletError(text.format_map(msgspec.structs.asdict(command)))
    if answer.fingerprint != entry.fingerprint:
        raise WalletError(f"id: {command.id} was used before for another command; the first one stands")
    if answer.reason is Reason.INSUFFICIENT_BALANCE:
        raise WalletError(f"amount: {command.wallet} does not have {command.amount} available")
    if answer.reason is Reason.BALANCE_LIMIT:
        raise WalletError("amount: the balance would pass what the ledger holds (9223372036.854775807)")
    if command.kind == "create" and answer.n == 0:
        raise WalletError(f"wallet: {command.tenant} has {command.wallet} already; its balance is changed by top-ups")
    return answer
