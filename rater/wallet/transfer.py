"""Money from one wallet to another of the same tenant and currency: two legs with one id.

1. The order is kept under its id, so that the id means this and nothing else. A crash: nothing has moved.
2. One call debits the one wallet and puts the credit of the other into the outbox, or refuses: all or nothing. A crash:
   the money is on its way, in the outbox.
3. The publisher credits the other wallet (`rater.wallet.legs`). Where that would pass what the ledger holds, the money
   comes back. A crash: the next publisher does the same, and finds done what was done.

Each leg has an identity of its own that its wallet's shard remembers for ever: (transfer, id), (transfer-in, id),
(transfer-back, id). What became of a transfer is read from there and stands nowhere else.

Both wallets exist before anything moves, and a wallet never goes away or changes its currency. So a refusal of the
second leg is decided, and remembered, in the other wallet's own call: two publishers that both believe to have the
lease still come to the same end.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Literal

import msgspec

from rater.errors import WalletError
from rater.identity import FINGERPRINT_BYTES, identity
from rater.money import MoneyError, format_nanos, parse_nanos
from rater.wallet.entry import Decision, Entry, Kind, Stale
from rater.wallet.legs import came_back
from rater.wallet.news import Onward, pack_onward
from rater.wallet.states import WalletState
from rater.wallet.store import WalletStore
from schemas.commands import WalletCommand
from schemas.fates import Fate

OUT, IN, BACK = "transfer", "transfer-in", "transfer-back"
#: A wallet with one of these sends nothing; what it is asked to take, it takes.
_STOPPING = ("operator", "fraud")

Status = Literal["in_transit", "done", "returned", "refused"]


class Order(msgspec.Struct, frozen=True):
    """What a transfer's id stands for. `amount` is an exact decimal, in the currency of both wallets."""

    tenant: str
    id: str
    from_wallet: str
    to_wallet: str
    amount: str
    note: str = ""


class Transfer(msgspec.Struct, frozen=True):
    """A transfer as it stands. Refused: nothing was debited, and never will be under this id."""

    order: Order
    currency: str
    status: Status
    decided_ms: int
    #: Of the wallet it came from, before the debit.
    balance_before_nanos: int
    #: Whether it was decided by an earlier call.
    known: bool = True


_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(Order).decode


class Transfers:
    """Makes transfers and says what became of them."""

    def __init__(self, redis: Any, store: WalletStore) -> None:
        self._redis = redis
        self._store = store

    async def make(self, order: Order, *, now_ms: int) -> Transfer:
        """Debit the one wallet; the other is credited by the publisher. The same order again changes nothing.

        Raises:
            WalletError: it cannot be carried out, or its id was used for something else; names the field.
        """
        order = msgspec.structs.replace(order, amount=format_nanos(_amount(order)))
        kept = await self._redis.get(_key(order.tenant, order.id))
        if kept is not None and _decode(kept) != order:
            raise WalletError(f"id: {order.id} was used before for another transfer; the first one stands")
        made = await self._state(order) if kept is not None else None
        if made is None:
            made = await self._begin(order, now_ms)
        if made.status == "refused":
            raise WalletError(f"amount: {order.from_wallet} does not have {order.amount} available")
        return made

    async def _begin(self, order: Order, now_ms: int) -> Transfer:
        source = await self._wallet(order.tenant, order.from_wallet, "from_wallet")
        target = await self._wallet(order.tenant, order.to_wallet, "to_wallet")
        _check(source, target)
        if not await self._store.replace(_key(order.tenant, order.id), b"", _encode(order)):
            kept = await self._redis.get(_key(order.tenant, order.id))
            if _decode(kept) != order:
                raise WalletError(f"id: {order.id} was used before for another transfer; the first one stands")
        (answer,) = await self._store.apply([_debit(order, source.currency)], now_ms=now_ms)
        if isinstance(answer, Stale):
            raise WalletError(f"from_wallet: {order.from_wallet} cannot be debited: {answer.why}")
        made = await self._state(order)
        assert made is not None, "what was decided is remembered"
        return msgspec.structs.replace(made, known=answer.known)

    async def find(self, tenant: str, transfer_id: str) -> Transfer | None:
        """What became of a transfer; None if nothing was decided under this id."""
        kept = await self._redis.get(_key(tenant, transfer_id))
        order = _decode(kept) if kept is not None else None
        if order is None or (order.tenant, order.id) != (tenant, transfer_id):
            return None
        return await self._state(order)

    async def _state(self, order: Order) -> Transfer | None:
        debit = await self._decided(order, order.from_wallet, OUT)
        if debit is None:
            return None
        source = await self._store.wallet(order.tenant, order.from_wallet)
        assert source is not None, "a wallet that decided exists"
        return Transfer(
            order, source.currency, await self._status(order, debit), debit.decided_ms, debit.balance_before_nanos
        )

    async def _status(self, order: Order, debit: Decision) -> Status:
        if debit.fate is not Fate.RATED:
            return "refused"
        arrived = await self._decided(order, order.to_wallet, IN)
        if arrived is not None and arrived.fate is Fate.RATED:
            return "done"
        back = _leg(order, BACK, order.from_wallet, "")
        return "returned" if await came_back(self._store, back) else "in_transit"

    async def _decided(self, order: Order, wallet: str, leg: str) -> Decision | None:
        return await self._store.remembered(order.tenant, wallet, identity(order.tenant, leg, order.id))

    async def _wallet(self, tenant: str, wallet: str, field: str) -> WalletState:
        state = await self._store.wallet(tenant, wallet) if "/" not in wallet else None
        if state is None:
            raise WalletError(f"{field}: {tenant} has no wallet {wallet}")
        return state


def _amount(order: Order) -> int:
    try:
        nanos = parse_nanos(order.amount)
    except MoneyError as error:
        raise WalletError(f"amount: {error}") from error
    if nanos <= 0:
        raise WalletError("amount: must be more than 0")
    return nanos


def _check(source: WalletState, target: WalletState) -> None:
    if source.wallet == target.wallet:
        raise WalletError(f"to_wallet: {target.wallet} is where the money comes from")
    if source.currency != target.currency:
        raise WalletError(f"to_wallet: {target.wallet} is kept in {target.currency}, not {source.currency}")
    stopping = [hold for hold in source.holds if hold in _STOPPING]
    if stopping:
        raise WalletError(f"from_wallet: {source.wallet} is held ({', '.join(stopping)})")


def _debit(order: Order, currency: str) -> Entry:
    there = _leg(order, IN, order.to_wallet, currency)
    back = _leg(order, BACK, order.from_wallet, currency)
    return Entry(
        kind=Kind.DEBIT,
        tenant=order.tenant,
        wallet=order.from_wallet,
        identity=identity(order.tenant, OUT, order.id),
        fingerprint=blake2b(_encode(order), digest_size=FINGERPRINT_BYTES).digest(),
        cause=f"{OUT}/{order.id}",
        currency=currency,
        amount_nanos=parse_nanos(order.amount),
        note=order.note,
        news=(pack_onward(Onward(there, back)),),
    )


def _leg(order: Order, leg: str, wallet: str, currency: str) -> WalletCommand:
    return WalletCommand(
        tenant=order.tenant, source=leg, id=order.id, wallet=wallet, kind="top-up", amount=order.amount,
        currency=currency, note=order.note,
    )  # fmt: skip


def _key(tenant: str, transfer_id: str) -> str:
    return f"transfer:{tenant}:{transfer_id}"
