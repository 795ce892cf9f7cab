"""Invoices: made of what the steps of subscriptions say, kept in Redis, itemised from the ledger, paid, cancelled."""
