"""`rater quote` answers each line of usage with its charge, or with what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rater.cli.quote import quote

TARIFF = """
tariff: small
currency: EUR
zone: Europe/Berlin
versions:
  - version: "1"
    effective_from: "2026-01-01T00:00"
    blocked: [KP]
    rates:
      - {name: d, service: data, price: "1.00", per: MB, increments: {next: 100 kB, scope: carry-over}}
      - {name: v, service: voice, price: "0.10", per: min, setup: "0.05", increments: [60 s, 1 s]}
"""


def _usage(**fields: Any) -> str:
    usual = {
        "tenant": "acme",
        "source": "net",
        "id": "1",
        "service": "data",
        "iccid": "89490000000000000011",
        "country": "DE",
        "start_time": "2026-10-20T10:00:00Z",
        "end_time": "2026-10-20T10:10:00Z",
    }
    return json.dumps({**usual, **fields})


def _run(folder: Path, lines: list[str], *options: str) -> Result:
    (folder / "tariff.yaml").write_text(TARIFF)
    return CliRunner().invoke(quote, ["--tariff", str(folder / "tariff.yaml"), *options], input="\n".join(lines))


def test_a_call_is_quoted_with_its_derivation(tmp_path: Path) -> None:
    result = _run(tmp_path, [_usage(service="voice", duration_ms=132_000)])

    assert result.exit_code == 0
    assert json.loads(result.output) == {
        "id": "1",
        "outcome": "priced",
        "amount": "0.27",
        "currency": "EUR",
        "quantity": 132_000,
        "billable_quantity": 132_000,
        "unit": "ms",
        "parts": [
            {"rate": "v", "zone": "anywhere", "tariff_version": "1", "period": "2026-10-01", "amount": "0.27"},
        ],
        "explanation": [
            "132 s used -> 1 step of 60 s + 72 steps of 1 s = 132 s = 2.2 min",
            "2.2 min x 0.10 EUR = 0.22 EUR",
            "+ set-up fee 0.05 EUR = 0.27 EUR",
            "rounded half-up to 0.000000001: 0.27 EUR",
        ],
    }


def test_steps_carry_over_from_line_to_line_of_one_subscriber(tmp_path: Path) -> None:
    other = "89490000000000000029"
    lines = [_usage(volume_bytes=60_000), _usage(volume_bytes=40_000), _usage(volume_bytes=1)]
    result = _run(tmp_path, [*lines, _usage(volume_bytes=1, iccid=other)])

    assert [json.loads(line)["amount"] for line in result.output.splitlines()] == ["0.10", "0.00", "0.10", "0.10"]


def test_a_blocked_event_moves_no_counter(tmp_path: Path) -> None:
    blocked = _usage(volume_bytes=60_000, country="KP")
    result = _run(tmp_path, [blocked, blocked])
    quotes = [json.loads(line) for line in result.output.splitlines()]

    assert [(line["outcome"], line["amount"], line["detail"]) for line in quotes] == [
        ("blocked", "0.10", "service is blocked in KP")
    ] * 2


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (_usage(volume_bytes=-1), "volume_bytes"),
        (_usage(volume_bytes=1, country="XX"), "country"),
        (_usage(volume_bytes=1, start_time="0001-01-01T00:00:00Z"), "start_time"),
        ('{"tenant": "acme"', ""),
    ],
)
def test_a_bad_line_is_answered_with_its_field_and_the_next_one_is_quoted(
    tmp_path: Path, line: str, field: str
) -> None:
    result = _run(tmp_path, [line, "", _usage(volume_bytes=1)])
    error, good = (json.loads(text) for text in result.output.splitlines())

    assert result.exit_code == 1
    assert (error["line"], error["field"]) == (1, field)
    assert error["error"]
    assert good["amount"] == "0.10"


def test_a_time_that_no_calendar_holds_is_answered(tmp_path: Path) -> None:
    late = _usage(volume_bytes=1, start_time="9999-12-31T23:00:00Z", end_time="9999-12-31T23:30:00Z")
    result = _run(tmp_path, [late])

    assert json.loads(result.output)["detail"] == "the usage lies outside of the years 1970 to 8999"


def test_explain_prints_the_derivation_for_a_person(tmp_path: Path) -> None:
    result = _run(tmp_path, [_usage(service="voice", duration_ms=132_000), "nonsense"], "--explain")

    assert "2.2 min x 0.10 EUR = 0.22 EUR" in result.output
    assert "line 2: not valid JSON" in result.output
    assert result.exit_code == 1


def test_the_cycle_follows_the_zone_that_is_asked_for(tmp_path: Path) -> None:
    line = _usage(volume_bytes=1, start_time="2026-10-31T23:10:00Z", end_time="2026-10-31T23:20:00Z")

    def period(*options: str) -> str:
        parts = json.loads(_run(tmp_path, [line], *options).output)["parts"]
        return str(parts[0]["period"])

    assert period() == "2026-11-01"
    assert period("--zone", "America/New_York") == "2026-10-01"


def test_a_zone_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    result = _run(tmp_path, [_usage(volume_bytes=1)], "--zone", "Europe/Bonn")

    assert result.exit_code == 2
    assert '"Europe/Bonn" is no IANA time zone' in result.output
