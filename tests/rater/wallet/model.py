"""What the wallet function does, in plain Python with unbounded integers: the yardstick of the random histories."""

from __future__ import annotations

from dataclasses import dataclass, field

from rater.money import AMOUNT_MAX_NANOS, AMOUNT_MIN_NANOS
from rater.wallet.entry import HOLDS, Entry, Kind
from tests.rater.wallet.building import Usage

BALANCE, PARENT = HOLDS["balance"], HOLDS["parent"]
#: (fate rated, charged nanos, balance before)
Verdict = tuple[bool, int, int]


@dataclass
class Model:
    """One wallet and its members."""

    balance: int
    floor: int
    holds: int = 0
    members: dict[str, int] = field(default_factory=dict)
    known: dict[bytes, Verdict] = field(default_factory=dict)
    crossings: list[tuple[str, str]] = field(default_factory=list)

    def decide(self, entry: Entry | Usage) -> Verdict:
        """The verdict of an entry, the same for the same id."""
        if entry.identity not in self.known:
            before = self.balance
            self.known[entry.identity] = (*self._change(entry), before)
            self._check_floor()
        return self.known[entry.identity]

    def _change(self, entry: Entry | Usage) -> tuple[bool, int]:
        money = entry.amount_nanos
        if isinstance(entry, Usage):
            if self.holds or self.members[entry.subscriber] & ~PARENT:
                return False, 0
            charged = min(money, max(0, self.balance - self.floor))
            self.balance -= charged
            return True, charged
        bits = sum(HOLDS[name] for name in entry.hold.split(",") if name)
        if entry.kind in (Kind.CREDIT, Kind.DEBIT, Kind.FORCE):
            after = self.balance + (money if entry.kind is Kind.CREDIT else -money)
            if not AMOUNT_MIN_NANOS <= after <= AMOUNT_MAX_NANOS or (entry.kind is Kind.DEBIT and after < self.floor):
                return False, 0
            self.balance = after
            return True, 0 if entry.kind is Kind.CREDIT else money
        if entry.kind is Kind.FLOOR:
            self.floor = money
        elif entry.subscriber:
            before = self.members[entry.subscriber]
            self._set_member(entry.subscriber, before | bits if entry.kind is Kind.HOLD else before & ~bits)
        else:
            self._set_wallet(self.holds | bits if entry.kind is Kind.HOLD else self.holds & ~bits)
        return True, 0

    def _check_floor(self) -> None:
        self._set_wallet(self.holds & ~BALANCE | (BALANCE if self.balance <= self.floor else 0))

    def _set_wallet(self, holds: int) -> None:
        crossed = (self.holds == 0) != (holds == 0)
        self.holds = holds
        if crossed:
            self._tell("", holds)
            for subscriber, own in sorted(self.members.items()):
                self._set_member(subscriber, own & ~PARENT | (PARENT if holds else 0))

    def _set_member(self, subscriber: str, holds: int) -> None:
        crossed = (self.members[subscriber] == 0) != (holds == 0)
        self.members[subscriber] = holds
        if crossed:
            self._tell(subscriber, holds)

    def _tell(self, subscriber: str, holds: int) -> None:
        self.crossings.append(("suspended" if holds else "resumed", subscriber))
