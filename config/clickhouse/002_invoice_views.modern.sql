-- Where the server has Decimal and DateTime64 (20.x and newer): the same records as people and invoices read them.

CREATE VIEW IF NOT EXISTS rated_records_readable AS
SELECT
    tenant, account, wallet, subscriber, source, id, part, fate, reason, service, kind, country, zone, rate,
    period, plan, tariff, tariff_version, unit, quantity, billable_quantity,
    CAST(charged_nanos AS Decimal(38, 9)) / CAST(1000000000 AS Decimal(38, 0)) AS charged,
    CAST(uncovered_nanos AS Decimal(38, 9)) / CAST(1000000000 AS Decimal(38, 0)) AS uncovered,
    currency, tax_category,
    fromUnixTimestamp64Milli(start_ms, 'UTC') AS started, fromUnixTimestamp64Milli(rated_ms, 'UTC') AS rated,
    explanation
FROM rated_records_once;
