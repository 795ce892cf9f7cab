"""Times as text, to the millisecond. Seconds are written out ahead: formatting them would double an event's cost."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
#: Usage reaches a platform's stream so long after its end, at most.
DELAY_MS = 5000

#: What stands after the second: point, milliseconds, zone.
MILLISECONDS = [f".{ms:03d}Z" for ms in range(1000)]


class Seconds:
    """A stretch of seconds as text, moved on when time passes its end."""

    def __init__(self) -> None:
        self.first_ms = 0
        self.texts: list[str] = []

    def cover(self, first_ms: int, last_ms: int) -> None:
        """Have the text of each second from the first time to the last."""
        if self.first_ms <= first_ms and last_ms < self.first_ms + len(self.texts) * 1000:
            return
        self.first_ms = first_ms // HOUR_MS * HOUR_MS
        end_ms = (last_ms // HOUR_MS + 1) * HOUR_MS
        first, second = datetime.fromtimestamp(self.first_ms // 1000, UTC), timedelta(seconds=1)
        self.texts = [(first + n * second).isoformat()[:19] for n in range((end_ms - self.first_ms) // 1000)]


def window(day: date | None, now_ms: int, span_max_ms: int) -> tuple[int, int]:
    """Events end less than `width_ms` before `last_ms`: (last_ms, width_ms). None of them begins before the day."""
    if day is None:
        return now_ms, DELAY_MS
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return int(midnight.timestamp()) * 1000 + DAY_MS - 1, DAY_MS - span_max_ms
