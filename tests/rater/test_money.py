"""Money is exact; a float never becomes money."""

from __future__ import annotations

import ast
from decimal import ROUND_DOWN as DOWN
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_UP, Decimal, localcontext
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rater.money import (
    AMOUNT_MAX_NANOS,
    AMOUNT_MIN_NANOS,
    MoneyError,
    Rounding,
    checked,
    format_nanos,
    parse_nanos,
    parse_price,
    round_exact,
    round_ratio,
    to_decimal,
)

METHODS: dict[Rounding, str] = {
    "up": ROUND_UP,
    "down": DOWN,
    "half-up": ROUND_HALF_UP,
    "half-even": ROUND_HALF_EVEN,
}
ROOT = Path(__file__).parents[2]
#: Where amounts are computed. Paths are joined with "/" in loaders, which compute none.
MONEY_CODE = [ROOT / "rater" / "money.py", *(ROOT / "rater" / "rating").rglob("*.py")]
ENGINE_CODE = [*(ROOT / "rater").rglob("*.py"), *(ROOT / "schemas").rglob("*.py")]


@given(st.integers(-(10**6), 10**6), st.integers(0, 3), st.sampled_from(sorted(METHODS)), st.sampled_from([1, 10, 25]))
def test_rounding_agrees_with_decimal(scaled: int, places: int, method: Rounding, step: int) -> None:
    value = Decimal(scaled).scaleb(-places)
    with localcontext() as context:
        context.prec = 50
        expected = (value / step).quantize(Decimal(1), rounding=METHODS[method]) * step

    assert round_exact(Fraction(value), method, step) == expected


@given(st.fractions(), st.sampled_from(sorted(METHODS)), st.integers(1, 1000))
def test_rounding_is_to_a_neighbouring_multiple_and_mirrors_refunds(
    value: Fraction, method: Rounding, step: int
) -> None:
    rounded = round_exact(value, method, step)

    assert rounded % step == 0
    assert abs(rounded - value) < step
    assert round_exact(-value, method, step) == -rounded
    assert round_ratio(value.numerator, value.denominator, method, step) == rounded


@pytest.mark.parametrize(
    ("method", "of_half", "of_one_and_a_half"), [("up", 1, 2), ("down", 0, 1), ("half-up", 1, 2), ("half-even", 0, 2)]
)
def test_the_half_goes_by_the_method(method: Rounding, of_half: int, of_one_and_a_half: int) -> None:
    assert round_exact(Fraction(1, 2), method) == of_half
    assert round_exact(Fraction(3, 2), method) == of_one_and_a_half


@given(st.integers(AMOUNT_MIN_NANOS, AMOUNT_MAX_NANOS))
def test_an_amount_is_read_back_from_its_text(nanos: int) -> None:
    assert parse_nanos(format_nanos(nanos)) == nanos
    assert to_decimal(nanos) == Decimal(format_nanos(nanos))


@pytest.mark.parametrize(
    ("nanos", "text"), [(0, "0.00"), (5_000_000_000, "5.00"), (31_250_000, "0.03125"), (-1, "-0.000000001")]
)
def test_an_amount_has_two_decimals_or_as_many_as_it_takes(nanos: int, text: str) -> None:
    assert format_nanos(nanos) == text


@pytest.mark.parametrize("price", ["0.0125", "1/80"])
def test_a_price_is_a_decimal_or_a_ratio(price: str) -> None:
    assert parse_price(price) == Fraction(1, 80)


@pytest.mark.parametrize("price", [0.1, 1, None, "", "1e3", "1,5", "1/0", "1/-3", "nan", "٣", "1." + "0" * 19, "0x10"])
def test_what_is_no_exact_price_is_refused(price: object) -> None:
    with pytest.raises(MoneyError):
        parse_price(price)


@pytest.mark.parametrize("amount", [1.5, "1.0000000001", "9223372036.854775808", "-9223372036.854775809", "1/2"])
def test_an_amount_the_ledger_cannot_hold_is_refused(amount: object) -> None:
    with pytest.raises(MoneyError):
        parse_nanos(amount)


def test_the_ledger_holds_an_int64() -> None:
    assert checked(AMOUNT_MAX_NANOS) == parse_nanos("9223372036.854775807")
    with pytest.raises(MoneyError, match="past what the ledger holds"):
        checked(AMOUNT_MAX_NANOS + 1)


@pytest.mark.parametrize("path", MONEY_CODE, ids=lambda path: path.name)
def test_no_float_can_come_about_where_money_is_computed(path: Path) -> None:
    """No float literal, no float(), no true division: of two integers it would be a float."""
    found = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Constant) and isinstance(node.value, float | complex))
        or (isinstance(node, ast.Name) and node.id in {"float", "complex"})
        or (isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div))
    ]
    assert found == []


def test_no_price_or_amount_is_ever_declared_a_float() -> None:
    """Wherever a name says that it is money, units or a quantity, its type is not a float."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in ENGINE_CODE
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation and "float" in ast.unparse(node.annotation)
        and any(word in ast.unparse(node) for word in ("nanos", "price", "amount", "bytes", "quantity", "balance"))
    ]  # fmt: skip
    assert found == []
