"""Draws the sample's records and writes its files."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Final

from schemas.sample.damage import damage
from schemas.sample.fleet import Sim, Wallet, make_wallets, write_wallets
from schemas.sample.forms import CSV_HEADER, MONTH_S, Drawn, emnify_csv, emnify_json, once_json

#: Intake's clock for the sample: just after its month.
CLOCK: Final = datetime(2026, 11, 1, tzinfo=UTC)
EMNIFY, ONCE, EMNIFY_CSV = "records-emnify.jsonl.gz", "records-1nce.jsonl.gz", "records-emnify.csv.gz"
#: The files, in the order in which they are to be rated.
RECORDS: Final = (EMNIFY, ONCE, EMNIFY_CSV)

#: In thousandths of all records.
REPEATS, DAMAGE = 20, 5
#: Every hundredth to this many is an SMS.
SMS_PERCENT = 6
#: A repeat comes within so many records, or (every other one) any time later.
NEAR = 50

#: What is written of one file: its form, the currency of its SIMs' wallets, and its share in percent.
_FILES: Final[dict[str, tuple[Callable[[Drawn], str], str, int]]] = {
    EMNIFY: (emnify_json, "EUR", 50),
    ONCE: (once_json, "USD", 38),
    EMNIFY_CSV: (emnify_csv, "EUR", 12),
}


def generate(folder: Path, seed: int, events: int) -> None:
    """Write `events` records over the files of `RECORDS`, and wallets.yaml. The same arguments give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    wallets = make_wallets(Random(f"{seed}-fleet"))  # noqa: S311 - a sample, not a secret
    counts = {name: events * share // 100 for name, (_, _, share) in _FILES.items()}
    counts[EMNIFY] += events - sum(counts.values())
    for number, name in enumerate(RECORDS):
        form, currency, _ = _FILES[name]
        random = Random(f"{seed}-{name}")  # noqa: S311 - a sample, not a secret
        payers = {sim.number: wallet for wallet in wallets for sim in wallet.sims if wallet.currency == currency}
        sims = [sim for wallet in wallets for sim in wallet.sims if sim.number in payers]
        # The CSV files are of a few companies only; the rest of their usage is in the stream.
        sims = sims[-len(sims) // 8 :] if name == EMNIFY_CSV else sims
        lines = _lines(random, sims, payers, counts[name], 400_000_000_000 * (number + 1), form)
        _write(folder / name, lines, CSV_HEADER if name == EMNIFY_CSV else "")
    write_wallets(folder / "wallets.yaml", wallets, Random(f"{seed}-balances"))  # noqa: S311 - a sample


def _lines(
    random: Random, sims: Sequence[Sim], payers: dict[int, Wallet], count: int, first_id: int,
    form: Callable[[Drawn], str],
) -> list[str]:  # fmt: skip
    """`count` lines in order of time, some repeated later, some damaged."""
    repeats, damages = count * REPEATS // 1000, count * DAMAGE // 1000
    lines = []
    for drawn in _draw(random, sims, count - repeats - damages, first_id):
        lines.append(form(drawn))
        cost = (drawn.sent_bytes + drawn.received_bytes) * drawn.network.nanos_per_mb // 1_000_000
        payers[drawn.sim.number].used_nanos += 50_000_000 if drawn.sms == "sent" else cost
    later: list[tuple[int, str]] = []
    for turn in range(repeats):
        at = random.randrange(len(lines))
        later.append((at + 1 + random.randrange(NEAR if turn % 2 else len(lines)), lines[at]))
    for _ in range(damages):
        at = random.randrange(len(lines))
        later.append((at + 1, damage(random, lines[at])))
    return _merged(lines, later)


def _merged(lines: Sequence[str], later: list[tuple[int, str]]) -> list[str]:
    """Each of `later` at its place among the lines, or at the end."""
    later.sort()
    merged: list[str] = []
    position = 0
    for at, line in later:
        merged += lines[position:at]
        position = max(position, min(at, len(lines)))
        merged.append(line)
    return merged + list(lines[position:])


def _draw(random: Random, sims: Sequence[Sim], count: int, first_id: int) -> Iterator[Drawn]:
    ends = sorted(random.randrange(MONTH_S) for _ in range(count))
    sessions: dict[int, str] = {}
    chosen = random.choices(sims, weights=[sim.weight for sim in sims], k=count)
    for number, (sim, end_s) in enumerate(zip(chosen, ends, strict=True)):
        if sim.number not in sessions or random.random() < 0.2:
            bits = f"{random.getrandbits(128):032x}"
            sessions[sim.number] = f"{bits[:8]}-{bits[8:12]}-4{bits[13:16]}-a{bits[17:20]}-{bits[20:]}"
        network = sim.networks[random.randrange(len(sim.networks))]
        id_ = first_id + number * 7 + random.randrange(7)
        if random.randrange(100) < SMS_PERCENT:
            sms = "sent" if random.random() < 0.6 else "received"
            yield Drawn(id_, sim, network, end_s, end_s, 0, 0, sessions[sim.number], sms)
        else:
            volume = int(random.lognormvariate(12.4, 1.6)) + 1
            sent = volume * random.randrange(10, 60) // 100
            start_s = max(0, end_s - random.randrange(45, 900))
            yield Drawn(id_, sim, network, start_s, end_s, sent, volume - sent, sessions[sim.number])


def _write(path: Path, lines: Sequence[str], header: str) -> None:
    # Without the time of writing, so that the same sample is the same bytes.
    with (
        path.open("wb") as file,
        gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=3, mtime=0) as zipped,
    ):
        text = "\n".join([header, *lines] if header else lines) + "\n"
        zipped.write(text.encode("utf-8", "surrogateescape"))
