"""Stripe's own stripe-mock takes what we send: it checks parameters by the OpenAPI document of the API.

It keeps nothing and always answers the same intent, so what becomes of payments is tried in test_desk.py.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from shutil import copy

import pytest

from rater.payments.model import Means, Purpose
from rater.settings import PaymentSettings
from streams.embedded.ports import free_ports
from streams.payments.provider import NoAnswerError
from streams.payments.stripe_provider import StripeProvider
from tests.rater.payments.building import NOW_MS, payment

SCRIPT = Path(__file__).parents[3] / "scripts" / "stripe-mock"
#: The script's exit status where there is no Go that is new enough.
NO_GO = 77
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def mock_url() -> Iterator[str]:
    """A running stripe-mock; built with Go if it is missing. Debian 12 has none that can."""
    built = subprocess.run([SCRIPT], check=False, capture_output=True, text=True)
    if built.returncode == NO_GO:
        pytest.skip(built.stderr.strip())
    assert built.returncode == 0, built.stderr
    (port,) = free_ports(1)
    server = subprocess.Popen([built.stdout.strip(), "-http-port", str(port)], stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def provider(url: str, key: str = "sk_test_123") -> StripeProvider:
    return StripeProvider(PaymentSettings(stripe_key=key, stripe_api_base=url))


@pytest.mark.parametrize("customer", ["cus_1", ""])
async def test_an_intent_is_made_of_what_stripe_knows(mock_url: str, customer: str) -> None:
    """Its intents always wait for a payment method: declined where we gave one, else waiting for the payer."""
    stripe = provider(mock_url)
    saved = await stripe.create(payment(means=Means(customer, "pm_1")), NOW_MS)
    assert (saved.status, saved.reference[:3], saved.reason) == ("declined", "pi_", "declined")
    waiting = await stripe.create(payment(means=Means(customer)), NOW_MS)
    assert (waiting.status, waiting.client_secret[:3]) == ("pending", "pi_")
    await stripe.close()


async def test_what_stripe_does_not_know_is_refused_there(mock_url: str) -> None:
    """So the test above would fail."""
    stripe = provider(mock_url)
    stripe._intents.create_async = _with_a_mistake(stripe)  # type: ignore[method-assign]
    answer = await stripe.create(payment(), NOW_MS)
    assert (answer.status, answer.reason) == ("declined", "invalid_request")
    await stripe.close()


def _with_a_mistake(stripe: StripeProvider):  # type: ignore[no-untyped-def]
    create = stripe._intents.create_async
    return lambda params, options: create(params | {"amout": 1}, options)


async def test_an_intent_is_found_looked_at_and_cancelled(mock_url: str) -> None:
    stripe = provider(mock_url)
    with pytest.raises(NoAnswerError, match="is for another amount"):
        await stripe.look(payment(reference="pi_1"), NOW_MS)
    # Looks through a list, then makes one.
    assert (await stripe.look(payment(means=Means("cus_1")), NOW_MS)).status == "pending"
    assert (await stripe.cancel(payment(reference="pi_1"), NOW_MS)).status == "cancelled"
    await stripe.close()


async def test_a_key_that_is_none_is_no_answer(mock_url: str) -> None:
    """The payment waits until the key is mended."""
    stripe = provider(mock_url, "nonsense")
    with pytest.raises(NoAnswerError, match="AuthenticationError"):
        await stripe.create(payment(purpose=Purpose("order", "o-1")), NOW_MS)
    await stripe.close()


@pytest.mark.parametrize("version", ["go1.19.8", "go1.21", ""])
def test_a_go_that_is_too_old_or_missing_is_told_apart_from_a_failure(tmp_path: Path, version: str) -> None:
    """The tests above are then skipped, and nothing is installed."""
    (tmp_path / "scripts").mkdir()
    copy(SCRIPT, tmp_path / "scripts")
    go = tmp_path / "go"
    go.write_text(f"#!/bin/sh\ntest -n '{version}' && echo {version}\n")
    go.chmod(0o755)
    done = subprocess.run(
        [tmp_path / "scripts" / SCRIPT.name], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == NO_GO
    assert f"needs Go 1.22 or later, there is {version or 'none'};" in done.stderr
