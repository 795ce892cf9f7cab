"""`rater run` on the command line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from rater.cli import main
from tests.rater.pipeline.conftest import usage


@pytest.mark.slow
def test_a_damaged_file_is_named_and_charged_for_nothing_while_the_others_are_rated(tmp_path: Path) -> None:
    events = [usage(f"event-{number}", "sim-1") + b"\n" for number in range(5_000)]
    whole, damaged = tmp_path / "whole.jsonl.gz", tmp_path / "damaged.jsonl.gz"
    whole.write_bytes(gzip.compress(b"".join(events[:100])))
    flipped = bytearray(gzip.compress(b"".join(events)))
    flipped[len(flipped) // 2] ^= 0x01
    damaged.write_bytes(flipped)
    done = CliRunner().invoke(main, ["--data", str(tmp_path / "data"), "run", str(damaged), str(whole), "--json"])
    assert done.exit_code == 1
    assert f"Error: {damaged}: damaged behind record " in done.stderr
    assert done.stderr.endswith("; none of it was rated\n")
    assert json.loads(done.stdout)["events_in"] == 100
