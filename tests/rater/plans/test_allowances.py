"""Allowances are used in the order stated, by the usage's own time, and to the last unit: nothing is lost or made."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rater.plans.allowances import NEVER_MS, Balance, Part, consume, grant, rolled_over
from rater.plans.calendar import Periods
from rater.plans.credits import Use
from rater.plans.model import Allowance, Cost, Expiry, Match, RollOver
from tests.rater.plans.test_calendar import at

MINUTE = 60_000
NOON = at("2026-11-15 12:00")
CALL, DATA = Use("voice"), Use("data", where=frozenset({"DE", "eu"}))


def minutes(name: str, left: int, until_ms: int = NEVER_MS, from_ms: int = 0, **fields: Any) -> Balance:
    """So many minutes left of an allowance."""
    allowance = Allowance(name, "ms", left * MINUTE, Match(frozenset({"voice"})), **fields)
    return Balance(name, allowance, left * MINUTE, from_ms, until_ms)


def megabytes(name: str, left: int, until_ms: int = NEVER_MS, from_ms: int = 0, where: tuple[str, ...] = ()) -> Balance:
    """So many MB left of an allowance."""
    allowance = Allowance(name, "bytes", left, Match(frozenset({"data"}), where=where))
    return Balance(name, allowance, left * 10**6, from_ms, until_ms)


def call(length: int, start_ms: int = NOON) -> Part:
    """A call of so many minutes."""
    return Part(CALL, length * MINUTE, start_ms, start_ms + length * MINUTE)


def used(balances: list[Balance], part: Part) -> list[tuple[str, int]]:
    """Which balances gave how many minutes."""
    return [(line.id, line.quantity // MINUTE) for line in consume(balances, part).lines]


def test_the_lowest_priority_is_used_first_and_then_what_ends_first():
    balances = [
        minutes("endless", 10, priority=1),
        minutes("december", 10, at("2026-12-31 00:00"), priority=1),
        minutes("november", 10, at("2026-11-30 00:00"), priority=1),
        minutes("first", 10, priority=0),
    ]
    assert used(balances, call(35)) == [("first", 10), ("november", 10), ("december", 10), ("endless", 5)]


def test_ones_own_goes_before_a_pool_and_then_the_name_decides():
    balances = [minutes("a-pool", 1, shared=True), minutes("c", 1), minutes("b", 1)]
    assert used(balances, call(3)) == [("b", 1), ("c", 1), ("a-pool", 1)]


def test_a_call_in_which_an_allowance_runs_out_is_split_there():
    """10 min are left; the call's last 2 min are for the tariff, from the instant at which the 10 were over."""
    found = consume([minutes("a", 10)], call(12))
    assert [(line.quantity, line.parts, line.left_parts) for line in found.lines] == [(10 * MINUTE, 10 * MINUTE, 0)]
    assert found.uncovered == (Part(CALL, 2 * MINUTE, NOON + 10 * MINUTE, NOON + 12 * MINUTE),)


def test_a_call_over_the_end_of_an_allowance_is_split_at_that_instant():
    midnight = at("2026-12-01 00:00")
    found = consume([minutes("november", 100, midnight)], call(12, midnight - 5 * MINUTE))
    assert [(line.id, line.quantity, line.at_ms) for line in found.lines] == [
        ("november", 5 * MINUTE, midnight - 5 * MINUTE)
    ]
    assert found.uncovered == (Part(CALL, 7 * MINUTE, midnight, midnight + 7 * MINUTE),)


def test_each_side_of_a_boundary_uses_the_allowance_of_its_own_time():
    """The better priority of December does not reach back into November."""
    midnight = at("2026-12-01 00:00")
    balances = [minutes("december", 100, from_ms=midnight, priority=0), minutes("november", 100, midnight)]
    assert used(balances, call(12, midnight - 5 * MINUTE)) == [("november", 5), ("december", 7)]


def test_the_end_of_another_allowance_does_not_make_two_lines_of_one():
    """The second ends at midnight and is not needed; the first gives on both sides."""
    midnight = at("2026-12-01 00:00")
    balances = [minutes("a", 100, priority=0), minutes("b", 1, midnight)]
    (line,) = consume(balances, call(12, midnight - 5 * MINUTE)).lines
    assert (line.quantity, line.at_ms, line.left_parts) == (12 * MINUTE, midnight - 5 * MINUTE, 88 * MINUTE)


def test_late_usage_uses_the_allowance_of_its_own_period():
    midnight = at("2026-12-01 00:00")
    balances = [minutes("november", 5, midnight), minutes("december", 5, from_ms=midnight)]
    assert used(balances, call(8, NOON)) == [("november", 5)]


def test_data_is_split_pro_rata_of_time_in_whole_bytes():
    """1,000 bytes over three hours, the allowance ending after the first: 333 of it and 667 besides."""
    hour = 3_600_000
    part = Part(DATA, 1_000, NOON, NOON + 3 * hour)
    found = consume([megabytes("a", 1, NOON + hour)], part)
    assert [line.quantity for line in found.lines] == [333]
    assert found.uncovered == (Part(DATA, 667, NOON + hour, NOON + 3 * hour),)


def test_messages_belong_to_the_time_at_which_they_start():
    texts = Allowance("sms", "messages", 10, Match(frozenset({"message"})))
    part = Part(Use("message", "sms"), 5, NOON, NOON + 1_000)
    found = consume([Balance("sms", texts, 3, 0, NOON + 500)], part)
    assert [line.quantity for line in found.lines] == [3]
    assert found.uncovered == (Part(Use("message", "sms"), 2, NOON, NOON + 1_000),)


def test_an_allowance_is_for_the_zones_it_names():
    part = Part(DATA, 5, NOON, NOON + 1)
    assert consume([megabytes("alps", 1, where=("alps", "CH"))], part).uncovered_quantity == 5
    assert consume([megabytes("eu", 1, where=("eu",))], part).uncovered == ()
    nowhere = Part(Use("data"), 5, NOON, NOON + 1)
    assert consume([megabytes("eu", 1, where=("eu",))], nowhere).uncovered_quantity == 5


def test_an_allowance_of_another_service_is_left_alone():
    assert consume([megabytes("data", 1)], call(1)).uncovered_quantity == MINUTE


def test_usage_of_nothing_uses_nothing():
    assert consume([minutes("a", 1)], call(0)).lines == ()


def credit_balance(credits: int) -> Balance:
    """Emails at 1 credit, SMS to India at 5/2, to anywhere else at 7; the parts are halves."""
    costs = (
        Cost(Match(kinds=frozenset({"email"})), Fraction(1)),
        Cost(Match(kinds=frozenset({"sms"}), to=("IN",)), Fraction(5, 2)),
        Cost(Match(kinds=frozenset({"sms"})), Fraction(7)),
    )
    allowance = Allowance("credits", "credits", credits * 2, Match(), costs=costs, parts_per_credit=2)
    return Balance("credits", allowance, credits * 2, 0)


@pytest.mark.parametrize(
    ("kind", "to", "count", "covered", "left"),
    [("email", "DE", 10, 10, 0), ("sms", "IN", 4, 4, 0), ("sms", "IN", 5, 4, 0), ("sms", "DE", 2, 1, 6),
     ("whatsapp", "DE", 2, 0, 20)],
)  # fmt: skip
def test_ten_credits_buy_what_the_table_says(kind, to, count, covered, left):
    """What is less than one message costs stays: 3 credits of 10 after one SMS at 7."""
    found = consume([credit_balance(10)], Part(Use("message", kind, to=frozenset({to})), count, NOON, NOON))
    assert sum(line.quantity for line in found.lines) == covered
    assert (found.lines[-1].left_parts if found.lines else 20) == left
    assert found.uncovered_quantity == count - covered


class TestGrantAndRollOver:
    """What a period grants, until when, and what goes on after it."""

    period, after, third = (
        Periods("Europe/Berlin", at("2026-11-15 00:00"), by="month-end").period(k) for k in range(3)
    )

    @pytest.mark.parametrize(
        ("expiry", "until"),
        [
            (Expiry(), at("2026-12-01 00:00")),
            (Expiry("months", 3), at("2027-02-15 00:00")),
            (Expiry("never"), NEVER_MS),
        ],
    )
    def test_it_ends_with_its_period_or_after_months_or_never(self, expiry, until):
        allowance = Allowance("a", "ms", 60_000, Match(), expiry=expiry)
        balance = grant("a/1", allowance, self.period, "Europe/Berlin")
        assert (balance.from_ms, balance.until_ms, balance.left_parts) == (self.period.start_ms, until, 60_000)

    def test_a_chosen_volume_replaces_the_quantity(self):
        allowance = Allowance("a", "ms", 60_000, Match())
        assert grant("a/1", allowance, self.period, "Europe/Berlin", quantity_parts=120_000).left_parts == 120_000

    def test_who_joins_within_a_period_has_it_from_then_on(self):
        """What was used before is not covered, though the period began earlier."""
        allowance = Allowance("a", "ms", 60_000, Match())
        joined = at("2026-11-20 10:00")
        balance = grant("a/1", allowance, self.period, "Europe/Berlin", since_ms=joined)
        assert (balance.from_ms, balance.until_ms) == (joined, self.period.end_ms)

    def rolling(self, periods: int, parts_max: int | None) -> tuple[Allowance, Balance]:
        """1,000 ms that roll over, and their balance of the first period."""
        allowance = Allowance("a", "ms", 1_000, Match(), roll_over=RollOver(periods, parts_max))
        return allowance, grant("a/1", allowance, self.period, "Europe/Berlin")

    def test_what_is_left_goes_on_as_often_as_stated(self):
        allowance, balance = self.rolling(1, None)
        (second,) = rolled_over([balance], allowance, self.after)
        assert (second.id, second.left_parts, second.until_ms) == ("a/1", 1_000, self.after.end_ms)
        assert rolled_over([second], allowance, self.third) == ()

    def test_all_that_goes_on_is_at_most_the_maximum(self):
        allowance, balance = self.rolling(2, 1_200)
        (older,) = rolled_over([balance], allowance, self.after)
        newer = grant("a/2", allowance, self.after, "Europe/Berlin")
        went_on = rolled_over([older, newer], allowance, self.third)
        assert [(b.id, b.left_parts, b.rolls_left) for b in went_on] == [("a/2", 1_000, 1), ("a/1", 200, 0)]

    def test_what_does_not_roll_over_is_gone(self):
        _, balance = self.rolling(1, None)
        assert rolled_over([balance], Allowance("a", "ms", 1_000, Match()), self.after) == ()

    def test_credits_go_on_in_the_parts_of_the_new_table(self):
        """Three half credits are one whole credit where the table has no halves any more."""
        halves = Allowance("a", "credits", 3, Match(), roll_over=RollOver(1), parts_per_credit=2)
        wholes = Allowance("a", "credits", 3, Match(), roll_over=RollOver(1), parts_per_credit=1)
        ended = grant("a/1", halves, self.period, "Europe/Berlin")
        assert [balance.left_parts for balance in rolled_over([ended], wholes, self.after)] == [1]


times = st.integers(0, 40)
hypothetical_balances = st.lists(
    st.tuples(
        st.integers(0, 50), times, times, st.integers(0, 2), st.sampled_from([1, 1, 2, 7]), st.sampled_from(["", "eu"])
    ),
    max_size=6,
)


def build(rows: list[tuple[int, int, int, int, int, str]]) -> list[Balance]:
    """Balances of credits at a cost of so many parts for each unit, over [from, until)."""
    found = []
    for number, (left, from_ms, until_ms, priority, cost, place) in enumerate(rows):
        match = Match(where=(place,) if place else ())
        allowance = Allowance(
            f"b{number}", "credits", left, match, priority=priority, costs=(Cost(Match(), Fraction(cost)),)
        )
        found.append(Balance(f"b{number}", allowance, left, from_ms, until_ms))
    return found


parts = st.builds(
    lambda service, quantity, start, length, place: Part(
        Use(service, where=frozenset({place})), quantity, start, start + (quantity if service == "voice" else length)
    ),
    st.sampled_from(["voice", "data", "message"]), st.integers(0, 60), times, times, st.sampled_from(["eu", "us"]),
)  # fmt: skip


@given(hypothetical_balances, parts)
def test_nothing_is_lost_and_no_balance_goes_negative(rows, part):
    balances = build(rows)
    found = consume(balances, part)
    assert sum(line.quantity for line in found.lines) + found.uncovered_quantity == part.quantity
    left = {balance.id: balance.left_parts for balance in balances}
    for line in found.lines:
        left[line.id] -= line.parts
        assert line.left_parts == left[line.id] >= 0
        assert line.quantity > 0


@given(hypothetical_balances, parts, st.randoms())
def test_the_order_in_which_balances_are_given_does_not_matter(rows, part, random):
    balances = build(rows)
    shuffled = random.sample(balances, len(balances))
    assert consume(shuffled, part) == consume(balances, part)


@given(hypothetical_balances, parts)
def test_only_what_holds_at_its_time_is_used(rows, part):
    balances = {balance.id: balance for balance in build(rows)}
    found = consume(balances.values(), part)
    for line in found.lines:
        assert balances[line.id].from_ms <= line.at_ms < balances[line.id].until_ms


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 2), st.integers(101, 103)), max_size=6), st.integers(0, 200)
)
def test_while_the_first_has_something_left_the_next_is_not_touched(rows, quantity):
    balances = build([(left, 0, until, priority, 1, "") for left, priority, until in rows])
    found = consume(balances, Part(Use("message"), quantity, 0, 0))
    ordered = sorted(balances, key=lambda balance: (balance.allowance.priority, balance.until_ms, balance.id))
    assert [line.id for line in found.lines] == [balance.id for balance in ordered[: len(found.lines)]]
    assert all(line.left_parts == 0 for line in found.lines[:-1])
    assert found.uncovered_quantity == max(0, quantity - sum(row[0] for row in rows))


@given(hypothetical_balances, parts)
def test_what_is_not_covered_is_left_because_nothing_that_holds_can_pay_one_more(rows, part):
    balances = build(rows)
    found = consume(balances, part)
    left = {balance.id: balance.left_parts for balance in balances} | {line.id: line.left_parts for line in found.lines}
    for rest in found.uncovered:
        for balance in balances:
            holds = balance.from_ms <= rest.start_ms < balance.until_ms and balance.left_parts > 0
            place = balance.allowance.match.where
            if holds and (not place or set(place) & rest.use.where):
                assert left[balance.id] < balance.allowance.costs[0].credits


@given(hypothetical_balances, st.integers(0, 60), times, st.sampled_from(["eu", "us"]))
def test_a_call_is_used_as_if_each_millisecond_chose_its_balance_by_itself(rows, length, start, place):
    """The rule itself, unit by unit: the first in order that holds at that instant and can pay for one more."""
    balances = build(rows)
    use = Use("voice", where=frozenset({place}))
    left = {balance.id: balance.left_parts for balance in balances}
    expected: dict[str, int] = {}
    for instant in range(start, start + length):
        for balance in sorted(balances, key=lambda balance: balance.order):
            where = balance.allowance.match.where
            cost = int(balance.allowance.costs[0].credits)
            if (
                balance.from_ms <= instant < balance.until_ms
                and left[balance.id] >= cost
                and (not where or place in where)
            ):
                left[balance.id] -= cost
                expected[balance.id] = expected.get(balance.id, 0) + 1
                break
    found: dict[str, int] = {}
    for line in consume(balances, Part(use, length, start, start + length)).lines:
        found[line.id] = found.get(line.id, 0) + line.quantity
    assert found == expected


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 3)), max_size=5),
    st.none() | st.integers(0, 800),
)
def test_what_rolls_over_is_never_more_than_was_left_nor_than_the_maximum(rows, parts_max):
    allowance = Allowance("a", "ms", 500, Match(), roll_over=RollOver(3, parts_max))
    ended = [Balance(f"a/{number}", allowance, left, 0, 1, rolls) for number, (left, rolls) in enumerate(rows)]
    went_on = rolled_over(ended, allowance, TestGrantAndRollOver.after)
    may = sum(left for left, rolls in rows if rolls)
    assert sum(balance.left_parts for balance in went_on) == (may if parts_max is None else min(may, parts_max))
    before = {balance.id: balance for balance in ended}
    assert all(balance.rolls_left == before[balance.id].rolls_left - 1 >= 0 for balance in went_on)
    assert all(balance.left_parts <= before[balance.id].left_parts for balance in went_on)
