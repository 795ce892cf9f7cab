"""One server for the tests of this folder; each test is a tenant of its own."""

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


@pytest.fixture
def tenant() -> str:
    """A name nobody has used."""
    return f"t-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def api(served: Served, tenant: str) -> Client:
    """A client that may send usage, manage and read."""
    return served.key(tenant)
