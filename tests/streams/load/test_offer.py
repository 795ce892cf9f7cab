"""The pace, with a clock of its own: no test waits."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from streams.load import Fleet, Page, Recipe, Traffic
from streams.load.offer import Clock, Report, Second, offer
from streams.load.pace import SECOND_NS, Pace

MS_NS = 1_000_000


class Time:
    """Stands still until somebody sleeps or works."""

    def __init__(self) -> None:
        self.now_ns = 5 * SECOND_NS
        self.clock = Clock(lambda: self.now_ns, lambda: self.now_ns // MS_NS, self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * SECOND_NS)


class Slow:
    """A sender that takes its time for each page, and remembers when it got it."""

    def __init__(self, time: Time, takes_ms: Callable[[], int] = lambda: 0, batch: int = 0) -> None:
        self.batch = batch
        self.failed: Counter[str] = Counter()
        self.sent: list[tuple[int, int]] = []
        self.finished = False
        self._time, self._takes_ms = time, takes_ms

    def ready(self, page: Page) -> Callable[[], Awaitable[None]]:
        async def send() -> None:
            self.sent.append((self._time.now_ns // MS_NS - 5000, len(page.values)))
            self._time.now_ns += self._takes_ms() * MS_NS

        return send

    async def finish(self) -> None:
        self.finished = True


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    return Traffic(Recipe(Fleet(wallets=10)))


async def offered(traffic: Traffic, pace: Pace, sender: Slow, time: Time) -> tuple[Report, list[Second]]:
    seconds: list[Second] = []
    report = await offer(traffic, sender, pace, on_second=seconds.append, clock=time.clock)
    assert sender.finished
    return report, seconds


async def test_a_page_goes_out_each_tick(traffic: Traffic) -> None:
    sender = Slow(time := Time())
    await offered(traffic, Pace(rate=2000, seconds=2), sender, time)
    assert sender.sent == [(10 * tick, 20) for tick in range(200)]


async def test_a_low_rate_sends_event_by_event(traffic: Traffic) -> None:
    sender = Slow(time := Time())
    await offered(traffic, Pace(rate=4, events=5), sender, time)
    assert sender.sent == [(0, 1), (250, 1), (500, 1), (750, 1), (1000, 1)]


async def test_a_batch_goes_out_at_the_same_rate(traffic: Traffic) -> None:
    sender = Slow(time := Time(), batch=1000)
    await offered(traffic, Pace(rate=2000, events=2500), sender, time)
    assert sender.sent == [(0, 1000), (500, 1000), (1000, 500)]


async def test_exactly_so_many_events_are_offered_in_exactly_the_time(traffic: Traffic) -> None:
    report, seconds = await offered(traffic, Pace(rate=777, seconds=3), Slow(time := Time()), time)
    assert report.offered == report.sorts.total() == 3 * 777
    assert report.elapsed_ns == 3 * SECOND_NS
    assert report.rate == 777
    assert sum(second.offered for second in seconds) == 3 * 777
    assert report.each_second == [second.offered for second in seconds]


async def test_pauses_do_not_shift_what_follows(traffic: Traffic) -> None:
    """Counted from the start: after any number of small delays the last page is due when it always was."""
    pauses = random.Random(3)
    sender = Slow(time := Time(), lambda: pauses.choice((0, 1, 9)))
    report, _ = await offered(traffic, Pace(rate=1000, seconds=10), sender, time)
    assert sender.sent[-1] == (9990, 10)
    assert report.late_max_ns == 9 * MS_NS


async def test_a_sender_that_stalls_is_caught_up_with_and_reported_late(traffic: Traffic) -> None:
    stalls = iter([0, 100, *[0] * 98])
    sender = Slow(time := Time(), lambda: next(stalls))
    report, _ = await offered(traffic, Pace(rate=1000, seconds=1), sender, time)
    assert sender.sent[2:12] == [(110, 10)] * 10
    assert sender.sent[-1] == (990, 10)
    assert report.late_max_ns == 100 * MS_NS
    assert report.elapsed_ns == SECOND_NS


async def test_what_was_offered_too_slowly_has_the_rate_it_had(traffic: Traffic) -> None:
    sender = Slow(time := Time(), lambda: 20)
    report, seconds = await offered(traffic, Pace(rate=1000, seconds=1), sender, time)
    assert report.rate == 500
    assert seconds[-1].late_ms == pytest.approx(1010)


async def test_a_second_in_which_nothing_went_out_is_reported_as_such(traffic: Traffic) -> None:
    sender = Slow(time := Time(), lambda: 2500)
    _, seconds = await offered(traffic, Pace(rate=1, events=2), sender, time)
    assert [second.offered for second in seconds][:3] == [0, 0, 1]


async def test_as_fast_as_it_goes_ends_when_the_time_is_up(traffic: Traffic) -> None:
    sender = Slow(time := Time(), lambda: 100)
    report, _ = await offered(traffic, Pace(rate=0, seconds=2), sender, time)
    assert len(sender.sent) == 20
    assert report.late_max_ns == 0


async def test_stopped_it_delivers_and_reports_what_was_offered(traffic: Traffic) -> None:
    sender = Slow(time := Time())
    report = await offer(
        traffic, sender, Pace(rate=1000, seconds=60), stopped=lambda: len(sender.sent) == 3, clock=time.clock
    )
    assert report.offered == 30
    assert sender.finished


@pytest.mark.parametrize(
    ("pace", "total"),
    [(Pace(10, 0, 3), 30), (Pace(10, 20, 3), 20), (Pace(10, 50, 3), 30), (Pace(0, 50), 50), (Pace(0, 0, 3), 0)],
)
def test_the_sooner_of_events_and_seconds_ends_it(pace: Pace, total: int) -> None:
    assert pace.total == total
