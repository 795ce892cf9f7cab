"""Bodies: what an event says besides whose it is and when, written out ahead, so that an event is a few joins.

A pool of 65,536 holds some 55,000 data volumes and 3,000 calls to as many numbers, and takes a quarter of a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import NamedTuple

import msgspec

from rater.geo import country_of_mcc
from schemas.sample.networks import ALL
from streams.load.numbers import Numbers

BODIES = 65_536
#: The longest call and session.
SPAN_MAX_MS = 2 * 3600 * 1000
#: In percent: calls and messages that come in; numbers in the country where the SIM is; data that names its session.
INCOMING, NEARBY, IN_SESSION = 25, 60, 30
#: SIMs are mostly in one network: so many sorts of SIMs, and so much of their usage (in percent) is elsewhere.
HOMES, ROAMING = 4096, 10
#: Sessions that a SIM goes through at a time.
SESSIONS = 8
#: Kinds of messages, and how many parts a message has; in percent.
KINDS = {"sms": 80, "whatsapp": 15, "email": 5}
PARTS = {1: 90, 2: 7, 3: 3}


class Body(NamedTuple):
    """A piece of an event. `session`, if it is not empty, stands between the SIM and the SIM again."""

    text: str
    session: str
    span_ms: int
    service: str
    network: tuple[str, str]


def networks() -> dict[str, list[tuple[str, str]]]:
    """(MCC, MNC) of the networks known by country."""
    found: dict[str, list[tuple[str, str]]] = {}
    for network in ALL:
        country = country_of_mcc(network.mcc, network.mnc)
        assert country is not None
        found.setdefault(country, []).append((network.mcc, network.mnc))
    return found


def make_bodies(random: Random, mix: Mapping[str, float], countries: Mapping[str, float]) -> list[Body]:
    """The pool, drawn by the weights."""
    known, numbers = networks(), Numbers(random)
    names = list(countries)
    places = random.choices(names, list(countries.values()), k=BODIES)
    elsewhere = random.choices(names, list(countries.values()), k=BODIES)
    services = random.choices(list(mix), list(mix.values()), k=BODIES)
    bodies = []
    for service, country, other in zip(services, places, elsewhere, strict=True):
        mcc, mnc = random.choice(known[country])
        to_country = country if random.randrange(100) < NEARBY else other
        fields, span_ms = _MAKE[service](random, numbers, to_country)
        text = msgspec.json.encode({"mcc": mcc, "mnc": mnc, "service": service, **fields})[1:-1].decode()
        named = service == "data" and random.randrange(100) < IN_SESSION
        session = f'","session_id":"{random.randrange(SESSIONS)}-' if named else ""
        bodies.append(Body(text, session, span_ms, service, (mcc, mnc)))
    return bodies


def make_homes(random: Random, bodies: Sequence[Body]) -> list[list[Body]]:
    """For each of `HOMES` sorts of SIMs the bodies of its usual network, drawn as often as the network is used."""
    by_network: dict[tuple[str, str], list[Body]] = {}
    for body in bodies:
        by_network.setdefault(body.network, []).append(body)
    return [by_network[body.network] for body in random.choices(bodies, k=HOMES)]


Fields = tuple[dict[str, object], int]


def _data(random: Random, _: Numbers, __: str) -> Fields:
    volume = int(random.lognormvariate(12.4, 1.6)) + 1
    return {"volume_bytes": volume}, random.randrange(45_000, 900_000)


def _voice(random: Random, numbers: Numbers, to_country: str) -> Fields:
    duration_ms = min(int(random.lognormvariate(11.2, 1.0)) + 1, SPAN_MAX_MS)
    if random.randrange(100) < INCOMING:
        return {"direction": "incoming", "duration_ms": duration_ms}, duration_ms
    return {"called_number": numbers.draw(to_country), "duration_ms": duration_ms}, duration_ms


def _message(random: Random, numbers: Numbers, to_country: str) -> Fields:
    (kind,) = random.choices(list(KINDS), list(KINDS.values()))
    (count,) = random.choices(list(PARTS), list(PARTS.values())) if kind == "sms" else (1,)
    fields: dict[str, object] = {"kind": kind}
    if random.randrange(100) < INCOMING:
        fields["direction"] = "incoming"
    elif kind != "email" and random.random() < 0.5:
        fields["called_number"] = numbers.draw(to_country)
    elif kind != "email":
        fields["destination_country"] = to_country
    return fields | {"message_count": count}, 0


_MAKE = {"data": _data, "voice": _voice, "message": _message}
SERVICES = tuple(_MAKE)
