"""How often a key may ask: a bucket of tokens for each, filled at the rate of the settings.

Each process counts by itself, so behind N processes a key gets N times the rate: it guards the engine, not a contract.
"""

from __future__ import annotations

import math
import time

from streams.http.problems import Problem


class RateLimit:
    """`per_second` requests, and as many at once as come in two seconds; 0 is no limit.

    Only keys that were recognised have a bucket, so strangers cannot fill the memory.
    """

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._burst = 2 * per_second
        #: By key: requests left, and when that was so.
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, key: str) -> None:
        """Count a request, or raise the problem that says when to come back."""
        if not self._per_second:
            return
        now = time.monotonic()
        left, at = self._buckets.get(key, (float(self._burst), now))
        left = min(self._burst, left + (now - at) * self._per_second)
        if left < 1:
            self._buckets[key] = left, now
            wait_s = math.ceil((1 - left) / self._per_second)
            raise Problem("too-many", f"a key may ask {self._per_second} times a second", retry_s=wait_s)
        self._buckets[key] = left - 1, now
