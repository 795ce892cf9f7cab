"""The sample's wallets and SIMs: companies that pay for many SIMs, and people who pay for their own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from schemas.sample.networks import (
    AMERICAS,
    BLOCKED,
    EUROPE,
    FAR,
    HOME_EUR,
    HOME_USD,
    NEAR_EUROPE,
    Network,
)  # fmt: skip

#: One tenant: the platforms' records name none, so the door that reads them does.
TENANT: Final = "demo"

COMPANIES, SINGLES, SIMS = 40, 300, 2000
#: In thousandths: wallets that run dry within the month.
DRY_WALLETS = 150

#: What only one of the two platforms' SIMs look like: ICCID, IMSI and MSISDN (without plus) begin with these.
_PREFIXES: Final = {"EUR": ("89883030000", "295050", "423663"), "USD": ("8988280666", "901405", "882285")}


@dataclass
class Sim:
    """A SIM, where it goes, and how busy it is."""

    number: int
    iccid: str
    imsi: str
    msisdn: str
    networks: list[Network]
    weight: int


@dataclass
class Wallet:
    """A wallet; `used_nanos` adds up about what its SIMs' records will cost."""

    name: str
    currency: str
    plan: str
    sims: list[Sim] = field(default_factory=list)
    used_nanos: int = 0


def make_wallets(random: Random) -> list[Wallet]:
    """Wallets with their SIMs. Two cannot be rated until somebody repairs them: an unknown plan, another currency."""
    wallets = [
        _wallet(f"company-{number:02d}", "EUR" if number % 5 < 3 else "USD") for number in range(1, COMPANIES + 1)
    ]
    wallets += [_wallet(f"single-{number:03d}", "EUR" if number % 5 < 3 else "USD") for number in range(1, SINGLES + 1)]
    wallets[-1].plan = "payg-2025"
    wallets[-2].plan = "payg-eur" if wallets[-2].currency == "USD" else "payg-usd"
    owners = wallets[COMPANIES:] + random.choices(
        wallets[:COMPANIES], weights=[random.randint(1, 12) for _ in range(COMPANIES)], k=SIMS - SINGLES
    )
    for number, wallet in enumerate(owners, start=1):
        wallet.sims.append(_sim(random, number, wallet.currency))
    for wallet in wallets[-2:]:
        wallet.sims[0].weight = 20
    return wallets


def _wallet(name: str, currency: str) -> Wallet:
    return Wallet(name, currency, f"payg-{currency.lower()}")


def _sim(random: Random, number: int, currency: str) -> Sim:
    iccid, imsi, msisdn = _PREFIXES[currency]
    body = f"{iccid}{number:08d}"
    return Sim(
        number=number,
        iccid=body + luhn_digit(body),
        imsi=f"{imsi}{number:09d}",
        msisdn=f"{msisdn}{number:09d}",
        networks=_itinerary(random, currency),
        weight=int(random.lognormvariate(3, 0.8)) + 1,
    )


def _itinerary(random: Random, currency: str) -> list[Network]:
    """Mostly one network; one SIM in four roams nearby, one in forty far away, a few where nobody has an agreement."""
    home, near = (HOME_EUR, EUROPE + NEAR_EUROPE) if currency == "EUR" else (HOME_USD, AMERICAS + NEAR_EUROPE)
    networks = [random.choice(home)] * 6
    kind = random.randrange(1000)
    if kind < 250:
        networks += random.sample(near, 3)
    elif kind < 275:
        networks += random.sample(FAR, 2)
    elif kind < 280:
        networks.append(random.choice(BLOCKED))
    elif kind < 480:
        networks = [random.choice(near)]
    return networks


def luhn_digit(digits: str) -> str:
    """The check digit of an ICCID (ITU-T E.118, the formula of ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return str(-total % 10)


def write_wallets(path: Path, wallets: list[Wallet], random: Random) -> None:
    """Write the wallets with balances that last the month, or run dry in it for some of them."""
    lines = ["# Made-up wallets and SIMs of the sample."]
    for wallet in wallets:
        percent = random.randint(20, 90) if random.randrange(1000) < DRY_WALLETS else random.randint(200, 500)
        cents = max(50, wallet.used_nanos * percent // 100 // 10_000_000)
        zone = "Europe/Berlin" if wallet.currency == "EUR" else "America/New_York"
        lines.append(
            f"- {{tenant: {TENANT}, wallet: {wallet.name}, account: {wallet.name}, currency: {wallet.currency}, "
            f'balance: "{cents // 100}.{cents % 100:02d}", floor: "0.00", plan: {wallet.plan}, zone: {zone}, sims: ['
        )
        lines += [f'    {{iccid: "{sim.iccid}", imsi: "{sim.imsi}", msisdn: "+{sim.msisdn}"}},' for sim in wallet.sims]
        lines.append("  ]}")
    path.write_text("\n".join(lines) + "\n")
