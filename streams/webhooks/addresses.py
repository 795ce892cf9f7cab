"""Where webhooks may go: public addresses only, unless `allow_private` says otherwise.

A name is resolved once for a connection, every address it has is checked, and the connection goes to an address that
was checked. So a name that changes its address between check and connection (DNS rebinding) gains nothing, and the
last check stands where the socket is made: no spelling of an address comes around it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Not private by their range, and yet the clouds' own: metadata of Oracle's, and Azure's agent on each machine.
_CLOUD: Final = (ipaddress.ip_network("192.0.0.0/24"), ipaddress.ip_network("168.63.129.16/32"))
#: IPv6 in which an IPv4 address is reached by translation (NAT64), the well-known prefix.
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")

URL_MAX: Final = 2000
#: Whoever tries webhooks on their own machine meets these two refusals first.
_LIFTED: Final = " (for trials, RATER_WEBHOOKS_ALLOW_PRIVATE=true allows http and private addresses)"
#: Names looked up at once.
THREADS: Final = 32
#: Of a host name; an address in brackets is IPv6.
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9])?\.?|\[[0-9A-Fa-f:.]+\]")


class ForbiddenAddressError(OSError):
    """A webhook would have gone to an address that is not public."""


def is_public(text: str) -> bool:
    """Whether anybody on the internet may be meant by an address."""
    address: Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            address = inner
        elif address.sixtofour is not None or address.teredo is not None or address.is_site_local:
            return False
    if any(address.version == network.version and address in network for network in _CLOUD):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def wrong_with(url: str, *, allow_private: bool) -> str:
    """What is wrong with an endpoint's address, or nothing. Names are looked up when something is sent."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"is no address: {error}"
    if len(url) > URL_MAX or not url.isascii() or not url.isprintable() or " " in url:
        return f"has at most {URL_MAX} visible ASCII characters"
    if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
        return "must begin with https://" + ("" if allow_private else _LIFTED)
    if "@" in parts.netloc or "#" in url:
        return "takes no user, password or fragment"
    host = parts.netloc.rpartition(":")[0] if port is not None else parts.netloc
    if not _HOST.fullmatch(host) or port == 0:
        return "names no host"
    if allow_private:
        return ""
    try:
        public = is_public(host.strip("[]"))
    except ValueError:
        public = not (host.lower().rstrip(".") == "localhost" or host.lower().rstrip(".").endswith(".localhost"))
    return "" if public else f"must be a public address{_LIFTED}"


class _CheckedResolver(AbstractResolver):
    """Every address of a name must be public.

    It looks up in threads of its own: a name server that is slow on purpose must not hold those that write files.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, "webhook-names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        look_up = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        results = []
        for found_family, _, protocol, _, address in found:
            numeric = str(address[0])
            _check(numeric)
            results.append(
                ResolveResult(
                    hostname=host, host=numeric, port=port, family=found_family, proto=protocol,
                    flags=socket.AI_NUMERICHOST,
                )
            )  # fmt: skip
        return results

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def connector(*, allow_private: bool) -> TCPConnector:
    """What connects: bounded by the dispatcher, so without a limit of its own."""
    if allow_private:
        return TCPConnector(limit=0)
    # Without a cache: each connection is checked by what the name says at that time.
    return TCPConnector(limit=0, resolver=_CheckedResolver(), use_dns_cache=False, socket_factory=_checked_socket)


def _checked_socket(info: tuple[Any, ...]) -> socket.socket:
    family, kind, protocol, _, address = info
    _check(address[0])
    return socket.socket(family, kind, protocol)


def _check(host: str) -> None:
    if not is_public(host):
        raise ForbiddenAddressError(f"{host} is not a public address")
