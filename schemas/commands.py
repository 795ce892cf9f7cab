"""Wallet commands as they come through the commands topic: what the command line does, for a platform's back office."""

from typing import Literal

import msgspec


class WalletCommand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One change of a wallet. (tenant, source, id) is its identity: the same again changes nothing.

    Amounts are exact decimal strings in the wallet's currency. `create` takes currency, amount (first balance) and
    floor; `top-up` and `fee` take amount; `hold` and `release` name the hold; `floor` moves the floor to `amount`.
    """

    tenant: str
    source: str
    id: str
    wallet: str
    kind: Literal["create", "top-up", "fee", "hold", "release", "floor"]
    amount: str = ""
    currency: str = ""
    floor: str = ""
    hold: Literal["", "expired", "payment", "operator", "fraud"] = ""
    #: For hold and release: one SIM instead of the whole wallet.
    subscriber: str = ""
    note: str = ""
