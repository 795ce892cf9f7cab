"""Wallets and members as they stand, unpacked for people and programs."""

from __future__ import annotations

from dataclasses import dataclass

from rater.wallet.entry import hold_names
from rater.wallet.member import counters_of, head_of
from rater.wallet.verdict import unpack_wallet


@dataclass(frozen=True)
class WalletState:
    """A wallet as it stands. available = balance - floor."""

    tenant: str
    wallet: str
    currency: str
    balance_nanos: int
    floor_nanos: int
    n: int
    holds: tuple[str, ...]
    status_version: int
    #: It is low when so much is available, or less; None: it has no threshold.
    threshold_nanos: int | None = None

    @property
    def available_nanos(self) -> int:
        """What may be spent."""
        return self.balance_nanos - self.floor_nanos


@dataclass(frozen=True)
class MemberState:
    """A subscriber of a wallet. `active` is False after it moved away."""

    subscriber: str
    version: int
    holds: tuple[str, ...]
    status_version: int
    active: bool
    counters: dict[str, int]


def wallet_state(tenant: str, wallet: str, packed: bytes | None) -> WalletState | None:
    """A packed wallet; None where there is none."""
    if packed is None:
        return None
    currency, balance, floor, n, holds, version, threshold = unpack_wallet(packed)
    return WalletState(tenant, wallet, currency, balance, floor, n, hold_names(holds), version, threshold)


def member_state(subscriber: str, packed: bytes) -> MemberState:
    """A packed member."""
    assigned, holds, version, active = head_of(packed)
    return MemberState(subscriber, assigned, hold_names(holds), version, bool(active), counters_of(packed))
