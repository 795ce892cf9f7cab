"""An empty set of wallets on a real Redis."""

from __future__ import annotations

from typing import Any

import pytest

from rater.wallet.store import WalletStore
from tests.rater.wallet.building import Wallets


@pytest.fixture
async def wallets(redis: Any) -> Wallets:
    """Four shards, nothing in them."""
    return Wallets(redis, await WalletStore.open(redis, shards=4))
