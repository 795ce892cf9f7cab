"""What a platform must act on (`suspended`, `resumed`), and each change of a wallet that is not usage."""

import msgspec


class LifecycleEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """A set of holds became non-empty (`suspended`) or empty (`resumed`), of a wallet or of one subscriber.

    Delivery is at least once and in order; a consumer that keeps the highest `status_version` of each
    (tenant, wallet, subscriber) acts on each crossing once. Wallet event first, then one for each subscriber.
    """

    type: str
    tenant: str
    wallet: str
    #: Empty for the event of the wallet itself.
    subscriber: str
    #: The hold that was set or lifted: balance, expired, payment, operator, fraud, parent.
    reason: str
    holds: tuple[str, ...]
    status_version: int
    balance_nanos: int
    currency: str
    epoch: int
    n: int
    #: Identity of what crossed the line: a usage event ("source/id") or a command.
    cause: str
    occurred_ms: int


class WalletEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """The journal's line for a wallet change that is not usage: create, top-up, fee, hold, release, join, leave ..."""

    tenant: str
    wallet: str
    epoch: int
    n: int
    kind: str
    source: str
    id: str
    amount_nanos: int
    balance_before_nanos: int
    balance_after_nanos: int
    currency: str
    occurred_ms: int
    holds: tuple[str, ...] = ()
    subscriber: str = ""
    note: str = ""
