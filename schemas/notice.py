"""What a platform, a company or an end user may want to hear of, besides suspends and resumes: the `notices` topic."""

from typing import Any

import msgspec


class Notice(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that happened to an account, a wallet or a subscriber.

    Delivery is at least once; `id` is the same each time, and never that of another notice of the tenant.
    """

    id: str
    #: "wallet.low_balance", "plan.changed", "payment.confirmed" ...
    type: str
    tenant: str
    occurred_ms: int
    account: str = ""
    wallet: str = ""
    subscriber: str = ""
    #: What there is to say; money as exact decimal strings.
    data: dict[str, Any] = {}
