"""`rater run` on the command line."""

from __future__ import annotations

import contextlib
import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from rater.cli import main
from streams.file_door import _fingerprint
from streams.file_progress import ProgressFile, unfinished
from streams.usage_file import UsageFile
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
    assert done.stderr.endswith("; 0 of its records were rated\n")
    assert json.loads(done.stdout)["events_in"] == 100


@pytest.mark.slow
def test_a_file_that_was_begun_and_then_damaged_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """What its first run had decided may still have to be delivered."""
    path, data = tmp_path / "usage.jsonl.gz", tmp_path / "data"
    whole = gzip.compress(b"".join(usage(f"event-{number}", "sim-1") + b"\n" for number in range(5_000)))
    path.write_bytes(whole[:-8] + b"\0" * 8)
    readable = UsageFile(path).count()
    begun = ProgressFile(data / "files" / f"{_fingerprint(path)}.json", path)
    with contextlib.suppress(KeyboardInterrupt), begun.run():
        begun.reached(1_000)
        raise KeyboardInterrupt
    done = CliRunner().invoke(main, ["--data", str(data), "run", str(path), "--json"])
    assert done.exit_code == 1
    assert done.stderr.endswith(f"; {readable:,} of its records were rated\n")
    assert json.loads(done.stdout)["events_in"] == readable - 1_000 > 0
    assert not unfinished(data / "files")
