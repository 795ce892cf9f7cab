"""emnify: usage records of the Data Streamer.

https://docs.emnify.com/multicloud-data-streamer/stream-types (records, samples) and
https://docs.emnify.com/developers/reference/data-streamer (types), read in 2026.

SMS are counted as the platform sees them: "from the device" is `rx: 1`, "towards the device" is `tx: 1`. 1NCE counts
the other way round. Volumes: see schemas.adapters.streamer.
"""

from __future__ import annotations

from typing import Final

from schemas.adapters.streamer import Dialect

EMNIFY: Final = Dialect(source="emnify", sms_sent="rx")
