"""Webhooks go to public addresses only, however an address is spelled and whatever a name says later."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from streams.webhooks.addresses import is_public, wrong_with
from tests.streams.webhooks.building import Hooks
from tests.streams.webhooks.receiver import Receiver

PRIVATE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "240.0.0.1", "192.0.0.192", "168.63.129.16", "198.18.0.1", "::1", "::", "fe80::1",
    "fe80::1%eth0", "fd00:ec2::254", "fc00::1", "ff02::1", "fec0::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:7f00:1::",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_is_none(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_a_public_address_is_one(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://example.com/in", "https://"),
        ("ftp://example.com/in", "https://"),
        ("//example.com", "https://"),
        ("https://user:secret@example.com/in", "user"),
        ("https://example.com/in#part", "fragment"),
        ("https://", "no host"),
        ("https:///in", "no host"),
        ("https://exa mple.com/", "visible"),
        ("https://bücher.de/", "visible"),
        ("https://example.com:99999/", "no address"),
        ("https://example.com:0/", "no host"),
        ("https://[::1", "no address"),
        ("https://127.0.0.1/in", "public"),
        ("https://[::1]/in", "public"),
        ("https://[::ffff:10.0.0.1]/in", "public"),
        ("https://localhost/in", "public"),
        ("https://api.localhost./in", "public"),
        ("https://example.com/" + "x" * 2000, "at most"),
    ],
)
def test_an_endpoint_that_can_never_be_reached_is_refused_when_it_is_named(url: str, says: str) -> None:
    assert says in wrong_with(url, allow_private=False)


@pytest.mark.parametrize("url", ["http://example.com/in", "https://127.0.0.1/in"])
def test_what_trials_may_do_is_named_with_its_setting(url: str) -> None:
    assert "RATER_WEBHOOKS_ALLOW_PRIVATE" in wrong_with(url, allow_private=False)
    assert wrong_with(url, allow_private=True) == ""


def test_a_good_one_is_taken() -> None:
    assert wrong_with("https://hooks.example.com:8443/in?tenant=7", allow_private=False) == ""
    assert wrong_with("http://127.0.0.1:8080/in", allow_private=True) == ""


async def sent_to(hooks: Hooks, url: str) -> str:
    """What an attempt says, of a process that may go to public addresses only."""
    endpoint = await hooks.endpoint(url, f"we_{abs(hash(url))}")
    (message_id,) = await hooks.offer(url)
    async with hooks.process(allow_private=False) as dispatcher:
        await hooks.deliver(dispatcher)
    return (await hooks.delivery(endpoint, message_id)).attempts[0].error


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "[::1]", "[::ffff:127.0.0.1]", "0"],
)
async def test_nothing_is_sent_to_this_machine_however_it_is_spelled(
    hooks: Hooks, receiver: Receiver, host: str
) -> None:
    """The names of this machine resolve to 127.0.0.1; so do numbers that are not written as an address."""
    error = await sent_to(hooks, receiver.url.replace("127.0.0.1", host))
    assert error == "the address is not public" or "not a canonical IPv4 address" in error  # so the client says
    assert receiver.got == []


async def test_a_name_with_one_private_address_among_others_is_refused(
    hooks: Hooks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def two(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in ("93.184.216.34", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    assert await sent_to(hooks, receiver.url.replace("127.0.0.1", "rebind.example")) == "the address is not public"
    assert receiver.got == []


async def test_a_name_is_asked_once_for_a_connection(
    hooks: Hooks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that answers with a public address first, and then with this machine's, gains nothing."""
    asked = []

    def rebinding(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        address = "203.0.114.1" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    hooks.settings = type(hooks.settings)(allow_private=True, timeout_s=0.5)
    await sent_to(hooks, receiver.url.replace("127.0.0.1", "rebind.example"))
    assert asked == ["rebind.example"]
    assert receiver.got == []


async def test_where_it_is_allowed_this_machine_is_reached(hooks: Hooks, receiver: Receiver) -> None:
    await hooks.endpoint(receiver.url)
    await hooks.offer("first")
    async with hooks.process() as dispatcher:
        await hooks.deliver(dispatcher)
    assert len(receiver.got) == 1
