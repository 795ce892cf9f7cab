"""A plan file is read exactly, and every mistake of it is found at once, each on its line."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rater.errors import CatalogueError
from rater.money import NANOS
from rater.plans.model import (
    ACTIONS_OFFERED,
    SERVICES,
    AddOn,
    Allowance,
    Capacity,
    Expiry,
    Match,
    Refill,
    RollOver,
    Volume,
)
from rater.plans.reading import check_plan_file, read_plan, read_plan_file
from rater.plans.terms import Billing, Joining, Leaving, ProrationTerms, Recurring, Start, Timing, Validity
from tests.rater.plans.examples import FILES
from tests.rater.plans.reading.good import GOOD
from tests.rater.plans.test_calendar import at

MINIMAL = 'plan: small\nversions:\n  - {version: "1", effective_from: "2026-01-01T00:00", tariff: world}\n'


class TestWhatItSays:
    """Each field means what docs/plans.md says."""

    first, second = read_plan(GOOD, "good.yaml")

    def test_fees_periods_and_validity(self):
        plan = self.first
        assert (plan.name, plan.version, plan.kind, plan.settlement, plan.currency, plan.rank) == (
            "good", "1", "subscription", "prepaid", "EUR", 2,
        )  # fmt: skip
        assert plan.effective_from_ms == at("2026-01-01 00:00")
        assert plan.billing == Billing(1, "anniversary", Start("first-usage"))
        assert plan.recurring == Recurring(5 * NANOS, Start("date", at("2026-02-01 00:00")))
        assert plan.activation_nanos == 9_900_000_000
        assert plan.proration == ProrationTerms("none", "days-left")
        assert plan.validity == Validity(3, "month-end", "always", Start())
        assert plan.floor_nanos == -10 * NANOS
        assert (plan.overage, self.second.overage) == ("refused", "charged")

    def test_entitlements_are_services_and_what_may_be_in_use_at_once(self):
        assert self.first.entitlements == {"data", "voice"}
        assert self.first.capacity == Capacity(5, 1, 2, 3, 1)
        assert self.first.actions == {"upgrade", "downgrade", "refill"}

    def test_allowances_are_in_base_units(self):
        data, minutes, texts, _ = self.first.allowances
        assert data == Allowance(
            "data", "bytes", 10**10, Match(frozenset({"data"}), where=("eu", "CH", "262-01")),
            priority=1, shared=True, roll_over=RollOver(2, 5 * 10**9),
        )  # fmt: skip
        assert (minutes.unit, minutes.quantity_parts, minutes.expiry) == ("ms", 60_000_000, Expiry("months", 3))
        assert minutes.match == Match(frozenset({"voice"}), direction="outgoing", to=("DE", "eu"))
        assert (texts.unit, texts.quantity_parts, texts.expiry) == ("messages", 500, Expiry("never"))
        assert texts.match.kinds == {"sms"}

    def test_credits_are_in_parts_in_which_each_cost_is_whole(self):
        """Thirds of the SMS and 1/240,000 of the voice: 1/4 credit for each 60,000 ms."""
        credits = self.first.allowances[3]
        assert credits.parts_per_credit == 240_000
        assert credits.quantity_parts == 24_120_000
        assert [cost.credits for cost in credits.costs] == [1, Fraction(7, 3), Fraction(1, 240_000)]
        assert [cost.match.services for cost in credits.costs] == [{"message"}, {"message"}, {"voice"}]

    def test_what_is_sold_besides(self):
        assert self.first.refills[1] == Refill(
            "large", 50 * NANOS, 60 * NANOS, frozenset({"parent", "invoice"}), "at-once"
        )
        assert self.first.refills[0] == Refill("small", 10 * NANOS, 11 * NANOS)
        extra = Allowance("extra", "ms", 18_000_000, Match(frozenset({"voice"})))
        number = AddOn("number", 2 * NANOS, NANOS, True, 14, (extra,), Capacity(numbers=1))
        assert self.first.addons == (number,)
        assert self.first.allowance("extra") == extra
        assert self.second.scale is not None
        assert self.second.scale.volumes == (Volume(1_000, 2 * NANOS), Volume(5_000, 9 * NANOS))
        assert self.second.fee_nanos(1) == 9 * NANOS

    def test_leaving_and_joining(self):
        assert self.first.leaving == Leaving(
            Timing("at-once"), Timing("next-period"), frozenset({"owner"}), "kept", "days-after", "larger",
            True, "other", at("2027-04-01 00:00"),
        )  # fmt: skip
        assert self.first.joining == Joining("upgrade", True, True, "restart")

    def test_a_plan_of_four_fields_is_pay_as_you_go_by_calendar_months(self):
        """What plan files said before they could say more."""
        (plan,) = read_plan(MINIMAL, "small.yaml")
        assert (plan.kind, plan.settlement, plan.zone, plan.tariff) == ("payg", "prepaid", "UTC", "world")
        assert (plan.entitlements, plan.actions) == (SERVICES, ACTIONS_OFFERED)
        assert (plan.billing, plan.validity, plan.fee_nanos(), plan.floor_nanos) == (Billing(), None, 0, None)

    def test_a_plan_may_ask_for_a_positive_balance_whatever_its_allowances_cover(self):
        asks = GOOD.replace('floor: "-10.00"', 'floor: "0.00"\n    positive_balance: true')
        assert not self.first.positive_balance
        assert (read_plan(asks, "good.yaml")[0].positive_balance, read_plan(asks, "good.yaml")[0].floor_nanos) == (
            True,
            0,
        )

    def test_versions_are_in_order_of_time_whatever_the_file_says(self):
        head, first, second = re.split(r"(?=  - version)", GOOD)
        assert [plan.version for plan in read_plan(head + second + first, "good.yaml")] == ["1", "2"]

    def test_one_when_is_for_both_directions_and_may_be_a_date(self):
        text = GOOD.replace("{upgrade: at-once, downgrade: next-period}", '"2027-01-01T00:00"')
        dated = Timing("date", at("2027-01-01 00:00"))
        assert read_plan(text, "good.yaml")[0].leaving.upgrade == dated
        assert read_plan(text, "good.yaml")[0].leaving.downgrade == dated

    def test_a_fee_is_an_amount_or_has_its_own_start(self):
        text = GOOD.replace('{price: "5.00", starts: "2026-02-01"}', '"5.00"')
        assert read_plan(text, "good.yaml")[0].recurring == Recurring(5 * NANOS)

    def test_an_invoice_may_have_a_limit(self):
        text = GOOD.replace("settlement: prepaid", "settlement: invoice").replace(
            'floor: "-10.00"', 'invoice_limit: "7"'
        )
        assert read_plan(text, "good.yaml")[0].invoice_limit_nanos == 7 * NANOS


#: (what is broken, the text taken out, the text put in instead, what the mistake says). The line is that of the change,
#: or of "@" in the new text, which is not part of the file.
BROKEN = [
    ("no name", "plan: good\n", "", 'a plan has no "plan"; write it'),
    ("unknown kind", "kind: subscription", "kind: subscripton", 'unknown kind "subscripton"; write "subscription"'),
    ("unknown currency", "currency: EUR", "currency: EURO", 'currency "EURO" is no currency of ISO 4217; write "EUR"'),
    ("currency in lower case", "currency: EUR", "currency: eur", 'write "EUR"'),
    ("unknown zone", "Europe/Berlin", "Europe/Berlim", 'write "Europe/Berlin"'),
    ("unknown settlement", "settlement: prepaid", "settlement: postpaid", 'unknown settlement "postpaid"'),
    ("unknown field of a plan", "kind: sub", "@kinds: x\nkind: sub", 'unknown field "kinds" in a plan; write "kind"'),
    ("unknown field of a version", "rank: 2", "rang: 2", 'unknown field "rang" in a version; write "rank"'),
    ("no tariff", "    tariff: world\n    rank", "    rank", ""),
    ("no start", '    effective_from: "2026-01-01T00:00"\n', "", ""),
    ("bad start", '"2026-01-01T00:00"', '"January"', 'effective_from "January" is no time'),
    ("year without a calendar", '"2026-01-01T00:00"', '"0001-01-01"', "write one from 1901 to 2999"),
    ("year that is far", '"2027-04-01T00:00"', '"9999-12-31T23:59"', "write one from 1901 to 2999"),
    ("versions at one time", '"2026-06-01T00:00"', '"2026-01-01T00:00"', ""),
    ("version twice", 'version: "2"', 'version: "1"', 'version "1" is there already (line 7); rename it'),
    ("rank that is none", "rank: 2", "rank: high", 'rank "high" is no whole number from 0 to 1000000'),
    ("months of nothing", "billing: {months: 1", "billing: {months: 0", "is no whole number from 1 to 1200"),
    ("unknown period", "by: anniversary", "by: aniversary", 'unknown by "aniversary"; write "anniversary"'),
    ("unknown start", "starts: first-usage", "starts: first_usage", 'unknown starts "first_usage"'),
    ("start that is no date", '"2026-02-01"', '"2026-02-31"', 'starts "2026-02-31" is no time'),
    ("fee as a float", 'price: "5.00"', "price: 5.00", 'price 5.00 is a float and not exact; write "5.00" in quotes'),
    ("negative fee", 'activation_fee: "9.90"', 'activation_fee: "-9.90"', "is negative"),
    ("fee finer than a cent", '"9.90"', '"9.905"', 'activation_fee "9.905" is no multiple of 0.01 EUR; write one'),
    ("fee past the ledger", '"9.90"', '"9999999999999"', "past what the ledger holds"),
    ("fee without a price", '{price: "5.00", starts: "2026-02-01"}', '{starts: "2026-02-01"}',
     'a recurring fee has no "price"; write it'),
    ("unknown proration", "change: days-left", "change: daily", "unknown proration"),
    ("unknown field of a proration", "change: days-left", "later: days-left", 'unknown field "later" in a proration'),
    ("unknown renewal", "renews: always", "renews: positive", 'unknown renews "positive"'),
    ("floor that is a word", '"-10.00"', "none", 'floor "none" is not a price'),
    ("limit of a wallet", 'floor: "-10.00"', 'invoice_limit: "10.00"', '"invoice_limit" of a plan paid from a wallet'),
    ("unknown service", "services: [data, voice]", "services: [data, vioce]", 'unknown services "vioce"'),
    ("too many channels", "channels: 5", "channels: 5000000", "is no whole number from 0 to 1000000"),
    ("unknown action", "[upgrade, downgrade, refill]", "[upgrade, downgrde]", 'unknown actions "downgrde"'),
    ("allowance without a name", "      - name: data\n        quantity", "@      - quantity", 'has no "name"'),
    ("allowance without a quantity", "        quantity: 10 GB\n", "", ""),
    ("quantity without a unit", "quantity: 10 GB", 'quantity: "10"', '"10" is no quantity; write one such as "10 GB"'),
    ("quantity of an unknown unit", "10 GB", "10 gb", '"10 gb" is no quantity'),
    ("half a byte", "10 GB", "0.5 B", "is no whole number of bytes"),
    ("unknown country", "[eu, CH", "[eu, UK", 'where "UK" is no country or zone; write "GB"'),
    ("network called", "to: [DE, eu]", 'to: ["262-01"]', 'to "262-01" is no country or zone'),
    ("bytes for calls", "where: [eu", "services: voice\n        where: [eu", "bytes are of data only"),
    ("maximum in another unit", "maximum: 5 GB", "maximum: 5 min", "maximum is in ms, the allowance in bytes"),
    ("roll-over of what does not end", "expires: never", "expires: never, roll_over: true", "does not end"),
    ("expiry that is none", "expires: never", "expires: soon", 'unknown expires "soon"; write one of period, never'),
    ("expiry without months", "expires: {months: 3}", "expires: {days: 3}", 'an expiry has no "months"'),
    ("direction that is none", "direction: outgoing", "direction: out", "unknown direction"),
    ("shared that is no yes or no", "shared: true", "shared: often", "unknown shared"),
    ("allowance twice", "{name: texts", "{name: minutes", ""),
    ("allowance twice, in an add-on", "{name: extra", "{name: minutes", ""),
    ("credits without costs", "quantity: 500 messages, kinds: sms", "quantity: 5 credits", 'credits without "costs"'),
    ("costs of bytes", "quantity: 10 GB", 'quantity: 10 GB\n@        costs: [{kinds: email, credits: "1"}]',
     '"costs" for an allowance of bytes'),
    ("cost of nothing", '{kinds: email, credits: "1"}\n', '{kinds: email, credits: "0"}\n', "is not above zero"),
    ("cost by no unit", "per: min}", "per: minute}", 'per "minute" is no unit'),
    ("cost by another service's unit", "services: voice, credits", "services: data, credits", "of voice only"),
    ("costs too fine", '"7/3"', '"7/999999937"', "no common part of a credit"),
    ("part of a part", "100.5 credits", "100.0000001 credits", "is no whole number of 1/240000 credits"),
    ("refill without a balance", '{name: small, price: "10.00", balance: "11.00"}', '{name: small, price: "10.00"}',
     'a refill offer has no "balance"'),
    ("refill of nothing", 'balance: "11.00"', 'balance: "0.00"', "balance is nothing"),
    ("refill twice", "name: large", "name: small", 'refill offer "small" is there already (line 42)'),
    ("unknown method", "[parent, invoice]", "[parent, invoce]", 'unknown paid_by "invoce"; write "invoice"'),
    ("unknown time of giving", "given: at-once", "given: now", 'unknown given "now"'),
    ("hold of what is paid once", "recurring: true", "recurring: false", ""),
    ("queue for an add-on", "capacity: {numbers: 1}", "capacity: {queue_priority: 1}", 'field "queue_priority"'),
    ("unknown when", "downgrade: next-period", "downgrade: next-month", 'unknown when "next-month"'),
    ("unknown role", "asked_by: owner", "asked_by: boss", 'unknown asked_by "boss"'),
    ("migration without a plan", "      migrate_to: other\n", "", '"migrate_from" without "migrate_to"'),
    ("migration to itself", "migrate_to: other", "migrate_to: good", ""),
    ("scale of nothing", "allowance: credits", "allowance: credit", 'the version has no allowance "credit"'),
    ("scale that does not rise", "5000 credits", "1000 credits", "the quantity does not rise"),
    ("scale in another unit", "5000 credits", "5000 min", "quantity is in ms, the allowance in credits"),
    ("scale and a fee", "    scale:", '    recurring_fee: "1.00"\n    scale:', "both recurring_fee and scale"),
    ("list in place of fields", "billing: {months: 1, by: anniversary, starts: first-usage}", "billing: [1]",
     "a billing period is a mapping of fields"),
    ("fields in place of a list", '      - {name: small, price: "10.00", balance: "11.00"}\n',
     '@      {name: small, price: "10.00", balance: "11.00"}\n', "not YAML"),
    ("no YAML", "currency: EUR", "currency: {", "not YAML"),
]  # fmt: skip

#: Mistakes that are reported elsewhere than on the changed line: on the line that has this text.
ELSEWHERE = {
    "no tariff": ('version: "1"', 'a version has no "tariff"; write it'),
    "no start": ('version: "1"', 'a version has no "effective_from"; write it'),
    "versions at one time": ('version: "2"', "two versions take effect at the same time"),
    "allowance without a quantity": ("- name: data", 'an allowance has no "quantity"; write it'),
    "allowance twice": ("- name: data", 'allowance "minutes" is there twice in the version'),
    "allowance twice, in an add-on": ("- name: data", 'allowance "minutes" is there twice in the version'),
    "hold of what is paid once": ("hold_days: 14", '"hold_days" of an add-on that is paid once'),
    "migration to itself": ("leaving:", 'the plan migrates to itself; write another "migrate_to" than "good"'),
    "migration without a plan": ("migrate_from:", '"migrate_from" without "migrate_to"'),
    "costs too fine": ("costs:", "no common part of a credit"),
    "fields in place of a list": ("- {name: large", "not YAML"),
    "no YAML": ("settlement:", "not YAML"),
}


@pytest.mark.parametrize(("broken", "old", "new", "says"), BROKEN, ids=[case[0] for case in BROKEN])
def test_a_mistake_is_named_with_its_line_and_what_to_write(broken, old, new, says):
    head, found, _ = GOOD.partition(old)
    assert found, "the case no longer fits the plan"
    line = head.count("\n") + 1 + new.partition("@")[0].count("\n") * ("@" in new)
    text = GOOD.replace(old, new.replace("@", ""), 1)
    if broken in ELSEWHERE:
        place, says = ELSEWHERE[broken]
        line = text[: text.index(place)].count("\n") + 1
    mistakes = read_plan_file(text, "good.yaml").mistakes
    assert any(says in mistake.message for mistake in mistakes if mistake.line == line), mistakes
    assert len(mistakes) <= 2, "one mistake is not reported as many"


def test_a_plan_that_refuses_all_usage_is_a_mistake():
    text = MINIMAL.replace("tariff: world}", "tariff: world, overage: refused}")
    (mistake,) = read_plan_file(text, "small.yaml").mistakes
    assert "without an allowance refuses all usage" in mistake.message


def test_all_mistakes_are_found_at_once_and_in_order():
    text = (
        GOOD.replace("EUR", "EURO").replace('"9.90"', "9.90").replace("10 GB", "10 gb").replace("06-01T00", "06-01T99")
    )
    found = read_plan_file(text, "good.yaml")
    assert [mistake.line for mistake in found.mistakes] == [3, 13, 28, 64]
    assert found.plans == ()
    with pytest.raises(CatalogueError) as error:
        read_plan(text, "good.yaml")
    assert str(error.value).splitlines() == [str(mistake) for mistake in found.mistakes]
    assert str(error.value).startswith('good.yaml:3: currency "EURO" is no currency of ISO 4217; write "EUR"')


def test_money_without_a_currency_is_a_mistake_at_the_first_amount():
    (mistake,) = read_plan_file(GOOD.replace("currency: EUR\n", ""), "good.yaml").mistakes
    assert (mistake.line, mistake.message) == (
        11, 'an amount without a currency; write "currency", the tariff\'s, beside "plan"',
    )  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "- a\n", "words\n", "\x00", "a: [", "plan: {a: b}\nversions: x\n", "versions: [3]\n"]
)
def test_a_file_that_is_no_plan_at_all_has_mistakes_and_no_crash(text):
    assert read_plan_file(text, "x.yaml").mistakes


def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path):
    (mistake,) = check_plan_file(tmp_path / "nothing.yaml").mistakes
    assert "cannot be read" in mistake.message


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_the_examples_have_no_mistakes(path: Path):
    found = check_plan_file(path)
    assert found.mistakes == []
    assert found.plans


@given(
    place=st.floats(0, 1, exclude_max=True),
    length=st.integers(0, 12),
    new=st.sampled_from(["", "x", "-", "0", " ", '"', "\n", ": ", "{", "DE", "1.5", "null", ",", "²", "٣"])
    | st.text(max_size=3),
)
def test_any_change_is_read_or_has_a_mistake_and_never_crashes(place, length, new):
    start = int(place * len(GOOD))
    found = read_plan_file(GOOD[:start] + new + GOOD[start + length :], "good.yaml")
    assert found.plans or found.mistakes
