"""The rated record: everything an invoice line needs, immutable, one for each (identity, part).

A refused event has one too: what it would have cost stands in `amount_nanos`, what was charged (`charged_nanos`) is 0.
Money is int64 nanos (10^-9 of `currency`), times are Unix milliseconds.
"""

import msgspec


class RatedRecord(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One part of one decided event. `amount_nanos == charged_nanos + uncovered_nanos` where the fate is `rated`."""

    tenant: str
    source: str
    id: str
    part: int
    parts: int
    #: "rated" or "refused"; `reason` is empty for "rated".
    fate: str
    service: str
    direction: str
    subscriber: str
    account: str
    wallet: str
    #: The wallet's sequence: (epoch, n) orders its changes; a refused event takes no number (n = 0).
    epoch: int
    n: int
    plan: str
    plan_version: str
    tariff: str
    tariff_version: str
    #: Start of the billing cycle the usage belongs to, "YYYY-MM-DD" in the account's zone.
    period: str
    #: The rate that was applied, as the tariff names it ("data/zone:eu", "voice/+4915").
    rate: str
    zone: str
    #: What was used and what is billed after increments; the unit is "bytes", "ms" or "messages".
    unit: str
    quantity: int
    billable_quantity: int
    amount_nanos: int
    charged_nanos: int
    uncovered_nanos: int
    currency: str
    #: Of the wallet, around this part.
    balance_before_nanos: int
    balance_after_nanos: int
    start_ms: int
    end_ms: int
    rated_ms: int
    #: Where the event came in: the door ("kafka:usage/3", "file:...") and its place there.
    door: str
    position: int
    reason: str = ""
    kind: str = ""
    mcc: str = ""
    mnc: str = ""
    country: str = ""
    called_number: str = ""
    destination_country: str = ""
    session_id: str = ""
    allowance: str = ""
    allowance_used: int = 0
    tax_category: str = ""
    #: The usage arrived after its cycle's grace and is billed in a later period.
    late: bool = False
    #: Of a re-rated event: the identity it corrects, and how often it was revised.
    correction_of: str = ""
    revision: int = 0
    #: Digest of the content under this id (hex), to tell a copy from a conflict long after.
    fingerprint: str = ""
    #: The catalogue that decided, so that the record can be derived again.
    catalogue: str = ""
    #: The charge, step by step, as a person would redo it with a pencil.
    explanation: tuple[str, ...] = ()
