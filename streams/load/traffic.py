"""Traffic: events of a fleet from a seed, made cheaply, and what each of them is.

Whose an event is, what it says and when it ends are drawn in blocks; its text is joined from pieces written ahead
(bodies.py, times.py). About 2 us an event. Nothing depends on how many events a page has.

Then one event in fifty or so is replaced: by an earlier one (a repeat), by damage, or by one of a SIM nobody knows.
What must come of them is certain: duplicate, dead-lettered, parked. What becomes of the others the wallets decide.
"""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, chain, islice
from random import Random

from streams.load.bodies import SERVICES, SPAN_MAX_MS, Body, make_bodies
from streams.load.damage import damage
from streams.load.fleet import MILLION, NOBODY
from streams.load.recipe import Recipe
from streams.load.times import MILLISECONDS, Seconds, window

#: Draws at a time, and events made at a time: more fall out of the processor's cache and cost half as much again.
BLOCK = 1024
#: Events kept to be repeated: the last of them, some minutes' worth.
KEPT = 4096

REPEAT, DAMAGED, UNKNOWN = "repeat", "damaged", "unknown"
#: What events are counted as.
SORTS = (*SERVICES, REPEAT, DAMAGED, UNKNOWN)

#: SIM's number, body, a word for the time and one for what replaces the event.
Draw = tuple[int, Body, int, int]


@dataclass(frozen=True)
class Page:
    """Events as they go over the wire, each with its SIM as key, and how many there are of each sort."""

    keys: list[bytes]
    values: list[bytes]
    sorts: Counter[str]


class Traffic:
    """An endless stream of events, taken page by page."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        # Of their own, so that neither the pool nor what is replaced shifts the other draws.
        self._random, self._odd = _random(recipe, "draws"), _random(recipe, "odd")
        self._bodies = make_bodies(_random(recipe, "bodies"), recipe.mix, recipe.countries)
        self._draws: Iterator[Draw] = chain.from_iterable(self._blocks())
        self._made = 0
        self._seconds = Seconds()
        self._kept: list[tuple[bytes, bytes]] = []
        # Of a 32-bit word: below the first it is a repeat, below the second damage ... below the last it is kept.
        shares = [recipe.repeats_ppm, recipe.damaged_ppm, recipe.unknown_ppm, recipe.repeats_ppm]
        self._below = [(share << 32) // MILLION for share in accumulate(shares)]
        identity = {"tenant": recipe.fleet.tenant, "source": recipe.source, "id": f"{recipe.run}-"}
        self._head = json.dumps(identity, separators=(",", ":"))[:-2]

    def page(self, events: int, now_ms: int) -> Page:
        """The next events; `now_ms` is when they are made, which their times go by unless a day is set."""
        page = Page([], [], Counter(dict.fromkeys(SORTS, 0)))
        for start in range(0, events, BLOCK):
            part = self._make(min(BLOCK, events - start), now_ms)
            page.keys.extend(part.keys)
            page.values.extend(part.values)
            page.sorts.update(part.sorts)
        return page

    def _make(self, events: int, now_ms: int) -> Page:
        drawn = list(islice(self._draws, events))
        numbers = range(self._made, self._made + events)
        self._made += events
        last_ms, width_ms = window(self.recipe.day, now_ms, SPAN_MAX_MS)
        self._seconds.cover(last_ms - width_ms - SPAN_MAX_MS, last_ms)
        # Counted from the first text: numbers below 2^30 are divided twice as fast.
        last = last_ms - self._seconds.first_ms
        head, prefix, seconds, fraction = self._head, self.recipe.fleet.prefix, self._seconds.texts, MILLISECONDS
        sims = [f"{prefix}{sim:09d}" for sim, _, _, _ in drawn]
        ends = [last - word % width_ms for _, _, word, _ in drawn]
        values = [
            (
                f'{head}{number}","iccid":"{sim + session + sim if session else sim}",{text},'
                f'"start_time":"{seconds[(end - span) // 1000]}{fraction[(end - span) % 1000]}",'
                f'"end_time":"{seconds[end // 1000]}{fraction[end % 1000]}"}}'
            ).encode()
            for number, sim, (_, (text, session, span, _), _, _), end in zip(numbers, sims, drawn, ends, strict=True)
        ]
        services = [body.service for _, body, _, _ in drawn]
        sorts = Counter({service: services.count(service) for service in SERVICES})
        page = Page([sim.encode() for sim in sims], values, sorts)
        self._replace(page, drawn, services)
        return page

    def _blocks(self) -> Iterator[Iterator[Draw]]:
        """What is drawn for each event, without end."""
        fleet, random = self.recipe.fleet, self._random
        weights = list(accumulate(rank**-self.recipe.skew for rank in range(1, fleet.wallets + 1)))
        wallets, each = range(fleet.wallets), fleet.sims_per_wallet
        while True:
            sims = random.choices(wallets, cum_weights=weights, k=BLOCK)
            if each > 1:
                sims = [wallet * each + sim for wallet, sim in zip(sims, random.choices(range(each), k=BLOCK))]  # noqa: B905
            bodies = random.choices(self._bodies, k=BLOCK)
            words = struct.unpack(f"<{2 * BLOCK}I", random.randbytes(8 * BLOCK))
            yield zip(sims, bodies, words[:BLOCK], words[BLOCK:], strict=True)

    def _replace(self, page: Page, drawn: list[Draw], services: list[str]) -> None:
        """Put repeats, damage and strangers in the place of some events, and keep some for later repeats."""
        repeats, damaged, unknown, kept = self._below
        for place, word in [(place, draw[3]) for place, draw in enumerate(drawn) if draw[3] < kept]:
            value, sort = page.values[place], ""
            if word < repeats and self._kept:
                page.keys[place], page.values[place] = self._odd.choice(self._kept)
                sort = REPEAT
            elif repeats <= word < damaged:
                page.values[place] = damage(self._odd, value, is_json=self.recipe.damage_is_json)
                sort = DAMAGED
            elif damaged <= word < unknown:
                sim = page.keys[place]
                page.keys[place] = NOBODY.encode() + sim[len(NOBODY) :]
                page.values[place] = value.replace(sim, page.keys[place])
                sort = UNKNOWN
            else:  # the first of all has nothing to repeat
                self._keep(page.keys[place], value)
            if sort:
                page.sorts[services[place]] -= 1
                page.sorts[sort] += 1

    def _keep(self, key: bytes, value: bytes) -> None:
        if len(self._kept) < KEPT:
            self._kept.append((key, value))
        else:
            self._kept[self._odd.randrange(KEPT)] = key, value


def _random(recipe: Recipe, use: str) -> Random:
    # Hashed from text, since a sum of small seeds would give neighbours much in common.
    return Random(f"{recipe.seed}-{use}")  # noqa: S311 - a sample, not a secret
