"""Wallet commands as they come through the commands topic: what the command line does, for a platform's back office."""

from typing import Literal

import msgspec


class WalletCommand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One change of a wallet. (tenant, source, id) is its identity: the same again changes nothing.

    `amount` is an exact decimal string in the wallet's currency, for top-up and fee; `hold` names the hold, for hold
    and release; `floor` moves the floor to `amount`.
    """

    tenant: str
    source: str
    id: str
    wallet: str
    kind: Literal["top-up", "fee", "hold", "release", "floor"]
    amount: str = ""
    currency: str = ""
    hold: Literal["", "expired", "payment", "operator", "fraud"] = ""
    #: For hold and release: one SIM instead of the whole wallet.
    subscriber: str = ""
    note: str = ""
