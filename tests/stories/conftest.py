"""A server of its own for each story, whose clock begins when the story does and is moved by it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rater.settings import IntakeSettings
from tests.streams.http.served import Client, Served


class Theatre:
    """A server with the example plans, its operator, and its clock."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.operator = Client(0)
        self._events = 0

    def begin(self, instant: str) -> None:
        """Open at an instant."""
        self.clock(instant)
        self.served.start()
        self.operator = self.served.key("stage", "ingest", "admin")

    def clock(self, instant: str) -> None:
        """Go on to an instant; what falls due on the way is done when this returns."""
        self.run("clock", "set", instant)

    def run(self, *arguments: str) -> str:
        """A command on the same data; what it printed."""
        settings = self.served.settings
        done = subprocess.run(
            [sys.executable, "-m", "rater.cli", "--data", settings.engine.data, *arguments],
            env=self.served.environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def use(self, sim: str, at: str, client: Client | None = None, **fields: Any) -> dict[str, Any]:
        """Send a usage event; answers its verdict."""
        self._events += 1
        event = {"source": "feed", "id": str(self._events), "subscriber": sim, "start_time": at, "end_time": at}
        answer = (client or self.operator).post("/v1/usage", [event | fields]).ok()
        (verdict,) = answer["events"]
        return verdict  # type: ignore[no-any-return]

    def open(self, wallet: str, balance: str, currency: str = "EUR") -> None:
        """A wallet."""
        form = {"wallet": wallet, "currency": currency, "balance": balance}
        self.operator.post("/v1/wallets", form, f"open-{wallet}").ok(201)

    def add(self, sim: str, wallet: str, plan: str, account: str = "") -> None:
        """A SIM on a plan, from now on."""
        form = {"sim": sim, "wallet": wallet, "plan": plan} | ({"account": account} if account else {})
        self.operator.post("/v1/sims", form, f"add-{sim}").ok(201)

    def subscription(self, sim: str) -> dict[str, Any]:
        """What a SIM has of its plan."""
        return self.operator.get(f"/v1/subscriptions/{sim}").ok()  # type: ignore[no-any-return]

    def balance(self, wallet: str) -> str:
        """What a wallet has."""
        return self.operator.balance(wallet)

    def notices(self, kind: str) -> list[dict[str, Any]]:
        """What was told of a kind, in order."""
        told = [json.loads(line) for line in self.served.topic("notices")]
        return [notice for notice in told if notice["type"] == kind]


def instant(text: str) -> datetime:
    """An instant as the API writes it."""
    return datetime.fromisoformat(text)


@pytest.fixture
def theatre(tmp_path: Path) -> Iterator[Theatre]:
    """A stage that is not open yet."""
    served = Served(tmp_path, examples=True)
    served.settings = msgspec.structs.replace(served.settings, intake=IntakeSettings())
    try:
        yield Theatre(served)
    finally:
        if served.is_running:
            served.stop()
