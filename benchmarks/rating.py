"""Part 2: rating alone under the sample catalogue, and how long the catalogue takes to load.

`rate` explains each event from the ground up; `Terms.rate` is what remains of it for usage of a shape seen before.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.figures import Part
from benchmarks.run import Run, cpu_us
from rater.catalogue import Catalogue
from rater.rating.rate import rate
from rater.rating.terms import terms_at
from rater.tariff.model import Tariff
from schemas.usage import Usage

TARIFF = "world-eur"
ZONE = "Europe/Berlin"
#: Tuesday 2026-10-20 10:00 and 17:59 in Berlin; the peak band ends at 18:00.
PEAK_MS, PEAK_END_MS = 1_792_483_200_000, 1_792_511_940_000


async def rating(run: Run) -> Part:
    """A flat price, tiers, and voice in time bands; each event with counters of its own."""
    part = Part("Rate one event (processor time)")
    folder, times = Path(run.settings.engine.catalogue), []
    for _ in range(run.sizes.runs):
        started = time.perf_counter()
        catalogue = Catalogue.load(folder)
        times.append((time.perf_counter() - started) * 1000)
    tariff = catalogue.tariff(TARIFF)
    flat = 0.0
    for name, make in KINDS.items():
        random = Random(name)
        inputs = [make(random, number) for number in range(run.sizes.events)]
        counters = [_counters(random, tariff, usage) for usage in inputs]

        def one(pair: tuple[Usage, Mapping[str, int]]) -> None:
            rate(tariff, pair[0], pair[1], ZONE)

        figure = part.add(name, "us/event", *cpu_us(one, list(zip(inputs, counters, strict=True)), run.sizes.runs))
        flat = flat or figure.median
        part.figures[-1] = type(figure)(name, figure.unit, figure.runs, f"{figure.median / flat:.1f} x flat")
    for name in PLAIN:
        part.add(f"{name}: compiled", "us/event", *_compiled(run, tariff, name))
    calls = [_new_number(number) for number in range(run.sizes.events)]
    part.add("compile for a new called number", "us", *_to_new_numbers(tariff, calls, run.sizes.runs))
    part.add("load the catalogue", "ms", *times, note=f"{len(catalogue.tariffs)} tariffs, checked")
    return part


def _compiled(run: Run, tariff: Tariff, name: str) -> list[float]:
    """Events of one shape, by its terms."""
    random = Random(name)
    inputs = [KINDS[name](random, number) for number in range(run.sizes.events)]
    terms = terms_at(tariff, inputs[0], PEAK_MS, ZONE)
    counters = {key: random.randrange(2_000_000_000) for key in terms.keys}
    rate_plain, quantities = terms.rate, [usage.quantity for usage in inputs]
    assert None not in [rate_plain(quantity, counters) for quantity in quantities]
    return cpu_us(lambda quantity: rate_plain(quantity, counters), quantities, run.sizes.runs)


def _to_new_numbers(tariff: Tariff, calls: list[Usage], runs: int) -> list[float]:
    """Terms for calls each to another number; a run's numbers are new to it."""
    found = []
    for place in range(runs):
        part = calls[place::runs]
        started = time.thread_time()
        for usage in part:
            terms_at(tariff, usage, PEAK_MS, ZONE)
        found.append((time.thread_time() - started) / len(part) * 1e6)
    return found


def _counters(random: Random, tariff: Tariff, usage: Usage) -> dict[str, int]:
    """A SIM that has used up to 2 GB this month."""
    charge = rate(tariff, usage, {}, ZONE)
    assert charge.outcome == "priced", charge.reason_detail
    return {use.key: random.randrange(2_000_000_000) for use in charge.uses}


def _usage(number: int, service: Any, start_ms: int, **fields: Any) -> Usage:
    end_ms = start_ms + fields.get("duration_ms", 0)
    return Usage("bench", "rating", str(number), service, start_ms, end_ms, subscriber="sim", **fields)


def _message(_: Random, number: int) -> Usage:
    return _usage(number, "message", PEAK_MS, kind="sms", mcc="262", mnc="01", message_count=1)


def _data(mcc: str) -> Any:
    def make(random: Random, number: int) -> Usage:
        volume = int(random.lognormvariate(12.4, 1.6)) + 1
        return _usage(number, "data", PEAK_MS, mcc=mcc, mnc="01", volume_bytes=volume)

    return make


def _call(start_ms: int, shortest_s: int) -> Any:
    def make(random: Random, number: int) -> Usage:
        duration_ms = random.randrange(shortest_s, shortest_s + 600) * 1000
        called = random.choice(("+4930123456", "+33612345678", "+14155550100", "+971501234567", "+919812345678"))
        return _usage(
            number, "voice", start_ms, mcc="262", mnc="01", called_number=called, duration_ms=duration_ms,
        )  # fmt: skip

    return make


def _new_number(number: int) -> Usage:
    called = f"+49301{number:07d}"
    return _usage(number, "voice", PEAK_MS, mcc="262", mnc="01", called_number=called, duration_ms=60_000)


#: What is rated; the flat price first, the others are compared with it.
KINDS: dict[str, Any] = {
    "flat (message)": _message,
    "data, carried-over steps": _data("208"),
    "data, steps and monthly tiers": _data("262"),
    "voice, prefix and time band": _call(PEAK_MS, 1),
    "voice across the end of a band": _call(PEAK_END_MS, 61),
}
#: Those whose usage is of one shape.
PLAIN = ("flat (message)", "data, carried-over steps", "data, steps and monthly tiers")
