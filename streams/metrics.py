"""Prometheus metrics of a worker. Updated once a batch, never once an event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from rater.errors import PartsError
from rater.money import to_decimal

if TYPE_CHECKING:  # a writer's process starts without the pipeline
    from rater.pipeline.tally import Tally
    from rater.settings import MetricsSettings

EVENTS = Counter("rater_events", "Events by fate and reason; their sum is events in", ["door", "fate", "reason"])
EVENTS_IN = Counter("rater_events_in", "Events taken from a door", ["door"])
REDELIVERED = Counter("rater_redelivered", "Events whose outputs were rebuilt after a crash or rebalance", ["door"])
CHARGED = Counter("rater_charged_units", "Money charged, in units of the currency", ["currency"])
UNCOVERED = Counter("rater_uncovered_units", "Usage no balance covered: revenue leakage", ["currency"])
LIFECYCLE = Counter("rater_lifecycle", "Suspended and resumed events published", ["type", "reason"])
STAGE_SECONDS = Histogram(
    "rater_stage_seconds",
    "Time of a batch in each stage",
    ["stage"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
BATCH_EVENTS = Histogram("rater_batch_events", "Events in a batch", buckets=(1, 3, 10, 30, 100, 300, 1000, 3000, 10000))
LAG = Gauge("rater_lag_events", "Events in the partition that are not taken yet", ["topic", "partition"])
STEPS_LATE = Gauge("rater_steps_late_seconds", "How long the earliest due step of a subscription has been due")
OUTBOX_DEPTH = Gauge("rater_outbox_entries", "Outbox entries not published yet")
IN_TRANSIT = Gauge("rater_in_transit_units", "Money that left one wallet and is in no other yet", ["currency"])
CLICKHOUSE_ROWS = Counter("rater_clickhouse_rows", "Rows written to ClickHouse", ["table"])
CLICKHOUSE_FAILURES = Counter("rater_clickhouse_failures", "Inserts that failed and are repeated")
CLICKHOUSE_LAST_WRITE = Gauge("rater_clickhouse_last_write_seconds", "Unix time of the last round that was written")
CLICKHOUSE_LAG = Gauge("rater_clickhouse_lag_seconds", "Since the writer last had read its topics to their end")
CLICKHOUSE_WRITER_RESTARTS = Counter("rater_clickhouse_writer_restarts", "Times the writer's process was started again")
WAITING = Gauge("rater_waiting", "1 while a part is away and the worker waits for it", ["part"])

WEBHOOK_ATTEMPTS = Counter("rater_webhook_attempts", "Webhook requests by what came of the delivery", ["outcome"])
WEBHOOK_BACKLOG = Gauge("rater_webhook_backlog", "Webhook deliveries that wait or are under way, in all processes")
WEBHOOK_OLDEST_DUE = Gauge("rater_webhook_oldest_due_seconds", "How long the oldest due delivery has waited")
RULES_TRIGGERED = Counter("rater_rules_triggered", "Rules whose threshold was passed", ["type"])

HTTP_REQUESTS = Counter("rater_http_requests", "Requests by endpoint and answer", ["method", "path", "status"])


def count(door: str, tally: Tally) -> None:
    """Count a delivered batch. Doors are counted by their sort ("kafka", "file"), not by partition."""
    door = door.partition(":")[0]
    EVENTS_IN.labels(door).inc(tally.events)
    BATCH_EVENTS.observe(tally.events)
    for (fate, reason), events in tally.fates.items():
        EVENTS.labels(door, fate.label, reason.label).inc(events)
    if tally.redelivered:
        REDELIVERED.labels(door).inc(tally.redelivered)
    # A metric is a float by Prometheus' definition; the ledger is not fed from here.
    for currency, nanos in tally.charged_nanos.items():
        CHARGED.labels(currency).inc(float(to_decimal(nanos)))
    for currency, nanos in tally.uncovered_nanos.items():
        UNCOVERED.labels(currency).inc(float(to_decimal(nanos)))


def serve(settings: MetricsSettings) -> None:
    """Open the endpoint, on localhost unless set otherwise.

    Raises:
        PartsError: the address is taken; another `rater serve` or worker on this machine has it, as a rule.
    """
    if not settings.port:
        return
    try:
        start_http_server(settings.port, settings.host)
    except OSError as error:
        address = f"{settings.host}:{settings.port}"
        why = f"metrics: cannot listen on {address} ({error.strerror}); set RATER_METRICS_PORT to another, 0 for none"
        raise PartsError(why) from error
