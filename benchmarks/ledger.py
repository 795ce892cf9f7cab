"""Whether a run was right: a fast wrong run is worth nothing.

Read back from what a consumer sees (the topics) and from Redis, not from what the engine says of itself:

- events in = the sum of fates, and each decided, parked or dead event stands in its topic once;
- no event was decided twice, and for each wallet the charges add up to what it lost;
- each wallet at its floor was suspended once, and so was each of its SIMs; no other was.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import msgspec

from benchmarks.traffic import Sent
from rater.money import parse_nanos
from rater.pipeline.tally import Tally
from rater.wallet.load import WalletForm
from rater.wallet.store import WalletStore
from schemas.fates import Fate, Reason
from schemas.lifecycle import LifecycleEvent
from streams.topics import DEAD_LETTERS, LIFECYCLE, PARKED, RATED, REFUSED, TopicRecord


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


async def check(
    records: Sequence[TopicRecord], tally: Tally, store: WalletStore, forms: Sequence[WalletForm],
) -> list[str]:  # fmt: skip
    """What is wrong; empty if the run was right."""
    charged: Counter[tuple[str, str]] = Counter()
    faults = _fates(records, tally, charged)
    faults += await _balances(charged, store, forms)
    return faults + await _suspends(records, store, forms)


def expected(tally: Tally, sent: Sent) -> list[str]:
    """What is wrong with the fates that do not depend on balances. For traffic of our own, which says what it holds."""
    wanted = {
        "duplicate": (tally.of(Fate.DUPLICATE), sent.repeats),
        "dead-lettered": (tally.of(Fate.DEAD_LETTERED), sent.damaged),
        "parked": (tally.fates[Fate.PARKED, Reason.UNKNOWN_SUBSCRIBER], sent.unknown),
        "parked in all": (tally.of(Fate.PARKED), sent.unknown),
    }
    return [f"{found:,} events were {fate}, not {sent:,}" for fate, (found, sent) in wanted.items() if found != sent]


def _fates(records: Sequence[TopicRecord], tally: Tally, charged: Counter[tuple[str, str]]) -> list[str]:
    rows: dict[str, dict[tuple[str, str, str, int], bytes]] = {RATED: {}, REFUSED: {}}
    others: Counter[str] = Counter()
    faults = [] if tally.adds_up else [f"{tally.events:,} events in, but fates of {sum(tally.fates.values()):,}"]
    for record in records:
        if record.topic not in rows:
            others[record.topic] += 1
            continue
        row = _decode(record.value)
        first = rows[record.topic].setdefault((row.tenant, row.source, row.id, row.part), record.value)
        if first is record.value:
            charged[row.tenant, row.wallet] += row.charged_nanos
        elif first != record.value:
            faults.append(f"{row.source}/{row.id} has two different records")
    events = {topic: {key[:3] for key in found} for topic, found in rows.items()}
    faults += [f"{event} was both rated and refused" for event in events[RATED] & events[REFUSED]]
    seen = {
        Fate.RATED: len(events[RATED]), Fate.REFUSED: len(events[REFUSED]),
        Fate.PARKED: others[PARKED], Fate.DEAD_LETTERED: others[DEAD_LETTERS],
    }  # fmt: skip
    for fate, found in seen.items():
        if found != tally.of(fate):
            faults.append(f"{found:,} events stand in the topics as {fate.label}, {tally.of(fate):,} were counted")
    return faults


async def _balances(
    charged: Counter[tuple[str, str]], store: WalletStore, forms: Sequence[WalletForm]
) -> list[str]:  # fmt: skip
    faults = []
    for form in forms:
        state = await store.wallet(form.tenant, form.wallet)
        assert state is not None
        lost = parse_nanos(form.balance) - state.balance_nanos
        if lost != charged.pop((form.tenant, form.wallet), 0):
            faults.append(f"wallet {form.wallet} lost {lost} nanos, which is not what its records charge")
    return faults + [f"wallet {wallet} was charged but never made" for _, wallet in charged]


async def _suspends(
    records: Sequence[TopicRecord], store: WalletStore, forms: Sequence[WalletForm]
) -> list[str]:  # fmt: skip
    found: defaultdict[tuple[str, str, str], set[int]] = defaultdict(set)
    for record in records:
        if record.topic == LIFECYCLE:
            event = _decode_lifecycle(record.value)
            found[event.tenant, event.wallet, event.subscriber].add(event.status_version)
    faults = [f"{key} was suspended {len(versions)} times" for key, versions in found.items() if len(versions) > 1]
    wanted = set()
    for form in forms:
        state = await store.wallet(form.tenant, form.wallet)
        if state is not None and state.holds:
            wanted.add((form.tenant, form.wallet, ""))
            names = [sim.subscriber or sim.iccid for sim in form.sims]
            wanted.update((form.tenant, form.wallet, name) for name in names)
    faults += [f"{key} is held, and nobody was told" for key in wanted - found.keys()]
    return faults + [f"{key} is said to be suspended and is not" for key in found.keys() - wanted]
