"""An installation without wallets, and a receiver."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.streams.webhooks.building import Hooks
from tests.streams.webhooks.receiver import Receiver, receiving


@pytest.fixture
async def hooks(redis: Any, tmp_path: Path) -> Hooks:
    return await Hooks.open(redis, tmp_path)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made
