"""A shop for a test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.streams.payments.building import Shop, shop


@pytest.fixture
async def till(redis_socket: Path) -> AsyncIterator[Shop]:
    """See Shop."""
    async with shop(redis_socket) as opened:
        yield opened
