"""What a worker tells Prometheus: each event under its fate and reason, once, and only to this machine."""

from __future__ import annotations

import socket
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from rater.errors import PartsError
from rater.pipeline.tally import Tally
from rater.settings import MetricsSettings
from rater.wallet.store import WalletStore
from schemas.fates import Fate, Reason
from streams import metrics
from streams.conveyor import Conveyor
from streams.embedded.ports import free_ports
from tests.rater.pipeline.conftest import Bench, message, usage

Samples = dict[tuple[str, ...], float]


def samples(*collectors: object) -> Samples:
    """What a scrape would show now: name and label values, and the count."""
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)  # type: ignore[arg-type]
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in registry.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def since(before: Samples, *collectors: object) -> Samples:
    """What was added meanwhile, without what stayed as it was; the counters are the process's, and others count too."""
    now = samples(*collectors)
    return {key: value - before.get(key, 0) for key, value in now.items() if value != before.get(key, 0)}


class Collected:
    """A sink that keeps what is published."""

    def __init__(self) -> None:
        self.topics: Counter[str] = Counter()

    async def publish(self, messages: dict[str, list[tuple[bytes, bytes]]]) -> None:
        self.topics.update({topic: len(found) for topic, found in messages.items()})


async def test_a_delivered_batch_is_counted_by_fate_and_reason(redis: Any) -> None:
    bench = Bench(redis, await WalletStore.open(redis, shards=4))
    await bench.wallet("w", "1.05", "sim-1")
    events = [
        message("1"),
        message("1"),
        message("1", country="FR"),
        usage("2", volume_bytes=2_000_000),
        message("3"),
        message("4", sim="nobody"),
        b"{",
        message("5", country="ZZ"),
    ]
    acknowledged: list[int] = []

    async def acknowledge(delivered: Sequence[object]) -> None:
        acknowledged.append(len(delivered))

    collectors = metrics.EVENTS, metrics.EVENTS_IN, metrics.CHARGED, metrics.UNCOVERED, metrics.BATCH_EVENTS
    before = samples(*collectors)
    async with Conveyor(await bench.pipeline(), Collected(), acknowledge) as conveyor:
        await conveyor.put(bench.batch(*events))
        await conveyor.drain()
    added = since(before, *collectors)
    fates = {key[1:]: value for key, value in added.items() if key[0] == "rater_events_total"}
    assert fates == {
        ("file", "rated", "none"): 2,
        ("file", "duplicate", "none"): 1,
        ("file", "refused", "suspended"): 1,
        ("file", "parked", "unknown_subscriber"): 1,
        ("file", "dead_lettered", "malformed"): 1,
        ("file", "dead_lettered", "invalid"): 1,
        ("file", "dead_lettered", "id_conflict"): 1,
    }
    assert sum(fates.values()) == added["rater_events_in_total", "file"] == len(events)
    assert (added["rater_batch_events_count",], added["rater_batch_events_sum",]) == (1, len(events))
    assert added["rater_charged_units_total", "EUR"] == pytest.approx(1.05)
    assert added["rater_uncovered_units_total", "EUR"] == pytest.approx(1.05)
    assert acknowledged == [1]


FATES = st.dictionaries(st.tuples(st.sampled_from(Fate), st.sampled_from(Reason)), st.integers(1, 4000), max_size=6)


@given(st.lists(FATES.map(lambda fates: Tally(sum(fates.values()), Counter(fates))), max_size=4))
def test_the_sums_of_fates_are_events_in(tallies: list[Tally]) -> None:
    """Partitions of one sort of door are counted together."""
    collectors = metrics.EVENTS, metrics.EVENTS_IN
    before = samples(*collectors)
    for number, tally in enumerate(tallies):
        metrics.count(f"kafka:usage/{number}", tally)
    added = since(before, *collectors)
    fates: Counter[tuple[str, str]] = Counter()
    for tally in tallies:
        fates.update({(fate.label, reason.label): events for (fate, reason), events in tally.fates.items()})
    found = {key[2:]: value for key, value in added.items() if key[:2] == ("rater_events_total", "kafka")}
    assert found == fates
    assert sum(found.values()) == added.get(("rater_events_in_total", "kafka"), 0)


def test_redelivered_events_are_counted_apart() -> None:
    tally = Tally(5, Counter({(Fate.RATED, Reason.NONE): 5}), redelivered=3)
    before = samples(metrics.REDELIVERED)
    metrics.count("kafka:usage/0", tally)
    assert since(before, metrics.REDELIVERED) == {("rater_redelivered_total", "kafka"): 3}


def test_the_endpoint_shows_the_counters_on_this_machine_only() -> None:
    """127.0.0.2 is this machine too: who listens on every address answers there."""
    (port,) = free_ports(1)
    metrics.serve(MetricsSettings(port=port))
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        names = {family.name for family in text_string_to_metric_families(answer.read().decode())}
    assert {"rater_events", "rater_events_in", "rater_lag_events", "rater_waiting", "rater_outbox_entries"} <= names
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.2:{port}/metrics", timeout=10)


def test_the_endpoint_is_open_to_others_if_set_so() -> None:
    (port,) = free_ports(1)
    metrics.serve(MetricsSettings(port=port, host="0.0.0.0"))
    with urllib.request.urlopen(f"http://127.0.0.2:{port}/metrics", timeout=10) as answer:
        assert b"rater_events_in_total" in answer.read()


def test_a_port_that_is_taken_is_an_error_that_names_it_and_the_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PartsError, match=rf"^metrics: cannot listen on 127.0.0.1:{port} \(.*RATER_METRICS_PORT"):
            metrics.serve(MetricsSettings(port=port))


def test_port_0_opens_nothing() -> None:
    """An endpoint has a thread that serves it."""
    threads = threading.active_count()
    metrics.serve(MetricsSettings(port=0))
    assert threading.active_count() == threads
    (port,) = free_ports(1)
    metrics.serve(MetricsSettings(port=port))
    assert threading.active_count() == threads + 1
