"""Plans that meet in one wallet: with and without fees, shared allowances, overage, roll-over, validity and add-ons."""

from __future__ import annotations

from functools import cache

from rater.catalogue import Catalogue
from tests.rater.pipeline.conftest import PLAN, TARIFF


def _plan(name: str, terms: str) -> str:
    return f"""
plan: {name}
currency: EUR
zone: UTC
versions:
  - version: "1"
    effective_from: "2026-01-01T00:00"
    tariff: test-eur
{terms}
"""


EXTRA = '{name: extra, price: "1.00", recurring: true, hold_days: 5, allowances: [{name: more, quantity: 1 MB}]}'
DATA, SHARED = "{name: data, quantity: 5 MB}", "{name: data, quantity: 5 MB, shared: true}"
PLANS = {
    "payg": PLAN,
    "monthly": _plan("monthly", f'    recurring_fee: "5.00"\n    allowances: [{DATA}]\n    addons: [{EXTRA}]'),
    "first": _plan(
        "first", f'    recurring_fee: "2.00"\n    billing: {{starts: first-usage}}\n    allowances: [{DATA}]'
    ),
    "pool": _plan(
        "pool", f'    recurring_fee: "1.00"\n    allowances: [{SHARED}, {{name: sms, quantity: 2 messages}}]'
    ),
    "whole": _plan("whole", f"    overage: refused\n    allowances: [{SHARED}, {{name: sms, quantity: 3 messages}}]"),
    "roll": _plan(
        "roll",
        '    recurring_fee: "3.00"\n    leaving: {refund: days-after, unused: kept}\n'
        "    allowances: [{name: data, quantity: 3 MB, roll_over: true}]",
    ),
    "valid": _plan(
        "valid",
        f"    positive_balance: true\n    validity: {{months: 1, renews: while-positive}}\n    allowances: [{DATA}]",
    ),
}


@cache
def catalogue() -> Catalogue:
    """All plans of this engine; compiled once."""
    return Catalogue(
        {"tariffs/test.yaml": TARIFF.format(price="1.00")}
        | {f"plans/{name}.yaml": text for name, text in PLANS.items()}
    )
