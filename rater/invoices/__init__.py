"""Invoices of wallets that go below zero: what each is over, its lines, and the wallet entries that it calls for. Pure.

A plan with `settlement: invoice` lets its wallet go below zero; usage and fees accrue there. At the end of a billing
period the subscription's step says so, and the wallet is invoiced for what it owed when that step was decided, less
what earlier invoices cover that are not paid:

    balance before the step  -61.75, an invoice over 49.00 is not paid yet  ->  an invoice over 12.75

One invoice for each wallet and end of a period. Where several SIMs of a wallet close at the same instant, the first of
them in the wallet's own order closes it for all; what the others add to the wallet after it is on the next invoice.
Nothing owed, no invoice: then the period is marked as closed, and nobody sees the mark.
"""
