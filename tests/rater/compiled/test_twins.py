"""The compiled parts come to what their twins in Python come to; whole batches: tests/rater/pipeline/test_quick.py."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rater import compiled
from rater.money import AMOUNT_MAX_NANOS
from rater.pipeline.batch import InterpretedRated
from rater.pipeline.payer import Offer
from rater.pipeline.pricing import price_plainly
from rater.rating.formula import Line
from rater.rating.terms import Steps
from rater.wallet.debit import Debit, SessionUse, WalletRef
from rater.wallet.member import COUNTERS_MAX, HEAD_BYTES, Member, pack_upon
from rater.wallet.member import counters_of as counters_in
from rater.wallet.usage_call import pack_charge
from schemas.adapters.usage_json import UsageEvent, quick
from schemas.checks import QUANTITY_MAX, unix_ms
from schemas.fates import Reason
from tests.rater.pipeline.test_quick import events
from tests.rater.rating.strategies import ZONE, counters_of, placed_cases, plain_rates, rates
from tests.rater.rating.test_terms import _terms

pytestmark = pytest.mark.skipif(not compiled.IS_ON, reason="nothing is compiled here")


def test_nothing_is_at_work_unless_every_part_is_there() -> None:
    assert set(compiled.PARTS) == {path.stem for path in Path(compiled.__file__).parent.glob("*.pyx")}


#: What a scanned event says of times that are none it reads.
UNREAD = -1


def read(event: UsageEvent) -> dict[str, Any]:
    """What the scanner reads of an event, from the decoder's."""
    found = {name: getattr(event, name) for name in UsageEvent.__struct_fields__}
    return {
        name: unix_ms(value) if isinstance(value, datetime) else value
        for name, value in found.items()
        if value is not None and name != "final"
    }


@settings(max_examples=2_000)
@given(events())
def test_what_the_scanner_reads_the_decoder_reads_too(raw: bytes) -> None:
    from rater.compiled.scan import scanned

    found = scanned(raw)
    assume(found is not None)
    try:
        event = quick(raw)
    except ValueError:  # the scanner leaves to others whether a number is small enough, a service one of ours ...
        names = {"service", "direction", "volume_bytes", "duration_ms", "message_count", "start_time", "end_time"}
        assert found.keys() & names
        return
    expected = read(event)
    for name in ("start_time", "end_time"):
        if found.get(name) == UNREAD:  # it goes the long way
            found[name] = expected[name]
    assert found == {name: value for name, value in expected.items() if name in found or name != "direction"}


@given(st.binary(max_size=600))
def test_identities_are_blake2b(text: bytes) -> None:
    from rater.compiled.blake2b import digest16

    assert digest16(text) == blake2b(text, digest_size=16).digest()


@settings(max_examples=1_000)
@given(st.data())
def test_a_line_costs_what_its_terms_say(data: st.DataObject) -> None:
    from rater.compiled.price import priced

    tariff, usage = data.draw(placed_cases(data.draw(st.sampled_from([rates, plain_rates]))))
    terms = _terms(tariff, usage)
    counters = data.draw(counters_of(tariff, usage, ZONE))
    quantity = data.draw(st.sampled_from([0, 1, QUANTITY_MAX]) | st.integers(1, 400_000))
    offer = SimpleNamespace(
        rate=terms.rate, refuse=Reason.NONE, keys=terms.keys, low_ms=terms.low_ms, high_ms=terms.high_ms,
        is_free=terms.outcome == "free", text="", billed_until_ms=0, terms=terms,
    )  # fmt: skip
    found, expected = priced(offer, quantity, counters), terms.rate(quantity, counters)
    if found is not None:
        assert found == expected
    elif expected is not None:  # too much for 64 bits
        assert max(expected[1], *expected[3], 0) > min(AMOUNT_MAX_NANOS, QUANTITY_MAX) - 1 or expected[0] > QUANTITY_MAX


wallet_names = st.sampled_from(["w", "v" * 40])
states = st.sampled_from([bytes(HEAD_BYTES), b"x" * 40, b"x" * 41, b"y" * 300])
amounts = st.sampled_from([0, 1, 10**9, 7 * 10**18, 2**63 - 1]) | st.integers(0, 10**13)


@st.composite
def groups(draw: st.DrawFn) -> list[list[Debit]]:
    """Usage of some wallets, with all that may stand in the way of charging it at once."""
    found = []
    for name in draw(st.lists(wallet_names, unique=True, min_size=1, max_size=2)):
        wallet = WalletRef("t", name, 0, f"{{s0}}:w:t/{name}".encode())
        members: list[Member[Any]] = [
            Member(f"{{s0}}:b:t/{name}/{number}".encode(), draw(st.just(b"") | st.just(bytes(HEAD_BYTES))))
            for number in range(3)
        ]
        drawn = [draw(debits(wallet, members)) for _ in range(draw(st.integers(1, 5)))]
        found.append([Debit(*fields, **odd) for fields, odd in drawn * draw(st.sampled_from([1, 1, 1, 7, 60]))])
    return found


@st.composite
def debits(
    draw: st.DrawFn, wallet: WalletRef, members: list[Member[Any]]
) -> tuple[tuple[Any, ...], dict[str, Any]]:  # fmt: skip
    rare = draw(st.integers(0, 3)) == 0
    odd = draw(st.fixed_dictionaries({}, optional=ODD)) if rare else {}
    if rare and draw(st.booleans()):
        odd |= {"pool": members[0], "pool_before": draw(states), "pool_after": draw(st.just(b"") | states)}
    return (
        wallet, draw(st.sampled_from(members)), draw(st.binary(min_size=16, max_size=16)), bytes(range(24)),
        draw(st.sampled_from(["feed/1", "feed/" + "é" * 200])), draw(st.sampled_from(["EUR"] * 9 + ["USD"])),
        draw(amounts), draw(st.sampled_from([0, 0, 1])), draw(states), draw(st.just(b"") | states),
        tuple(draw(st.lists(st.integers(0, 2**53), max_size=3))),
    ), odd  # fmt: skip


ODD: dict[str, st.SearchStrategy[Any]] = {
    "refuse": st.sampled_from([Reason.REGION_BLOCKED, Reason.AMOUNT_LIMIT]),
    "free": st.booleans(),
    "uncounted": st.booleans(),
    "allowed": st.booleans(),
    "shares": st.booleans(),
    "cover": st.binary(max_size=20),
    "sessions": st.just((SessionUse("t/sim/session:é", 2**52, 2**53),)),
}


@settings(max_examples=300)
@given(groups(), st.sampled_from([0, 1_793_491_200_000]))
def test_the_request_of_a_call_is_the_same_byte_for_byte(usage: list[list[Debit]], now_ms: int) -> None:
    assume(all(sum(event.amount_nanos for event in group) < 2**63 for group in usage))
    expected = compiled.INTERPRETED["pack_charge"](usage, now_ms, 1, 0)
    told = [(event.place, event.ahead_nanos) for group in usage for event in group]
    assert pack_charge(usage, now_ms, 1, 0) == expected
    assert [(event.place, event.ahead_nanos) for group in usage for event in group] == told


def test_usage_that_adds_up_to_too_much_is_not_charged_at_once() -> None:
    wallet, member = WalletRef("t", "w", 0, b"{s0}:w:t/w"), Member[Any](b"{s0}:b:t/w/1")
    much = [Debit(wallet, member, bytes(16), bytes(24), "", "EUR", 2**63 - 1, 0) for _ in range(3)]
    packed = pack_charge([much], 0, 0, 0)
    assert [event.ahead_nanos for event in much] == [0, 2**63 - 1, 0]
    assert b"\x91\x00\x91\xac" in packed  # the column "plain", then the members' keys


def usage_of(member: Member[Any], terms: Any) -> Any:
    """A rated event of a member, by terms that are one line."""
    from rater.compiled.event import Rated

    offer = Offer(terms, Reason.NONE, "", 0)
    event = Rated.__new__(Rated)
    event.member, event.offer, event.quantity, event.until_ms = member, offer, 10, 5
    return event


def line(*keys: str) -> Any:
    """Terms of one nano a unit, with a tier counter or without."""
    steps = Steps(1, 1, False, Line([0], [1], [0], 0, 1, 1))
    return SimpleNamespace(
        keys=keys, low_ms=0, high_ms=10, steps=steps, outcome="priced",
        rate=lambda quantity, counters: (quantity, quantity, (), ()),
    )  # fmt: skip


def test_counters_that_are_on_their_way_out_of_a_state_are_not_counted_in_it() -> None:
    """A member with as many as it may have forgets old ones before its state does."""
    counters = {"2020-01-01/old": 5} | {f"2026-10-01/{number}": number for number in range(COUNTERS_MAX - 2)}
    member = Member[Any](b"k", bytes(HEAD_BYTES) + pack_upon(0, False, counters | {"2026-10-01/t": 1000}))
    now_ms = 1_793_440_800_000
    assert member.has_room(["2026-10-01/new"], now_ms)
    event = usage_of(member, line("2026-10-01/t"))
    assert price_plainly(event, now_ms)
    after = counters_in(event.after)
    assert after["2026-10-01/t"] == 1010
    assert all(value == int(key[11:]) for key, value in after.items() if key != "2026-10-01/t")


def test_what_is_priced_anew_keeps_no_counters_of_before() -> None:
    member = Member[Any](b"k", bytes(HEAD_BYTES) + pack_upon(0, False, {"2026-10-01/t": 1000}))
    event = usage_of(member, line("2026-10-01/t"))
    assert price_plainly(event, 0)
    assert (event.amount_nanos, event.counters) == (10, (1000,))
    event.offer = usage_of(member, line()).offer
    assert price_plainly(event, 0)
    assert event.counters == ()


@pytest.mark.parametrize(
    "name", ["RawEvent", "Head", "WalletFields", "MemberFields", "PayerFields", "SimFields", "OfferFields"]
)
def test_a_compiled_struct_has_the_fields_of_its_twin(name: str) -> None:
    from rater.compiled import fields

    one, other = compiled.INTERPRETED[name], getattr(fields, name)
    assert {field for field in dir(one) if field[0] != "_"} == {field for field in dir(other) if field[0] != "_"}


def test_a_compiled_event_has_what_an_interpreted_one_has() -> None:
    from rater.compiled.event import Rated

    assert sorted(Rated.__struct_fields__) == sorted(InterpretedRated.__struct_fields__)
    public = {name for name in dir(InterpretedRated) if not name.startswith("_")}
    assert public <= set(dir(Rated))


def test_what_is_not_compiled_does_the_same() -> None:
    """The laws of the money path, with the twins in Python at work."""
    quick = ["pipeline/test_quick.py", "pipeline/test_quick_records.py"]
    tests = [*quick, "wallet/test_usage.py", "wallet/test_at_once.py", "wallet/test_member.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *(f"tests/rater/{test}" for test in tests)],
        env=os.environ | {"INTERPRETED_RATER": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
