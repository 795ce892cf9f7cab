from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from rater.cli import main


def test_the_ledger_is_asked_and_cannot_be_changed(tmp_path: Path) -> None:
    def rater(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["--data", str(tmp_path), "query", *arguments])
        return result.exit_code, result.output

    sql = "SELECT 9223372036854775807 AS whole, reinterpret(toInt64(1), 'Decimal(18, 9)') AS exact, ['[b]'] AS list"
    code, output = rater("--json", sql)
    assert (code, json.loads(output)) == (
        0,
        {"whole": 9223372036854775807, "exact": "0.000000001", "list": ["[b]"]},
    )
    code, output = rater(sql)
    assert code == 0
    assert all(text in output for text in ("9223372036854775807", "0.000000001", "[b]"))
    assert rater("SELECT id FROM rated_records_readable")[0] == 0

    code, output = rater("DROP TABLE rated_records")
    assert code == 1
    assert "only reading queries" in output
