"""One server for the tests of this folder, and one that sells the example plans; each test is a tenant of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.streams.http.served import Client, Served, serving


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A running server."""
    with serving(tmp_path_factory.mktemp("http")) as server:
        yield server


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A running server whose catalogue is the sample one with the example plans live in it."""
    with serving(tmp_path_factory.mktemp("shop"), examples=True) as server:
        yield server


@pytest.fixture
def tenant() -> str:
    """A name nobody has used."""
    return f"t-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def buyer(shop: Served, tenant: str) -> Client:
    """A client of the shop that may send usage, manage and read."""
    return shop.key(tenant)


@pytest.fixture
def api(served: Served, tenant: str) -> Client:
    """A client that may send usage, manage and read."""
    return served.key(tenant)
