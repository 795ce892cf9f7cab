"""Which usage an allowance is for, and how much the credits buy."""

from __future__ import annotations

from fractions import Fraction

import pytest

from rater.plans.credits import Use, cost_parts, covers, credits_of, matches, names_of, use_of
from rater.plans.model import Allowance, Match
from schemas.usage import Usage
from tests.rater.plans.examples import example

ZONES = {"eu": ("DE", "FR"), "west": ("FR", "US")}
OMNI = example("c-credits-omnichannel").allowances[0]
EMAIL = example("c-credits-email").allowances[0]


def message(kind: str, to: str = "") -> Use:
    """A message of a kind to a country."""
    return Use("message", kind, to=names_of(to, ZONES))


@pytest.mark.parametrize(
    ("kind", "to", "credits", "count"),
    [
        ("email", "DE", 1_000, 1_000),
        ("sms", "DE", 1_000, 22),
        ("sms", "IN", 1_000, 400),
        ("sms", "US", 1_000, 16),
        ("whatsapp-utility", "DE", 1_000, 30),
        ("whatsapp-utility", "US", 1_000, 20),
        ("sms", "DE", 0, 0),
        ("letter", "DE", 1_000, None),
    ],
)
def test_the_calculator_says_how_many_messages_the_credits_buy(kind, to, credits, count):
    assert covers(OMNI, credits * OMNI.parts_per_credit, message(kind, to)) == count


def test_thirty_messages_at_a_hundred_thirds_are_a_thousand_credits_exactly():
    cost = cost_parts(OMNI, message("whatsapp-utility", "FR"))
    assert cost is not None
    assert credits_of(OMNI, 30 * cost) == Fraction(1_000)


def test_a_plan_for_email_buys_no_sms():
    assert covers(EMAIL, 1_000, message("sms", "DE")) is None


def test_the_first_line_that_matches_answers():
    """SMS to Germany are 45, though the line for any country would match too."""
    assert cost_parts(OMNI, message("sms", "DE")) == 45 * OMNI.parts_per_credit


def test_of_what_is_counted_by_itself_one_is_one():
    data = Allowance("data", "bytes", 10**9, Match(frozenset({"data"})))
    assert (cost_parts(data, Use("data")), cost_parts(data, Use("voice"))) == (1, None)


@pytest.mark.parametrize(
    ("match", "is_for"),
    [
        (Match(), True),
        (Match(frozenset({"message"})), True),
        (Match(frozenset({"voice"})), False),
        (Match(kinds=frozenset({"sms"})), True),
        (Match(kinds=frozenset({"email"})), False),
        (Match(direction="outgoing"), True),
        (Match(direction="incoming"), False),
        (Match(where=("eu",)), True),
        (Match(where=("262-01",)), True),
        (Match(where=("FR",)), False),
        (Match(to=("west",)), True),
        (Match(to=("DE",)), False),
        (Match(frozenset({"message"}), frozenset({"sms"}), "outgoing", ("DE",), ("US", "IN")), True),
    ],
)
def test_an_allowance_is_for_what_all_its_fields_allow(match, is_for):
    usage = Usage("t", "s", "1", "message", 0, 0, kind="sms", mcc="262", mnc="01", country="DE",
                  destination_country="US", message_count=1)  # fmt: skip
    assert matches(match, use_of(usage, ZONES)) is is_for


def test_what_the_event_does_not_say_is_what_rating_found():
    usage = Usage("t", "s", "1", "voice", 0, 0, duration_ms=1)
    use = use_of(usage, ZONES, country="FR", destination="DE")
    assert use == Use("voice", where=frozenset({"FR", "eu", "west"}), to=frozenset({"DE", "eu"}))
    assert use_of(usage, ZONES) == Use("voice")
