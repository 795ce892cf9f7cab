"""Killed between the debit and the delivery of its record: nothing is lost, nothing is charged twice.

The kill comes while the record cannot be delivered, because somebody else holds the topic's lock; so the wallet is
debited for certain, and the record is written nowhere.
"""

from __future__ import annotations

import contextlib
import http.client
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.streams.http.served import Client, Served, event, serving, verdict

EVENTS = [event("1"), event("2", country="KP"), event("3")]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A server of its own, to be killed."""
    with serving(tmp_path) as server:
        yield server


def kill_between_debit_and_delivery(served: Served, api: Client) -> None:
    api.wallet("w", "10.00", "sim-1")

    def send() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            raise AssertionError(f"answered before it was safe: {api.post('/v1/usage', EVENTS)}")

    sending = threading.Thread(target=send)
    with served.topic_held("rated"):
        sending.start()
        for _ in range(200):
            if api.balance("w") != "10.00":
                break
            time.sleep(0.05)
        assert api.balance("w") == "9.80", "it is debited"
        time.sleep(0.2)
        served.kill()
    sending.join()
    assert served.topic("rated") == [], "and no record is delivered"


def ids(lines: list[bytes]) -> list[str]:
    return [orjson.loads(line)["id"] for line in lines]


def test_a_server_that_starts_again_delivers_what_a_dead_one_had_debited(served: Served) -> None:
    api = served.key("t")
    kill_between_debit_and_delivery(served, api)
    served.start()
    assert ids(served.topic("rated")) == ["1", "3"]
    assert ids(served.topic("refused")) == ["2"]
    assert api.balance("w") == "9.80"
    again = api.post("/v1/usage", EVENTS).ok()
    assert [verdict(again, index) for index in range(3)] == [
        ("rated", "", "0.10"), ("refused", "region_blocked", "0.00"), ("rated", "", "0.10"),
    ]  # fmt: skip
    assert [found["repeated"] for found in again["events"]] == [True] * 3
    assert api.balance("w") == "9.80", "charged once"
    assert len(set(served.topic("rated"))) == 2, "a record that is delivered again is the same to the byte"


def test_a_client_that_repeats_gets_the_record_delivered_by_any_server(served: Served) -> None:
    """The dead server's disk is gone with it; Redis remembers what was decided."""
    api = served.key("t")
    kill_between_debit_and_delivery(served, api)
    shutil.rmtree(served.data / "http")
    served.start()
    assert served.topic("rated") == []
    again = api.post("/v1/usage", EVENTS).ok()
    assert [found["repeated"] for found in again["events"]] == [True] * 3
    assert verdict(again) == ("rated", "", "0.10")
    assert ids(served.topic("rated")) == ["1", "3"]
    assert api.balance("w") == "9.80", "charged once"


def test_a_server_that_is_stopped_answers_what_it_took_and_leaves_nothing(served: Served) -> None:
    api = served.key("t")
    api.wallet("w", "10.00", "sim-1")
    told: list[Any] = []
    sending = threading.Thread(target=lambda: told.append(api.post("/v1/usage", EVENTS)))
    with served.topic_held("rated"):
        sending.start()
        while api.balance("w") == "10.00":
            time.sleep(0.05)
        stopping = threading.Thread(target=lambda: told.append(served.stop()))
        stopping.start()
        time.sleep(0.5)
        assert not told
    sending.join()
    stopping.join()
    assert [answer if isinstance(answer, int) else verdict(answer.ok()) for answer in told] == [
        ("rated", "", "0.10"),
        0,
    ]
    assert not [path for path in (served.data / "http").glob("*/*") if path.name != ".lock"]


def test_random_kills_under_load_lose_nothing_and_double_nothing(served: Served) -> None:
    """A client that repeats until it is answered: each event is charged once, and has its record."""
    api = served.key("t")
    api.wallet("w", "1000.00", "sim-1")
    answers: dict[str, tuple[str, str, str]] = {}

    def send(worker: int) -> None:
        for number in range(40):
            events = [event(f"{worker}-{number}-{index}") for index in range(10)]
            while True:
                try:
                    answer = api.post("/v1/usage", events)
                except (OSError, http.client.HTTPException):
                    time.sleep(0.02)
                    continue
                if answer.status == 200:
                    answers.update(
                        {found["id"]: verdict(answer.body, i) for i, found in enumerate(answer.body["events"])}
                    )
                    break

    workers = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for kill in range(4):
        time.sleep(0.15 + 0.1 * kill)
        served.kill()
        served.start()
    for worker in workers:
        worker.join()
    assert len(answers) == 1600
    assert set(answers.values()) == {("rated", "", "0.10")}
    assert api.balance("w") == "840.00"
    lines = served.topic("rated")
    assert len(set(ids(lines))) == len(set(lines)) == 1600, "one record each, the same however often it was delivered"
