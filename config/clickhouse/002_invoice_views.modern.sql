-- Where the server has Decimal and DateTime64: the same records as people and invoices read them.
-- An Int64 of nanos is, bit for bit, a Decimal of scale 9; so nothing is divided and nothing can be rounded.

CREATE VIEW IF NOT EXISTS rated_records_readable AS
SELECT
    tenant, account, wallet, subscriber, source, id, part, fate, reason, service, kind, country, zone, rate,
    period, plan, tariff, tariff_version, unit, quantity, billable_quantity,
    reinterpret(charged_nanos, 'Decimal(18, 9)') AS charged,
    reinterpret(uncovered_nanos, 'Decimal(18, 9)') AS uncovered,
    currency, tax_category,
    fromUnixTimestamp64Milli(start_ms, 'UTC') AS started, fromUnixTimestamp64Milli(rated_ms, 'UTC') AS rated,
    explanation
FROM rated_records_once;
