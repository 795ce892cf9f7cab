"""Whether a run was right: a fast wrong run is worth nothing.

Read back from what a consumer sees (the topics) and from Redis, not from what the engine says of itself:

- events in = the sum of fates, and each decided, parked or dead event stands in its topic once;
- no event was decided twice, and for each wallet the charges add up to what it lost;
- each wallet at its floor was suspended once, and so was each of its SIMs; no other was.

Records are taken one by one and not kept, wallets are read in pages: so it holds for millions of both. A record takes
about 200 bytes here.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import msgspec
from xxhash import xxh3_64_intdigest

from benchmarks.traffic import Sent
from rater.identity import identity
from rater.money import parse_nanos
from rater.pipeline.tally import Tally
from rater.wallet.load import WalletForm
from rater.wallet.states import WalletState
from rater.wallet.store import WalletStore
from schemas.fates import Fate, Reason
from schemas.lifecycle import LifecycleEvent
from streams.topics import DEAD_LETTERS, LIFECYCLE, PARKED, RATED, REFUSED, TopicRecord

#: Wallets read in one round trip.
PAGE = 2000


class _Record(msgspec.Struct):
    """What the check needs of a rated or refused record."""

    tenant: str
    source: str
    id: str
    wallet: str
    charged_nanos: int
    part: int = 0


_decode = msgspec.json.Decoder(_Record).decode
_decode_lifecycle = msgspec.json.Decoder(LifecycleEvent).decode


class Before:
    """Wallets as they stood before a run, in the order of their forms: balances in nanos, and which were held."""

    def __init__(self) -> None:
        self.balances = array("q")
        self.held: set[int] = set()

    @classmethod
    async def read(cls, store: WalletStore, forms: Iterable[WalletForm]) -> Before:
        """As they stand now."""
        before = cls()
        for page in _pages(forms):
            for form, state in zip(page, await _states(store, page), strict=True):
                assert state is not None, f"wallet {form.wallet} was never made"
                if state.holds:
                    before.held.add(len(before.balances))
                before.balances.append(state.balance_nanos)
        return before


class Ledger:
    """What the topics say of one run, record by record; then whether it is what the wallets say."""

    def __init__(self) -> None:
        self.charged: Counter[tuple[str, str]] = Counter()
        self.faults: list[str] = []
        #: (identity, part) of each record -> digest of the record.
        self._rows: dict[str, dict[bytes, int]] = {RATED: {}, REFUSED: {}}
        self._events: Counter[str] = Counter()
        self._told: defaultdict[tuple[str, str, str], set[int]] = defaultdict(set)

    def take(self, record: TopicRecord) -> None:
        """Look at a record; the same one again, as a crash may deliver it, counts once."""
        if record.topic in self._rows:
            self._take_row(record)
        elif record.topic == LIFECYCLE:
            event = _decode_lifecycle(record.value)
            self._told[event.tenant, event.wallet, event.subscriber].add(event.status_version)
        else:
            self._events[record.topic] += 1

    def _take_row(self, record: TopicRecord) -> None:
        row = _decode(record.value)
        digest = identity(row.tenant, row.source, row.id)
        key = digest + bytes([row.part]) if row.part else digest
        rows, content = self._rows[record.topic], xxh3_64_intdigest(record.value)
        if key in rows:
            if rows[key] != content:
                self.faults.append(f"{row.source}/{row.id} has two different records")
            return
        rows[key] = content
        self.charged[row.tenant, row.wallet] += row.charged_nanos
        if not row.part:
            self._events[record.topic] += 1
            if digest in self._rows[REFUSED if record.topic == RATED else RATED]:
                self.faults.append(f"{row.source}/{row.id} was both rated and refused")

    async def compare(
        self, tally: Tally, store: WalletStore, forms: Iterable[WalletForm], before: Before | None = None
    ) -> list[str]:
        """What is wrong; empty if the run was right. Without `before` the wallets began as their forms say."""
        faults = self.faults + self._fates(tally)
        charged, told = self.charged.copy(), self._told.copy()
        number = 0
        for page in _pages(forms):
            for form, state in zip(page, await _states(store, page), strict=True):
                assert state is not None, f"wallet {form.wallet} was never made"
                began = before.balances[number] if before else parse_nanos(form.balance)
                if began - state.balance_nanos != charged.pop((form.tenant, form.wallet), 0):
                    lost = began - state.balance_nanos
                    faults.append(f"wallet {form.wallet} lost {lost} nanos, which is not what its records charge")
                if state.holds and not (before and number in before.held):
                    faults += _untold(form, told)
                number += 1
        faults += [f"wallet {wallet} was charged but never made" for _, wallet in charged]
        return faults + [f"{key} is said to be suspended and is not" for key in told]

    def _fates(self, tally: Tally) -> list[str]:
        faults = [] if tally.adds_up else [f"{tally.events:,} events in, but fates of {sum(tally.fates.values()):,}"]
        topics = {Fate.RATED: RATED, Fate.REFUSED: REFUSED, Fate.PARKED: PARKED, Fate.DEAD_LETTERED: DEAD_LETTERS}
        for fate, topic in topics.items():
            found = self._events[topic]
            if found != tally.of(fate):
                faults.append(f"{found:,} events stand in the topics as {fate.label}, {tally.of(fate):,} were counted")
        return faults


def _untold(form: WalletForm, told: dict[tuple[str, str, str], set[int]]) -> list[str]:
    """Of a held wallet and its SIMs: who was not told of exactly one suspend. Takes them from `told`."""
    faults = []
    for name in ("", *(sim.subscriber or sim.iccid for sim in form.sims)):
        key = form.tenant, form.wallet, name
        versions = told.pop(key, set())
        if not versions:
            faults.append(f"{key} is held, and nobody was told")
        elif len(versions) > 1:
            faults.append(f"{key} was suspended {len(versions)} times")
    return faults


async def check(
    records: Iterable[TopicRecord], tally: Tally, store: WalletStore, forms: Sequence[WalletForm],
) -> list[str]:  # fmt: skip
    """What is wrong; empty if the run was right."""
    ledger = Ledger()
    for record in records:
        ledger.take(record)
    return await ledger.compare(tally, store, forms)


def expected(tally: Tally, sent: Sent) -> list[str]:
    """What is wrong with the fates that do not depend on balances. For traffic of our own, which says what it holds."""
    wanted = {
        "duplicate": (tally.of(Fate.DUPLICATE), sent.repeats),
        "dead-lettered": (tally.of(Fate.DEAD_LETTERED), sent.damaged),
        "parked": (tally.fates[Fate.PARKED, Reason.UNKNOWN_SUBSCRIBER], sent.unknown),
        "parked in all": (tally.of(Fate.PARKED), sent.unknown),
    }
    return [f"{found:,} events were {fate}, not {sent:,}" for fate, (found, sent) in wanted.items() if found != sent]


def _pages(forms: Iterable[WalletForm]) -> Iterator[list[WalletForm]]:
    left = iter(forms)
    while page := list(islice(left, PAGE)):
        yield page


async def _states(store: WalletStore, page: Sequence[WalletForm]) -> list[WalletState | None]:
    return await store.wallets(store.wallet_ref(form.tenant, form.wallet) for form in page)
