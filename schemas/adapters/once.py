"""1NCE: usage records of the Data Streamer.

https://help.1nce.com/docs/platform-services/platform-services-data-streamer/data-streamer-usage-records (records,
samples) and .../data-streamer-usage-events for version 2, whose records carry `ipcan_session_id`; read in 2026.

SMS are counted as the device sees them: `tx` is the number of MO-SMS, `rx` of MT-SMS. emnify counts the other way
round. Volumes: see schemas.adapters.streamer.
"""

from __future__ import annotations

from typing import Final

from schemas.adapters.streamer import Dialect

ONCE: Final = Dialect(source="1nce", sms_sent="tx")

#: How the ICCIDs in 1NCE's documentation begin: all there is to tell its records from emnify's.
ICCID_PREFIXES: Final = (b'"8988280', b'"8988228')
#: What both begin with: looking through a record once costs less than twice.
_BOTH: Final = b'"89882'


def is_once(raw: bytes) -> bool:
    """Whether a Data Streamer record looks like 1NCE's. A guess: say the format where SMS direction matters."""
    return _BOTH in raw and any(prefix in raw for prefix in ICCID_PREFIXES)
