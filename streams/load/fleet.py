"""The wallets and SIMs that the traffic is of. Everything follows from the name and a number, so nothing is kept."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from rater.wallet.load import SimForm, WalletForm

MILLION = 1_000_000
#: No fleet has a SIM whose ICCID begins like this.
NOBODY = "8999000000"


@dataclass(frozen=True)
class Fleet:
    """`wallets` wallets with `sims_per_wallet` SIMs each; those of wallet 0 come first."""

    tenant: str = "demo"
    name: str = "load"
    wallets: int = 1000
    sims_per_wallet: int = 1
    #: So many wallets of a million are nearly empty, evenly spread.
    dry_ppm: int = 50_000

    @property
    def prefix(self) -> str:
        """What the ICCIDs of this fleet begin with; another name has another one, one collision in a million aside."""
        return f"8988{zlib.crc32(self.name.encode()) % MILLION:06d}"

    def iccid(self, sim: int) -> str:
        """A made-up ICCID."""
        return f"{self.prefix}{sim:09d}"

    def wallet(self, number: int) -> str:
        """A wallet's name."""
        return f"{self.name}{number:07d}"

    def is_dry(self, number: int) -> bool:
        """Whether the wallet is nearly empty: at 5 %, the last of each twenty."""
        return (number + 1) * self.dry_ppm // MILLION > number * self.dry_ppm // MILLION

    def forms(self, terms: Terms, start: int = 0) -> Iterator[WalletForm]:
        """The wallets and their SIMs from a number on, to be loaded."""
        for number in range(start, self.wallets):
            first = number * self.sims_per_wallet
            yield WalletForm(
                tenant=self.tenant,
                wallet=self.wallet(number),
                currency=terms.currency,
                plan=terms.plan,
                balance=terms.dry_balance if self.is_dry(number) else terms.balance,
                zone=terms.zone,
                sims=[SimForm(iccid=self.iccid(sim)) for sim in range(first, first + self.sims_per_wallet)],
            )


@dataclass(frozen=True)
class Terms:
    """On what terms the wallets are made; amounts are exact decimal text."""

    plan: str = "payg-eur"
    currency: str = "EUR"
    balance: str = "1000000.00"
    dry_balance: str = "0.05"
    zone: str = "Europe/Berlin"
