"""Records are written as text from pieces, and that text is what a JSON encoder would write, byte for byte."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.fates import Reason
from schemas.rated import RatedRecord, offer_text, payer_text, quoted, rare_text, record
from schemas.shape import Shape, ShapeKey
from schemas.usage import BASE_UNIT, Direction, Service

#: What writers of JSON get wrong: quotes, backslashes, control characters, DEL, line separators, astral characters.
awkward = st.sampled_from(['"', "\\", "\0", "\b\f\n\r\t", "\x1f", "\x7f", "\u2028\u2029", "é", "€", "😀", "/", "<&>"])
texts = st.lists(awkward | st.text(max_size=5), max_size=4).map("".join)
given_texts = texts.filter(bool)
int64 = st.integers(-(2**63), 2**63 - 1)
digits = st.text("0123456789", min_size=2, max_size=3)

NUMBERS = (
    "epoch", "n", "quantity", "billable_quantity", "amount_nanos", "charged_nanos", "balance_before_nanos", "start_ms",
    "end_ms", "rated_ms", "position",
)  # fmt: skip
#: The fields of an offer; the rest of a shape's fields and of a record's are drawn beside them.
offers = st.fixed_dictionaries(
    dict.fromkeys(("plan", "plan_version", "tariff", "tariff_version", "rate", "zone", "catalogue"), texts)
    | {"country": st.sampled_from(["", "DE"]), "destination_country": st.sampled_from(["", "FR"])}
    | {"period": st.just("2026-11-01"), "currency": st.just("EUR"), "tax_category": texts}
    | {"explanation": st.lists(texts, max_size=3).map(tuple)}
)
shapes: st.SearchStrategy[ShapeKey] = st.tuples(
    st.sampled_from(get_args(Service)), st.none() | given_texts, st.sampled_from(get_args(Direction)),
    st.none() | digits, st.none() | digits, st.none(), st.sampled_from([None, "+49x", "+493012345", "112"]), st.none(),
)  # fmt: skip
payers = st.fixed_dictionaries(dict.fromkeys(("tenant", "subscriber", "account", "wallet"), texts))
rares = st.fixed_dictionaries(
    {},
    optional={
        "part": st.integers(0, 2),
        "parts": st.integers(1, 3),
        "fate": st.sampled_from(["rated", "refused"]),
        "reason": st.sampled_from(["", *(reason.label for reason in Reason)]),
        "uncovered_nanos": int64,
        "called_number": st.none() | given_texts,
        "session_id": st.none() | given_texts,
        "late": st.booleans(),
    },
)
numbers = st.fixed_dictionaries(dict.fromkeys(NUMBERS, int64))


def written(
    payer: dict[str, str], shape: ShapeKey, offer: dict[str, Any], rare: dict[str, Any], numbers: dict[str, int],
    source: str, event_id: str, door: str, fingerprint: bytes,
) -> bytes:  # fmt: skip
    of = numbers.__getitem__
    return record(
        payer_text(**payer), source, event_id, offer_text(Shape(shape), **offer), of("epoch"), of("n"), of("quantity"),
        of("billable_quantity"), of("amount_nanos"), of("charged_nanos"), of("balance_before_nanos"), of("start_ms"),
        of("end_ms"), of("rated_ms"), quoted(door), of("position"), fingerprint, rare_text(**rare),
    )  # fmt: skip


def meant(
    payer: dict[str, Any], shape: ShapeKey, offer: dict[str, Any], rare: dict[str, Any], numbers: dict[str, Any],
    source: str, event_id: str, door: str, fingerprint: bytes,
) -> RatedRecord:  # fmt: skip
    service, kind, direction, mcc, mnc, *_ = shape
    places: dict[str, Any] = {"kind": kind, "mcc": mcc, "mnc": mnc}
    return RatedRecord(
        **payer, **offer, **numbers,
        **{name: value for name, value in (places | rare).items() if value is not None},
        service=service, direction=direction, unit=BASE_UNIT[service], source=source, id=event_id, door=door,
        fingerprint=fingerprint.hex(),
        balance_after_nanos=numbers["balance_before_nanos"] - numbers["charged_nanos"],
    )  # fmt: skip


@given(
    payer=payers, shape=shapes, offer=offers, rare=rares, numbers=numbers, source=texts, event_id=texts, door=texts,
    fingerprint=st.binary(min_size=8, max_size=8),
)  # fmt: skip
def test_a_record_is_byte_for_byte_what_the_encoder_writes(**content: Any) -> None:
    """Whatever the texts and numbers, and with all that has its default left out."""
    numbers = content["numbers"]
    after = numbers["balance_before_nanos"] - numbers["charged_nanos"]
    if not -(2**63) <= after < 2**63:
        numbers["charged_nanos"] = 0
    assert written(**content) == msgspec.json.encode(meant(**content))


@pytest.mark.parametrize("number", ["+49301234567", "112"])
def test_a_record_has_the_called_number_once_and_not_its_class(number: str) -> None:
    shape = Shape(("voice", None, "outgoing", None, None, None, "112" if number == "112" else "+4930x", None))
    offer = dict.fromkeys(
        ("country", "destination_country", "plan", "plan_version", "tariff", "tariff_version", "period", "rate", "zone",
         "currency", "tax_category", "catalogue"), "",
    )  # fmt: skip
    text = offer_text(shape, **offer, explanation=()) + rare_text(called_number=number)
    assert text.count("called_number") == 1
    assert f'"called_number":"{number}"' in text


@given(st.lists(awkward | st.characters(codec="utf-8"), max_size=20).map("".join))
def test_any_text_is_quoted_as_the_encoder_quotes_it(text: str) -> None:
    assert quoted(text).encode() == msgspec.json.encode(text)


def test_every_field_of_a_record_is_written_when_it_is_not_the_default() -> None:
    """But those that nothing gives yet: a correction."""
    shape: ShapeKey = ("message", "sms", "incoming", "262", "01", None, None, None)
    names = ("plan", "plan_version", "tariff", "tariff_version", "rate", "zone", "catalogue", "tax_category", "period")
    text = written(
        dict.fromkeys(("tenant", "subscriber", "account", "wallet"), "x"),
        shape,
        dict.fromkeys((*names, "country", "destination_country", "currency"), "x") | {"explanation": ("x",)},
        {"part": 1, "parts": 2, "fate": "refused", "reason": "suspended", "uncovered_nanos": 1, "called_number": "112",
         "session_id": "s", "late": True, "allowance": "x", "allowance_used": 1, "allowance_left": 1},
        dict.fromkeys(NUMBERS, 1),
        "source", "id", "door", b"12345678",
    )  # fmt: skip
    missing = set(RatedRecord.__struct_fields__) - set(msgspec.json.decode(text))
    assert missing == {"correction_of", "revision"}
