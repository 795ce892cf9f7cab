"""What the summary of a run says to a person."""

from __future__ import annotations

import msgspec
import pytest

from streams.cli.report import Summary, show

#: An event in two parts, and one that was parked twice.
RUN = Summary(
    events_in=6,
    fates={"rated": 2, "refused": 1, "duplicate": 1, "parked": 2, "dead_lettered": 0},
    reasons={"refused/suspended": 1, "parked/no_plan": 2},
    adds_up=True,
    redelivered=0,
    charged={"EUR": "1.50"},
    uncovered={},
    events_per_second=1_000,
    ledger_events=2,
    ledger_records=3,
    ledger_charged={"EUR": "1.50"},
    parked_waiting=1,
    sims_suspended=0,
    wallets_suspended=0,
    first_suspends=[],
    dearest_countries=[],
    data="data",
)


def said(capsys: pytest.CaptureFixture[str], summary: Summary) -> list[str]:
    """The lines, their spaces made one."""
    show(summary, as_json=False)
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_figures_that_differ_from_the_fates_say_what_they_count(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, RUN)
    assert "ledger 2 events in 3 rated records 1.50 EUR" in lines
    assert "parked 1 events wait for a repair; one that comes again is parked again, and waits once" in lines


def test_nothing_is_said_of_parked_events_where_none_wait(capsys: pytest.CaptureFixture[str]) -> None:
    assert not any("repair" in line for line in said(capsys, msgspec.structs.replace(RUN, parked_waiting=0)))


def test_a_run_of_what_was_decided_before_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    fates = {"rated": 0, "refused": 0, "duplicate": 4, "parked": 2, "dead_lettered": 0}
    again = msgspec.structs.replace(RUN, fates=fates, reasons={"parked/no_plan": 2}, charged={})
    assert "Nothing new: every rateable event was decided before; nothing was charged." in said(capsys, again)
