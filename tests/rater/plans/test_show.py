"""A plan in words says each of its terms, and nothing that is not one."""

from __future__ import annotations

import msgspec
import pytest

from rater.plans.reading import read_plan
from rater.plans.show import describe
from rater.plans.terms import Leaving, Timing
from tests.rater.plans.examples import FILES, example
from tests.rater.plans.reading.good import GOOD


def said(name: str) -> dict[str, str]:
    """The last sentence for each term."""
    return dict(describe(example(name)))


def test_a_voice_plan():
    assert describe(example("d-voice-a")) == [
        ("from", "2026-01-01 00:00 America/New_York"),
        ("kind", "subscription, from a wallet"),
        ("tariff", "world-usd in USD"),
        ("period", "1 month, to month ends, from the assignment"),
        ("fee", "5.00 USD a period"),
        ("proration", "first none, at a change days-after"),
        ("allowance", "minutes: 1,000 min, priority 100, ends with its period"),
        ("add-on", "channel: 1.00 USD a period, channels 1"),
        ("services", "voice"),
        ("capacity", "channels 5"),
        ("actions", "buy-addon, cancel, change-volume, downgrade, refill, upgrade"),
        ("leaving", "at once, asked by owner or manager, unused forfeited, no refund, extras add"),
    ]


@pytest.mark.parametrize(
    ("file", "term", "sentence"),
    [
        ("a-sim-payg", "refill", "large: 120.00 EUR for 100.00 EUR"),
        (
            "a-sim-payg",
            "validity",
            "1 month, by anniversary, from the first usage, renewed while the balance is positive",
        ),
        ("b-quota", "migration", "to usage-invoiced, all from 2027-04-01 00:00 Europe/Berlin"),
        ("b-usage-invoiced", "limit", "5000.00 EUR open"),
        ("b-usage-invoiced", "joining", "payment details"),
        ("c-credits-email", "costs", "1 credits a message for email"),
        ("c-credits-email", "volume", "100,000 credits for 89.00 EUR a period"),
        ("c-credits-custom", "joining", "by quote only"),
        ("c-credits-custom", "limit", "none"),
        ("e-minutes", "activation", "5.00 USD"),
        ("e-minutes", "capacity", "concurrent calls 10, numbers 3, queue priority 1"),
    ],
)
def test_the_terms_of_the_examples(file, term, sentence):
    assert said(file)[term] == sentence


def test_every_field_of_a_plan_is_said():
    text = "\n".join(sentence for _, sentence in describe(read_plan(GOOD, "good.yaml")[0]))
    for words in ("from 2026-02-01 00:00 Europe/Berlin", "-10.00 EUR", "in eu, CH, 262-01", "outgoing to DE, eu",
                  "rolls over 2 times, at most 5 GB", "shared by the company", "ends after 3 months", "does not end",
                  "7/3 credits a message for sms to IN", "0.25 credits a min for voice", "14 days on hold",
                  "large: 60.00 EUR for 50.00 EUR, paid by invoice or parent, given at once",
                  "only by migration; upgrade at once, downgrade next period"):  # fmt: skip
        assert words in text


def test_a_change_on_a_date_is_said_as_one():
    plan = msgspec.structs.replace(example("d-voice-a"), leaving=Leaving(upgrade=Timing("date", 0)))
    assert dict(describe(plan))["leaving"].startswith("upgrade on 1969-12-31 19:00 America/New_York, downgrade at once")


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_each_example_can_be_said(path):
    assert all(sentence for _, sentence in describe(example(path.stem)))
