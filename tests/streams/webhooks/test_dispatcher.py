"""A message is signed, attempted until it arrives or three days are over, and never lost by a process that dies."""

from __future__ import annotations

import asyncio
import email.utils
import time
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from aiohttp import web
from standardwebhooks import WebhookVerificationError

import streams.webhooks.queue as queue_module
from streams.webhooks.delivery import GAPS_MS, GIVE_UP_MS
from tests.streams.webhooks.building import DAY_MS, Hooks, until
from tests.streams.webhooks.receiver import Receiver, receiving, waits

HOUR_MS = 3_600_000


async def test_a_message_arrives_with_a_signature_that_the_library_verifies(hooks: Hooks, receiver: Receiver) -> None:
    endpoint = await hooks.endpoint(receiver.url)
    (message_id,) = await hooks.offer("first")
    async with hooks.process() as dispatcher:
        assert await hooks.deliver(dispatcher) == 1
    (got,) = receiver.got
    assert got.verified(endpoint.secret) == {
        "type": "wallet.zero", "timestamp": "2026-11-01T00:00:00Z", "data": {"name": "first"},
    }  # fmt: skip
    assert (got.id, got.headers["content-type"]) == (message_id, "application/json")
    with pytest.raises(WebhookVerificationError):
        got._replace(body=got.body + b" ").verified(endpoint.secret)
    delivery = await hooks.delivery(endpoint, message_id)
    assert (delivery.state, [attempt.status for attempt in delivery.attempts]) == ("delivered", [204])


async def test_after_a_rotation_both_secrets_sign_for_a_day(hooks: Hooks, receiver: Receiver) -> None:
    new = await hooks.endpoint(receiver.url, former_secret="whsec_" + "b2xk" * 8, former_until_ms=hooks.now_ms + DAY_MS)
    async with hooks.process() as dispatcher:
        await hooks.offer("during")
        await hooks.deliver(dispatcher)
        hooks.now_ms += DAY_MS
        await hooks.offer("after")
        await hooks.deliver(dispatcher)
    during, after = receiver.got
    during.verified(new.secret)
    during.verified(new.former_secret)
    after.verified(new.secret)
    with pytest.raises(WebhookVerificationError):
        after.verified(new.former_secret)


async def test_an_error_is_followed_by_another_attempt_until_it_arrives(hooks: Hooks, receiver: Receiver) -> None:
    endpoint = await hooks.endpoint(receiver.url)
    receiver.answers = [500, 503]
    (message_id,) = await hooks.offer("first")
    async with hooks.process() as dispatcher:
        assert await hooks.deliver(dispatcher) == 1
        assert await hooks.deliver(dispatcher) == 0, "not before it is due"
        hooks.now_ms += GAPS_MS[0]
        assert await hooks.deliver(dispatcher) == 1
        hooks.now_ms += GAPS_MS[1]
        assert await hooks.deliver(dispatcher) == 1
    assert receiver.ids == [message_id] * 3
    delivery = await hooks.delivery(endpoint, message_id)
    assert delivery.state == "delivered"
    tried = [(attempt.number, attempt.status, attempt.error) for attempt in delivery.attempts]
    assert tried == [(1, 500, "answered 500"), (2, 503, "answered 503"), (3, 204, "")]
    assert await hooks.queue.standing() == (0, None)


async def test_three_days_of_failure_disable_the_endpoint_and_tell_the_others(hooks: Hooks, receiver: Receiver) -> None:
    async with receiving() as broken, hooks.process() as dispatcher:
        broken.then = 500
        failing = await hooks.endpoint(broken.url, "we_broken", events=("wallet.*",))
        other = await hooks.endpoint(receiver.url, "we_other")
        begun_ms = hooks.now_ms
        (message_id,) = await hooks.offer("first")
        await hooks.deliver(dispatcher)
        attempts = [hooks.now_ms - begun_ms]
        while (await hooks.delivery(failing, message_id)).state == "pending":
            hooks.now_ms = (await hooks.delivery(failing, message_id)).due_ms
            attempts.append(hooks.now_ms - begun_ms)
            await hooks.deliver(dispatcher)
        assert len(broken.got) == len(attempts) == 11
        assert attempts == [sum(GAPS_MS[:n]) for n in range(11)]
        assert GIVE_UP_MS - HOUR_MS < attempts[-1] <= GIVE_UP_MS
        present = await hooks.present(failing)
        assert (present.status, present.reason, present.untold) == ("disabled", "failing", False)
        told = [got.verified(other.secret) for got in receiver.got if b"webhook.disabled" in got.body]
        assert [message["data"]["webhook"] for message in told] == ["we_broken"]
        assert await hooks.types(failing) == ["wallet.zero", "webhook.disabled"]
        assert (await hooks.delivery(failing, message_id)).state == "failed"
        await hooks.offer("second")
        await hooks.deliver(dispatcher)
        assert len(broken.got) == 11, "nothing more is sent to it"


async def test_a_clock_that_jumps_three_days_makes_one_last_attempt(hooks: Hooks, receiver: Receiver) -> None:
    receiver.then = 500
    endpoint = await hooks.endpoint(receiver.url)
    await hooks.offer("first")
    async with hooks.process() as dispatcher:
        await hooks.deliver(dispatcher)
        hooks.now_ms += 4 * DAY_MS
        await hooks.deliver(dispatcher)
    assert (len(receiver.got), (await hooks.present(endpoint)).status) == (2, "disabled")


async def test_one_message_that_is_not_wanted_does_not_disable_an_endpoint_that_takes_others(
    hooks: Hooks, receiver: Receiver
) -> None:
    receiver.then = lambda got: 500 if b"poison" in got.body else 204
    endpoint = await hooks.endpoint(receiver.url)
    (message_id,) = await hooks.offer("poison")
    async with hooks.process() as dispatcher:
        for day in range(5):
            await hooks.offer(f"good-{day}")
            await hooks.deliver(dispatcher)
            hooks.now_ms += DAY_MS
    assert (await hooks.delivery(endpoint, message_id)).state == "failed"
    assert (await hooks.present(endpoint)).status == "enabled"


async def test_410_disables_at_once(hooks: Hooks, receiver: Receiver) -> None:
    receiver.then = 410
    endpoint = await hooks.endpoint(receiver.url)
    await hooks.offer("first")
    async with hooks.process() as dispatcher:
        await hooks.deliver(dispatcher)
    present = await hooks.present(endpoint)
    assert (present.status, present.reason, len(receiver.got)) == ("disabled", "gone", 1)


async def test_a_crash_after_disabling_tells_the_others_all_the_same(hooks: Hooks, receiver: Receiver) -> None:
    """The endpoint says `untold`; the delivery that had come so far is claimed again."""
    async with receiving() as other_receiver, hooks.process() as dispatcher:
        await hooks.endpoint(other_receiver.url, "we_other", events=("webhook.*",))
        endpoint = await hooks.endpoint(receiver.url)
        await hooks.offer("first")
        dead = {"status": "disabled", "reason": "gone", "untold": True}
        await hooks.endpoints.alter(endpoint, lambda present: msgspec.structs.replace(present, **dead))
        await hooks.deliver(dispatcher)
        await hooks.deliver(dispatcher)
        assert len(other_receiver.got) == 1
        assert not (await hooks.present(endpoint)).untold
        assert receiver.got == []


@pytest.mark.parametrize("header", ["7200", "date"])
async def test_retry_after_is_honoured(hooks: Hooks, receiver: Receiver, header: str) -> None:
    value = email.utils.formatdate(time.time() + 7200, usegmt=True) if header == "date" else header
    receiver.then = lambda _: web.Response(status=429, headers={"Retry-After": value})
    endpoint = await hooks.endpoint(receiver.url)
    (message_id,) = await hooks.offer("first")
    async with hooks.process() as dispatcher:
        await hooks.deliver(dispatcher)
    due_ms = (await hooks.delivery(endpoint, message_id)).due_ms
    assert due_ms - hooks.now_ms == pytest.approx(2 * HOUR_MS, abs=3000)


async def test_a_redirect_is_not_followed(hooks: Hooks, receiver: Receiver) -> None:
    receiver.then = lambda _: web.Response(status=302, headers={"Location": receiver.url + "/elsewhere"})
    endpoint = await hooks.endpoint(receiver.url)
    (message_id,) = await hooks.offer("first")
    async with hooks.process() as dispatcher:
        await hooks.deliver(dispatcher)
    assert [got.path for got in receiver.got] == ["/in"]
    assert (await hooks.delivery(endpoint, message_id)).attempts[0].error == "answered 302"


async def test_an_endless_answer_is_not_read_to_its_end(hooks: Hooks, receiver: Receiver) -> None:
    sent = 0

    async def endless(_: Any) -> web.Response:
        async def body() -> Any:
            nonlocal sent
            while True:
                sent += 65536
                yield bytes(65536)

        return web.Response(body=body())

    receiver.then = endless
    endpoint = await hooks.endpoint(receiver.url)
    (message_id,) = await hooks.offer("first")
    async with hooks.process() as dispatcher:
        await hooks.deliver(dispatcher)
    assert (await hooks.delivery(endpoint, message_id)).state == "delivered"
    assert sent < 50_000_000


async def test_one_that_is_away_or_silent_is_tried_again(hooks: Hooks, receiver: Receiver) -> None:
    receiver.then = waits(30)
    silent = await hooks.endpoint(receiver.url, "we_silent")
    away = await hooks.endpoint("http://127.0.0.1:9/in", "we_away")
    (message_id,) = await hooks.offer("first")
    async with hooks.process(timeout_s=0.3) as dispatcher:
        await hooks.deliver(dispatcher)
    found = await hooks.delivery(silent, message_id)
    assert (found.state, found.attempts[0].error) == ("pending", "no answer within 0.3 s")
    found = await hooks.delivery(away, message_id)
    assert found.state == "pending"
    assert "Cannot connect" in found.attempts[0].error


async def test_a_slow_endpoint_delays_nobody_else(hooks: Hooks, receiver: Receiver) -> None:
    async with receiving() as slow, hooks.process(concurrency=10) as dispatcher:
        slow.then = waits(1.5)
        await hooks.endpoint(slow.url, "we_slow")
        await hooks.offer(*(f"slow-{n}" for n in range(100)))
        await hooks.endpoint(receiver.url, "we_quick")
        await hooks.offer(*(f"quick-{n}" for n in range(50)))
        running = asyncio.create_task(dispatcher.run())
        try:
            await until(lambda: len(receiver.got) >= 50, 1.4)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
        assert slow.most_at_once <= hooks.settings.endpoint_concurrency


async def test_two_processes_share_the_work_and_double_nothing(hooks: Hooks, receiver: Receiver) -> None:
    receiver.then = waits(0.01)
    await hooks.endpoint(receiver.url, "we_a")
    await hooks.endpoint(receiver.url, "we_b")
    async with hooks.process() as first, hooks.process() as second:
        tasks = [asyncio.create_task(process.run()) for process in (first, second)]
        for start in range(0, 200, 20):
            await hooks.offer(*(f"event-{n}" for n in range(start, start + 20)))
            first.wake()
            second.wake()
        await until(lambda: len(receiver.got) >= 400)
        await asyncio.sleep(0.2)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert len(receiver.got) == 400
    assert len({(got.id, got.headers["webhook-signature"]) for got in receiver.got}) == 400
    assert await hooks.queue.standing() == (0, None)


async def test_what_a_dead_process_had_claimed_is_delivered_after_its_lease(
    hooks: Hooks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "MARGIN_MS", 300 - 2000)
    await hooks.endpoint(receiver.url)
    (message_id,) = await hooks.offer("first")
    assert len(await hooks.queue.claim(range(8), 10, now_ms=hooks.now_ms)) == 1  # and dies here
    async with hooks.process() as dispatcher:
        assert await hooks.deliver(dispatcher) == 0
        hooks.now_ms += 10 * DAY_MS
        assert await hooks.deliver(dispatcher) == 0, "a clock that is moved does not end a lease"
        await asyncio.sleep(0.35)
        assert await hooks.deliver(dispatcher) == 1
    assert receiver.ids == [message_id]


async def test_an_attempt_that_outlived_its_lease_still_counts_when_it_arrived(
    hooks: Hooks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "MARGIN_MS", 50 - 2000)
    endpoint = await hooks.endpoint(receiver.url)
    receiver.answers = [waits(0.5, 204), 500]
    (message_id,) = await hooks.offer("first")
    async with hooks.process() as slow, hooks.process() as other:
        await slow.dispatch_once()
        await asyncio.sleep(0.2)
        assert await hooks.deliver(other) == 1
        await slow.ended()
    delivery = await hooks.delivery(endpoint, message_id)
    assert (delivery.state, [attempt.status for attempt in delivery.attempts]) == ("delivered", [500, 204])
    assert (await hooks.queue.standing())[0] == 0


async def test_a_deleted_endpoint_gets_nothing_more(hooks: Hooks, receiver: Receiver) -> None:
    endpoint = await hooks.endpoint(receiver.url)
    await hooks.offer("first", "second")
    await hooks.endpoints.remove("t", "", endpoint.id)
    async with hooks.process() as dispatcher:
        await hooks.deliver(dispatcher)
    assert receiver.got == []
    assert await hooks.queue.standing() == (0, None)
    assert [key async for key in hooks.redis.scan_iter("*we_1*")] == [b"h:hooks:at:t/we_1"]


async def test_too_much_waiting_disables_the_endpoint(redis: Any, tmp_path: Any, receiver: Receiver) -> None:
    hooks = await Hooks.open(redis, tmp_path, backlog_max=10, log_max=20)
    endpoint = await hooks.endpoint(receiver.url)
    await hooks.offer(*(f"event-{n}" for n in range(12)))
    present = await hooks.present(endpoint)
    assert (present.status, present.reason) == ("disabled", "backlog")
    states = [delivery.state for delivery in await hooks.queue.log(endpoint.id, 100)]
    assert (states.count("pending"), states.count("missed")) == (10, 3)


async def test_the_log_is_bounded_and_keeps_what_waits(redis: Any, tmp_path: Any, receiver: Receiver) -> None:
    hooks = await Hooks.open(redis, tmp_path, log_max=10)
    endpoint = await hooks.endpoint(receiver.url)
    receiver.answers = [500]
    (waiting,) = await hooks.offer("waits")
    async with hooks.process() as dispatcher:
        await hooks.deliver(dispatcher)
        for n in range(30):
            hooks.now_ms += 1
            await hooks.offer(f"event-{n}")
            await hooks.deliver(dispatcher)
    log = await hooks.queue.log(endpoint.id, 100)
    assert len(log) == 10
    assert log[-1].id == waiting
    assert await hooks.redis.hlen(f"{queue_module.tag(queue_module.share_of('we_1'))}:d:we_1") == 10
