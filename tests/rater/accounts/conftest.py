"""Accounts on a real Redis."""

from __future__ import annotations

from typing import Any

import pytest

from rater.wallet.store import WalletStore
from tests.rater.accounts.building import Book


@pytest.fixture
async def book(redis: Any) -> Book:
    """Nothing in it."""
    return Book(redis, await WalletStore.open(redis, shards=4))
