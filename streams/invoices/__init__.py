"""Invoices made from what the steps of subscriptions say, kept in Redis, itemised from the ledger, paid and cancelled."""
