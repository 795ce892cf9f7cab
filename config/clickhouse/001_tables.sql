-- Tables in types that ClickHouse 18.16 and today's servers share: money is Int64 nanos, times are Unix milliseconds.
-- Delivery is at least once; a repeated record has the same sorting key and content, so the engine collapses it.
-- Read with FINAL (or through the *_once views): each record exactly once at any moment, merged or not.

-- Sorted as invoices are made: one account's period is one small range. A revision under the same key replaces.
CREATE TABLE IF NOT EXISTS rated_records (
    tenant String, source String, id String, part UInt32, parts UInt32, fate String, reason String,
    service String, kind String, direction String, subscriber String, account String, wallet String,
    epoch UInt32, n UInt64, plan String, plan_version String, tariff String, tariff_version String, period String,
    rate String, zone String, unit String, quantity Int64, billable_quantity Int64,
    amount_nanos Int64, charged_nanos Int64, uncovered_nanos Int64, currency String,
    balance_before_nanos Int64, balance_after_nanos Int64, start_ms Int64, end_ms Int64, rated_ms Int64,
    door String, position Int64, mcc String, mnc String, country String, called_number String,
    destination_country String, session_id String, allowance String, allowance_used Int64,
    allowance_left Int64, tax_category String,
    late UInt8, correction_of String, revision UInt32, fingerprint String, catalogue String, explanation Array(String),
    written_ms Int64 DEFAULT toInt64(toUnixTimestamp(now())) * 1000
) ENGINE = ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(toDateTime(intDiv(start_ms, 1000), 'UTC'))
ORDER BY (tenant, account, period, source, id, part);

-- Ids that were decided, narrow, for events older than Redis remembers.
CREATE TABLE IF NOT EXISTS decided_ids (
    tenant String, source String, id String, fingerprint String
) ENGINE = ReplacingMergeTree
ORDER BY (tenant, source, id);

CREATE MATERIALIZED VIEW IF NOT EXISTS decided_ids_of_records TO decided_ids AS
SELECT tenant, source, id, fingerprint FROM rated_records WHERE part = 0;

-- A command that changed nothing is journalled under the wallet's present n, so n alone does not name a line.
CREATE TABLE IF NOT EXISTS wallet_entries (
    tenant String, wallet String, epoch UInt32, n UInt64, kind String, source String, id String,
    amount_nanos Int64, balance_before_nanos Int64, balance_after_nanos Int64, currency String, occurred_ms Int64,
    holds Array(String), subscriber String, note String
) ENGINE = ReplacingMergeTree
ORDER BY (tenant, wallet, epoch, n, source, id);

CREATE TABLE IF NOT EXISTS lifecycle_events (
    type String, tenant String, wallet String, subscriber String, reason String, holds Array(String),
    status_version UInt64, balance_nanos Int64, currency String, epoch UInt32, n UInt64, cause String,
    occurred_ms Int64
) ENGINE = ReplacingMergeTree
ORDER BY (tenant, wallet, subscriber, epoch, status_version);

-- Parked again after a replay: the latest reason stands.
CREATE TABLE IF NOT EXISTS parked_events (
    tenant String, source String, id String, reason String, detail String, door String, position Int64,
    parked_ms Int64, raw String
) ENGINE = ReplacingMergeTree(parked_ms)
ORDER BY (tenant, source, id);

-- One message may hold several wrong events, some without an id: what is wrong tells them apart. `raw` is base64,
-- `headers` a JSON object.
CREATE TABLE IF NOT EXISTS dead_letters (
    reason String, field String, detail String, door String, position Int64, element UInt32, dead_ms Int64, raw String,
    headers String, tenant String, source String, id String, format String
) ENGINE = ReplacingMergeTree(dead_ms)
ORDER BY (tenant, door, position, element, source, id, field, detail);

CREATE VIEW IF NOT EXISTS rated_records_once AS SELECT * FROM rated_records FINAL;
CREATE VIEW IF NOT EXISTS wallet_entries_once AS SELECT * FROM wallet_entries FINAL;
CREATE VIEW IF NOT EXISTS lifecycle_events_once AS SELECT * FROM lifecycle_events FINAL;
CREATE VIEW IF NOT EXISTS parked_events_once AS SELECT * FROM parked_events FINAL;
CREATE VIEW IF NOT EXISTS dead_letters_once AS SELECT * FROM dead_letters FINAL;
