"""The rated record: everything an invoice line needs, immutable, one for each (identity, part).

A refused event has one too: what it would have cost stands in `amount_nanos`, what was charged (`charged_nanos`) is 0.
Money is int64 nanos (10^-9 of `currency`), times are Unix milliseconds.

Records are written as text from pieces, since most of a record is the same for all events of a SIM (`payer_text`) or of
a plan and kind of usage (`offer_text`). `RatedRecord` is what they say; its encoding is theirs, byte for byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from json.encoder import encode_basestring
from typing import Final

import msgspec

from schemas.shape import Shape
from schemas.usage import BASE_UNIT

quoted: Final = encode_basestring


class RatedRecord(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """One part of one decided event. `amount_nanos == charged_nanos + uncovered_nanos` where the fate is `rated`."""

    tenant: str
    subscriber: str
    account: str
    wallet: str
    source: str
    id: str
    service: str
    kind: str = ""
    direction: str = "outgoing"
    mcc: str = ""
    mnc: str = ""
    country: str = ""
    destination_country: str = ""
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
    currency: str
    tax_category: str = ""
    #: The catalogue that decided, so that the record can be derived again.
    catalogue: str = ""
    #: From what is billed to what it costs, as a person would do it with a pencil: the terms of a plain charge, every
    #: step of any other.
    explanation: tuple[str, ...] = ()
    #: The wallet's sequence: (epoch, n) orders its changes; a refused event takes no number (n = 0).
    epoch: int
    n: int
    quantity: int
    billable_quantity: int
    amount_nanos: int
    charged_nanos: int
    #: Of the wallet, around this part.
    balance_before_nanos: int
    balance_after_nanos: int
    start_ms: int
    end_ms: int
    rated_ms: int
    #: Where the event came in: the door ("kafka:usage/3", "file:...") and its place there.
    door: str
    position: int
    #: Digest of the content under this id (hex), to tell a copy from a conflict long after.
    fingerprint: str
    part: int = 0
    parts: int = 1
    #: "rated" or "refused"; `reason` is empty for "rated".
    fate: str = "rated"
    reason: str = ""
    uncovered_nanos: int = 0
    called_number: str = ""
    session_id: str = ""
    #: The usage arrived after its cycle's grace and is billed in a later period.
    late: bool = False
    #: The allowance that paid, how many of its parts (bytes, ms, messages, parts of a credit), and what it has left.
    allowance: str = ""
    allowance_used: int = 0
    allowance_left: int = 0
    #: Of a re-rated event: the identity it corrects, and how often it was revised.
    correction_of: str = ""
    revision: int = 0


def payer_text(tenant: str, subscriber: str, account: str, wallet: str) -> str:
    """How a record begins: who used and who pays."""
    return (
        f'{{"tenant":{quoted(tenant)},"subscriber":{quoted(subscriber)},"account":{quoted(account)}'
        f',"wallet":{quoted(wallet)},"source":'
    )


def offer_text(
    shape: Shape, *, country: str, destination_country: str, plan: str, plan_version: str, tariff: str,
    tariff_version: str, period: str, rate: str, zone: str, currency: str, tax_category: str, catalogue: str,
    explanation: Sequence[str],
) -> str:  # fmt: skip
    """What was used where, and by which terms: the middle of a record."""
    direction = "" if shape.direction == "outgoing" else f',"direction":"{shape.direction}"'
    steps = ",".join(map(quoted, explanation))
    return (
        f',"service":"{shape.service}"{_given("kind", shape.kind)}{direction}{_given("mcc", shape.mcc)}'
        f"{_given('mnc', shape.mnc)}{_given('country', country)}"
        f'{_given("destination_country", destination_country)},"plan":{quoted(plan)}'
        f',"plan_version":{quoted(plan_version)},"tariff":{quoted(tariff)},"tariff_version":{quoted(tariff_version)}'
        f',"period":"{period}","rate":{quoted(rate)},"zone":{quoted(zone)},"unit":"{BASE_UNIT[shape.service]}"'
        f',"currency":"{currency}"{_given("tax_category", tax_category)}{_given("catalogue", catalogue)}'
        + (f',"explanation":[{steps}]' if steps else "")
        + ',"epoch":'
    )


def rare_text(
    *, part: int = 0, parts: int = 1, fate: str = "rated", reason: str = "", uncovered_nanos: int = 0,
    called_number: str | None = None, session_id: str | None = None, late: bool = False, allowance: str = "",
    allowance_used: int = 0, allowance_left: int = 0,
) -> str:  # fmt: skip
    """The end of a record: what most have not."""
    return (
        (f',"part":{part}' if part else "")
        + (f',"parts":{parts}' if parts != 1 else "")
        + (f',"fate":"{fate}"' if fate != "rated" else "")
        + _given("reason", reason)
        + (f',"uncovered_nanos":{uncovered_nanos}' if uncovered_nanos else "")
        + _given("called_number", called_number)
        + _given("session_id", session_id)
        + (',"late":true' if late else "")
        + _given("allowance", allowance)
        + (f',"allowance_used":{allowance_used}' if allowance_used else "")
        + (f',"allowance_left":{allowance_left}' if allowance_left else "")
    )


def record(
    payer: str, source: str, event_id: str, offer: str, epoch: int, n: int, quantity: int, billable_quantity: int,
    amount_nanos: int, charged_nanos: int, balance_before_nanos: int, start_ms: int, end_ms: int, rated_ms: int,
    door: str, position: int, fingerprint: bytes, rare: str = "",
) -> bytes:  # fmt: skip
    """One record as JSON; `payer`, `offer` and `rare` as the functions above write them, `door` quoted."""
    return (
        f'{payer}{quoted(source)},"id":{quoted(event_id)}{offer}{epoch},"n":{n},"quantity":{quantity}'
        f',"billable_quantity":{billable_quantity},"amount_nanos":{amount_nanos},"charged_nanos":{charged_nanos}'
        f',"balance_before_nanos":{balance_before_nanos},"balance_after_nanos":{balance_before_nanos - charged_nanos}'
        f',"start_ms":{start_ms},"end_ms":{end_ms},"rated_ms":{rated_ms},"door":{door},"position":{position}'
        f',"fingerprint":"{fingerprint.hex()}"{rare}}}'
    ).encode()


def _given(name: str, value: str | None) -> str:
    return f',"{name}":{quoted(value)}' if value else ""
