"""A subscriber leaves a wallet that is settled by invoice: what is owed there is invoiced as at the end of a period.

Its subscription there takes no step any more, so the wallet's last period would never be closed. The notice goes out in
the very call by which the wallet's shard lets go of the subscriber, in its place among the wallet's closings, and names
that call's entry: what the wallet owed then is what is invoiced.
"""

from __future__ import annotations

import msgspec

from rater.invoices.model import CLOSED
from rater.plans.life.state import read_subscription
from rater.wallet.entry import Entry
from rater.wallet.news import pack_notice
from schemas.notice import Notice


def closing(leave: Entry, account: str, document: bytes | None, at_ms: int) -> Entry:
    """The entry by which a subscriber leaves, with the news that a period ends, if one runs.

    `document` is its subscription.
    """
    from_ms = read_subscription(document).invoice_from_ms if document is not None else None
    if from_ms is None or from_ms >= at_ms:
        return leave
    source, _, step = leave.cause.partition("/")
    notice = Notice(
        id=f"{CLOSED}/{leave.cause}",
        type=CLOSED,
        tenant=leave.tenant,
        occurred_ms=at_ms,
        account=account,
        wallet=leave.wallet,
        subscriber=leave.subscriber,
        data={"from_ms": from_ms, "until_ms": at_ms, "source": source, "step": step},
    )
    return msgspec.structs.replace(leave, news=(pack_notice(notice),))
