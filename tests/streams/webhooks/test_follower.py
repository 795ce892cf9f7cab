"""What the topics say reaches every endpoint that listens, under the same id each time, whatever crashes between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from rater.subscriber import Assignment, Subscriber
from schemas.generate import schema
from schemas.notice import Notice
from schemas.webhook import WebhookMessage
from streams.spool import SpoolSource
from streams.topics import NOTICES
from streams.webhooks.events import BODY_BYTES_MAX, TOPICS, Event, payload
from streams.webhooks.follower import Follower
from tests.streams.webhooks.building import NOW_MS, Hooks, credit, crossing
from tests.streams.webhooks.receiver import Receiver

URL = "http://127.0.0.1:9/in"


async def told(hooks: Hooks, endpoint: Any) -> list[dict[str, Any]]:
    """The messages in an endpoint's log, oldest first."""
    log = await hooks.queue.log(endpoint.id, 100)
    messages = [msgspec.json.decode(bytes(delivery.payload)) for delivery in reversed(log)]
    for message in messages:
        jsonschema_rs.validate(schema(WebhookMessage), message)
    return messages


async def test_each_event_is_told_in_its_own_words(hooks: Hooks) -> None:
    endpoint = await hooks.endpoint(URL)
    sent = [
        crossing(),
        crossing(subscriber="sim-1", reason="parent", holds=("parent",)),
        credit(),
        crossing("resumed", status_version=2, holds=(), balance_nanos=20_000_000_000, n=6),
        crossing("resumed", subscriber="sim-1", reason="parent", status_version=2, holds=()),
        crossing("suspended", reason="operator", holds=("operator",), status_version=3),
        credit(7, kind="hold"),
        Notice("n-1", "wallet.low_balance", "t", NOW_MS, wallet="acme", data={"balance": "1.50"}),
        Notice("n-2", "plan.changed", "t", NOW_MS, "acme", subscriber="sim-1", data={"plan": "b", "wallet": "w"}),
    ]
    follower = hooks.follower()
    for message in sent:
        await hooks.publish(message)
        await follower.follow_once(0)
        hooks.now_ms += 1
    messages = await told(hooks, endpoint)
    assert [message["type"] for message in messages] == [
        "wallet.zero", "sim.suspended", "wallet.refilled", "wallet.resumed", "sim.resumed", "wallet.suspended",
        "wallet.low_balance", "plan.changed",
    ]  # fmt: skip
    assert messages[0]["timestamp"] == "2026-11-01T00:00:00Z"
    assert messages[0]["data"] == {
        "wallet": "acme", "balance": "0.00", "currency": "EUR", "cause": "feed/1", "reason": "balance",
        "holds": ["balance"], "status_version": 1,
    }  # fmt: skip
    assert messages[1]["data"] == {
        "sim": "sim-1", "wallet": "acme", "reason": "parent", "holds": ["parent"], "status_version": 1,
    }  # fmt: skip
    assert messages[2]["data"] == {
        "wallet": "acme", "amount": "20.00", "balance": "20.00", "currency": "EUR", "source": "http",
        "reference": "order-6",
    }  # fmt: skip
    assert messages[6]["data"] == {"wallet": "acme", "balance": "1.50"}
    assert messages[7]["data"] == {"account": "acme", "sim": "sim-1", "plan": "b", "wallet": "w"}


async def test_endpoints_hear_of_the_types_they_named(hooks: Hooks) -> None:
    every = await hooks.endpoint(URL, "we_1")
    sims = await hooks.endpoint(URL, "we_2", events=("sim.*",))
    one = await hooks.endpoint(URL, "we_3", events=("wallet.zero", "plan.changed"))
    await hooks.publish(crossing(), crossing(subscriber="sim-1"), credit(), Notice("n", "sim.expired", "t", NOW_MS))
    await hooks.follower().follow_once(0)
    assert sorted(await hooks.types(every)) == ["sim.expired", "sim.suspended", "wallet.refilled", "wallet.zero"]
    assert sorted(await hooks.types(sims)) == ["sim.expired", "sim.suspended"]
    assert await hooks.types(one) == ["wallet.zero"]


async def test_an_accounts_endpoint_hears_only_of_what_concerns_it(hooks: Hooks) -> None:
    """A wallet is of the account of its name, a SIM of the account it is assigned to, whoever pays for it."""
    operator = await hooks.endpoint(URL, "we_1")
    acme = await hooks.endpoint(URL, "we_2", account="acme")
    other = await hooks.endpoint(URL, "we_3", account="other")
    stranger = await hooks.endpoint(URL, "we_4", tenant="u")
    sim = Subscriber("t", "sim-1", 1, (Assignment(0, "payer", "acme", "payg", "EUR"),))
    await hooks.redis.set("d:t:subscriber:sim-1", msgspec.json.encode(sim))
    await hooks.publish(
        crossing(wallet="acme"),
        crossing(wallet="payer"),
        crossing(wallet="payer", subscriber="sim-1"),
        Notice("n", "plan.changed", "t", NOW_MS, "other", "payer", "sim-1"),
    )
    await hooks.follower().follow_once(0)
    assert sorted(await hooks.types(operator)) == ["plan.changed", "sim.suspended", "wallet.zero", "wallet.zero"]
    assert sorted(await hooks.types(acme)) == ["sim.suspended", "wallet.zero"]
    assert await hooks.types(other) == ["plan.changed"]
    assert await hooks.types(stranger) == []


async def test_what_happened_before_an_endpoint_is_enabled_is_noted_as_missed(hooks: Hooks) -> None:
    endpoint = await hooks.endpoint(URL, status="pending")
    await hooks.publish(crossing())
    await hooks.follower().follow_once(0)
    assert [delivery.state for delivery in await hooks.queue.log(endpoint.id, 10)] == ["missed"]
    assert await hooks.queue.standing() == (0, None)


class CrashError(Exception):
    """A process that dies."""


@pytest.mark.parametrize("step", ["before", "after"])
async def test_a_crash_between_reading_and_delivering_loses_and_doubles_nothing(
    hooks: Hooks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """It dies before anything stands in Redis, or after, with its place in the topics not committed."""
    await hooks.endpoint(receiver.url)
    await hooks.publish(crossing(), crossing(subscriber="sim-1"))
    dying = hooks.follower()

    async def offer(events: list[Event]) -> int:
        if step == "after":
            await type(hooks.fanout).offer(hooks.fanout, events)
        raise CrashError

    with monkeypatch.context() as patched:
        patched.setattr(hooks.fanout, "offer", offer)
        with pytest.raises(CrashError):
            await dying.follow_once(0)
    async with hooks.process() as dispatcher:
        await hooks.deliver(dispatcher)
        assert await hooks.follower().follow_once(0) == 2, "the next start reads the same"
        await hooks.deliver(dispatcher)
    assert len(receiver.got) == len(set(receiver.ids)) == 2


async def test_a_topic_that_is_read_again_gives_the_same_ids(hooks: Hooks, receiver: Receiver) -> None:
    """Also when the log has forgotten them: the receiver may drop them by their ids."""
    endpoint = await hooks.endpoint(receiver.url)
    await hooks.publish(crossing(), credit(), Notice("n-1", "plan.changed", "t", NOW_MS))
    async with hooks.process() as dispatcher:
        await hooks.follower().follow_once(0)
        await hooks.deliver(dispatcher)
        first = set(receiver.ids)
        await hooks.queue.drop(endpoint.id)
        again = Follower(SpoolSource(hooks.folder, "again", TOPICS), hooks.endpoints, hooks.fanout, lambda: None)
        await again.follow_once(0)
        await hooks.deliver(dispatcher)
    assert len(receiver.got) == 6
    assert set(receiver.ids) == first


async def test_a_record_that_cannot_be_read_does_not_stop_the_others(hooks: Hooks, tmp_path: Path) -> None:
    endpoint = await hooks.endpoint(URL)
    await hooks.sink.publish({NOTICES: [(b"", b'{"id": 1}'), (b"", b"no json")]})
    await hooks.publish(crossing())
    await hooks.follower().follow_once(0)
    assert await hooks.types(endpoint) == ["wallet.zero"]


def test_a_body_is_bounded() -> None:
    data = {"wallet": "acme", "text": "x" * BODY_BYTES_MAX}
    message = msgspec.json.decode(payload(Event("msg_1", "plan.changed", "t", NOW_MS, data)))
    assert message["data"] == {"wallet": "acme", "truncated": True}
