"""Networks that the sample's SIMs visit, and roughly what a megabyte costs there, to size the wallets by."""

from __future__ import annotations

from typing import Final, NamedTuple


class Network(NamedTuple):
    """A mobile network (ITU-T E.212) and its country; `id` and `country_id` are the platform's, made up."""

    mcc: str
    mnc: str
    name: str
    country: str
    #: Nanos per MB, near what the sample tariffs ask; for the size of balances only.
    nanos_per_mb: int


def _network(line: str, price_nanos: int) -> Network:
    mcc, mnc, country, name = line.split(maxsplit=3)
    return Network(mcc, mnc, name, country, price_nanos)


def _networks(text: str, price_nanos: int) -> tuple[Network, ...]:
    return tuple(_network(line, price_nanos) for line in text.strip().splitlines())


#: Where the fleets billed in euros and in dollars are at home.
HOME_EUR: Final = _networks(
    """
    262 01 Germany Telekom.de
    262 02 Germany Vodafone.de
    262 03 Germany O2 - de
    """,
    7_000_000,
)
HOME_USD: Final = _networks(
    """
    310 260 United_States T-Mobile USA
    310 410 United_States AT&T Mobility
    """,
    5_000_000,
)

EUROPE: Final = _networks(
    """
    208 01 France Orange F
    208 10 France SFR
    222 10 Italy Vodafone IT
    222 01 Italy TIM
    214 01 Spain Vodafone ES
    214 07 Spain Movistar
    204 08 Netherlands KPN
    204 04 Netherlands Vodafone NL
    206 01 Belgium Proximus
    232 01 Austria A1
    260 01 Poland Plus
    230 01 Czechia T-Mobile CZ
    240 01 Sweden Telia
    242 01 Norway Telenor
    238 01 Denmark TDC
    268 01 Portugal Vodafone P
    272 01 Ireland Vodafone IE
    247 05 Latvia Bite
    216 30 Hungary Telekom HU
    226 10 Romania Orange RO
    """,
    12_000_000,
)
NEAR_EUROPE: Final = _networks(
    """
    228 01 Switzerland Swisscom
    234 15 United_Kingdom Vodafone UK
    234 30 United_Kingdom EE
    286 01 Turkey Turkcell
    """,
    25_000_000,
)
AMERICAS: Final = _networks(
    """
    302 720 Canada Rogers
    334 020 Mexico Telcel
    724 05 Brazil Claro BR
    732 101 Colombia Claro CO
    722 07 Argentina Movistar AR
    """,
    45_000_000,
)
FAR: Final = _networks(
    """
    655 01 South_Africa Vodacom
    404 45 India Airtel
    460 01 China China Unicom
    440 10 Japan NTT docomo
    505 01 Australia Telstra
    525 01 Singapore Singtel
    450 05 South_Korea SK Telecom
    621 30 Nigeria MTN
    602 02 Egypt Vodafone EG
    424 02 United_Arab_Emirates Etisalat
    368 01 Cuba Cubacel
    """,
    90_000_000,
)
#: The sample tariffs have no agreement here: usage is refused (region_blocked).
BLOCKED: Final = _networks(
    """
    438 01 Turkmenistan TM Cell
    657 01 Eritrea Eritel
    """,
    0,
)

ALL: Final = HOME_EUR + HOME_USD + EUROPE + NEAR_EUROPE + AMERICAS + FAR + BLOCKED
NETWORK_IDS: Final = {network: number for number, network in enumerate(ALL, start=1)}
COUNTRY_IDS: Final = {country: number for number, country in enumerate(dict.fromkeys(n.country for n in ALL), start=70)}
