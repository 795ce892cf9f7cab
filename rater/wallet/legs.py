"""The second leg of a transfer: carried out once, or the money comes back. Safe to repeat and to be run by two at once.

1. It came back before: nothing is left to do. What came back stays back: its wallet may have been opened since.
2. The other wallet takes it. A crash: its id is remembered there, and 2 finds it done.
3. The other wallet refuses: the wallet it came from takes it back. A crash: 1 finds it done.
4. That would pass what the ledger holds, as it was filled up meanwhile: the money stays on its way, and 3 is tried
   later. A refusal is remembered for ever, so a later try has another identity, with its number in the source.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import count

import msgspec

from rater.errors import WalletError
from rater.identity import identity
from rater.money import AMOUNT_MAX_NANOS, parse_nanos
from rater.wallet.command import carry_out
from rater.wallet.entry import Decision
from rater.wallet.news import Onward
from rater.wallet.store import WalletStore
from schemas.commands import WalletCommand
from schemas.fates import Fate


async def forward(store: WalletStore, onward: Onward, *, now_ms: int) -> bool:
    """Carry out the second leg, or bring the money back; False if neither wallet has room for it now."""
    if await came_back(store, onward.back):
        return True
    try:
        await carry_out(store, onward.command, now_ms=now_ms)
    except WalletError:
        return await _bring_back(store, onward.back, now_ms)
    return True


async def has_arrived(store: WalletStore, onward: Onward) -> bool:
    """Whether the money is in one of the two wallets."""
    there = await _decided(store, onward.command)
    return (there is not None and there.fate is Fate.RATED) or await came_back(store, onward.back)


async def came_back(store: WalletStore, back: WalletCommand) -> bool:
    """Whether one of the tries to bring the money back was taken."""
    for number in count():
        decision = await _decided(store, _try(back, number))
        if decision is None or decision.fate is Fate.RATED:
            return decision is not None
    return False


async def _bring_back(store: WalletStore, back: WalletCommand, now_ms: int) -> bool:
    for number in count():
        command = _try(back, number)
        decision = await _decided(store, command)
        if decision is None:
            state = await store.wallet(back.tenant, back.wallet)
            if state is None or state.balance_nanos > AMOUNT_MAX_NANOS - parse_nanos(back.amount):
                return False
            with suppress(WalletError):  # it may have been filled up since
                await carry_out(store, command, now_ms=now_ms)
            decision = await _decided(store, command)
        if decision is None or decision.fate is Fate.RATED:
            return decision is not None
    return False


def _try(back: WalletCommand, number: int) -> WalletCommand:
    return msgspec.structs.replace(back, source=f"{back.source}~{number}") if number else back


async def _decided(store: WalletStore, command: WalletCommand) -> Decision | None:
    return await store.remembered(command.tenant, command.wallet, identity(command.tenant, command.source, command.id))
