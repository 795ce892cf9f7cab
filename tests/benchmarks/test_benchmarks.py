"""The benchmarks run, and their check of the ledger finds what is wrong. How fast anything is, no test asks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import PARTS
from benchmarks.ledger import check, expected
from benchmarks.topics import read_files
from benchmarks.traffic import Sent, fleet, iccid, one_message, traffic
from rater.catalogue import Catalogue
from rater.directory import Directory
from rater.pipeline.batch import Batch, Door, RawEvent
from rater.pipeline.catalogues import Catalogues
from rater.pipeline.pipeline import Pipeline
from rater.pipeline.tally import Tally
from rater.settings import CONFIG
from rater.wallet.load import load_wallets
from rater.wallet.outbox import Outbox
from rater.wallet.store import WalletStore
from schemas.sample import CLOCK
from streams.publisher import Publisher
from streams.spool_sink import SpoolSink
from streams.topics import TopicRecord

NOW_MS = int(CLOCK.timestamp() * 1000)
WALLETS = 40


class Rated:
    """Traffic that went through a pipeline, as the check of the ledger sees it."""

    def __init__(self, records: list[TopicRecord], tally: Tally, store: WalletStore, sent: Sent) -> None:
        self.records, self.tally, self.store, self.sent = records, tally, store, sent
        self.forms = fleet(WALLETS)

    async def faults(self) -> list[str]:
        return expected(self.tally, self.sent) + await check(self.records, self.tally, self.store, self.forms)


@pytest.fixture
async def rated(redis: Any, tmp_path: Path) -> Rated:
    """A thousand events, one of them of a SIM whose wallet cannot pay for it."""
    store = await WalletStore.open(redis, shards=4)
    directory = Directory(redis, store)
    await load_wallets(fleet(WALLETS), store, directory, now_ms=NOW_MS)
    catalogues = Catalogues(redis, Catalogue.load(CONFIG))
    await catalogues.keep()
    sent = traffic("test", 1000, WALLETS)
    sent.messages.append((b"", one_message("crossing", iccid("w", 19))))
    door, sink = Door("file:test"), SpoolSink(tmp_path)
    events = [RawEvent(value, door, number) for number, (_, value) in enumerate(sent.messages)]
    outputs = await Pipeline(store, directory, catalogues).process(Batch(events, NOW_MS))
    await sink.publish(outputs.messages)
    await Publisher(Outbox(redis, store), store.shards, sink, lambda: NOW_MS).drain()
    return Rated(read_files(tmp_path), outputs.tally, store, sent)


async def test_a_run_that_was_right_has_no_faults(rated: Rated) -> None:
    assert rated.tally.events == 1001
    assert any(record.topic == "lifecycle" for record in rated.records)
    assert await rated.faults() == []


@pytest.mark.parametrize("topic", ["rated", "parked", "dead-letters", "lifecycle"])
async def test_a_message_that_is_missing_is_a_fault(rated: Rated, topic: str) -> None:
    rated.records.remove(next(record for record in rated.records if record.topic == topic))
    assert await rated.faults()


async def test_another_charge_than_the_wallet_lost_is_a_fault(rated: Rated) -> None:
    place = next(n for n, record in enumerate(rated.records) if b'"charged_nanos":45000000,' in record.value)
    record = rated.records[place]
    changed = record.value.replace(b'"charged_nanos":45000000,', b'"charged_nanos":45000001,')
    rated.records[place] = record._replace(value=changed)
    assert any("not what its records charge" in fault for fault in await rated.faults())


async def test_a_second_suspend_event_is_a_fault(rated: Rated) -> None:
    first = next(record for record in rated.records if record.topic == "lifecycle")
    again = json.loads(first.value)
    again["status_version"] += 1
    rated.records.append(first._replace(value=json.dumps(again).encode()))
    assert any("suspended 2 times" in fault for fault in await rated.faults())


@pytest.mark.slow
def test_every_part_runs_and_is_right(kafka: object, tmp_path: Path) -> None:
    """On parts of its own; the fixture only makes sure that Kafka can be had."""
    command = [sys.executable, "-m", "benchmarks", "--size", "tiny", "--json", "--results", str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout[done.stdout.index("{\n") :])
    assert result["right"]
    assert set(result["parts"]) == set(PARTS)
    assert all(part["figures"] for part in result["parts"].values())
    assert len(list(tmp_path.glob("*.local.json"))) == 1
