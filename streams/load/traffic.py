"""Traffic: events of a fleet from a seed, made cheaply, and what each of them is.

Whose an event is, what it says and when it ends are drawn in blocks; its text is joined from pieces written ahead
(bodies.py, times.py). About 2 us an event. Nothing depends on how many events a page has.

Then one event in fifty or so is replaced: by an earlier one (a repeat), by damage, or by one of a SIM nobody knows.
What must come of them is certain: duplicate, dead-lettered, parked. What becomes of the others the wallets decide.
"""

from __future__ import annotations

import json
import struct
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import NamedTuple

from streams.load.bodies import HOMES, ROAMING, SERVICES, SPAN_MAX_MS, Body, make_bodies, make_homes
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


@dataclass(frozen=True)
class Page:
    """Events as they go over the wire, each with its SIM as key, and how many there are of each sort."""

    keys: list[bytes]
    values: list[bytes]
    sorts: Counter[str]


class Draws(NamedTuple):
    """What is drawn for some events: the SIM's number, the body, a word for the time, and one for what replaces it."""

    sims: Sequence[int]
    bodies: Sequence[Body]
    times: Sequence[int]
    odd: Sequence[int]

    def cut(self, at: int, end: int) -> Draws:
        """Those of some of the events."""
        return Draws(self.sims[at:end], self.bodies[at:end], self.times[at:end], self.odd[at:end])


class Traffic:
    """An endless stream of events, taken page by page."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        # Of their own, so that neither the pool nor what is replaced shifts the other draws.
        self._random, self._odd = _random(recipe, "draws"), _random(recipe, "odd")
        self._bodies = make_bodies(_random(recipe, "bodies"), recipe.mix, recipe.countries)
        self._homes = make_homes(_random(recipe, "homes"), self._bodies)
        # An array: as objects, the weights of ten million wallets would take 320 MB.
        self._weights = array("d", accumulate(rank**-recipe.skew for rank in range(1, recipe.fleet.wallets + 1)))
        self._block = self._draw()
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
        while len(page.values) < events:
            at = self._made % BLOCK
            end = min(BLOCK, at + events - len(page.values))
            part = self._make(self._block.cut(at, end), now_ms)
            page.keys.extend(part.keys)
            page.values.extend(part.values)
            page.sorts.update(part.sorts)
            if end == BLOCK:
                self._block = self._draw()
        return page

    def _draw(self) -> Draws:
        fleet, random = self.recipe.fleet, self._random
        wallets, each = range(fleet.wallets), fleet.sims_per_wallet
        sims = random.choices(wallets, cum_weights=self._weights, k=BLOCK)
        if each > 1:
            places = random.choices(range(each), k=BLOCK)
            sims = [wallet * each + place for wallet, place in zip(sims, places, strict=True)]
        homes, roaming = self._homes, random.choices(self._bodies, k=BLOCK)
        bodies = [
            body if word % 100 < ROAMING else homes[sim % HOMES][word % len(homes[sim % HOMES])]
            for sim, body, word in zip(
                sims, roaming, struct.unpack(f"<{BLOCK}I", random.randbytes(4 * BLOCK)), strict=True
            )
        ]
        words = struct.unpack(f"<{2 * BLOCK}I", random.randbytes(8 * BLOCK))
        return Draws(sims, bodies, words[:BLOCK], words[BLOCK:])

    def _make(self, draws: Draws, now_ms: int) -> Page:
        """Write the events down."""
        events = len(draws.sims)
        numbers = range(self._made, self._made + events)
        self._made += events
        last_ms, width_ms = window(self.recipe.day, now_ms, SPAN_MAX_MS)
        self._seconds.cover(last_ms - width_ms - SPAN_MAX_MS, last_ms)
        # Counted from the first text: numbers below 2^30 are divided twice as fast.
        last = last_ms - self._seconds.first_ms
        head, prefix, seconds, fraction = self._head, self.recipe.fleet.prefix, self._seconds.texts, MILLISECONDS
        sims = [f"{prefix}{sim:09d}" for sim in draws.sims]
        ends = [last - word % width_ms for word in draws.times]
        values = [
            (
                f'{head}{number}","iccid":"{sim + session + sim if session else sim}",{text},'
                f'"start_time":"{seconds[(end - span) // 1000]}{fraction[(end - span) % 1000]}",'
                f'"end_time":"{seconds[end // 1000]}{fraction[end % 1000]}"}}'
            ).encode()
            for number, sim, (text, session, span, *_), end in zip(numbers, sims, draws.bodies, ends, strict=True)
        ]
        services = [body.service for body in draws.bodies]
        sorts = Counter({service: services.count(service) for service in SERVICES})
        page = Page([sim.encode() for sim in sims], values, sorts)
        self._replace(page, draws)
        return page

    def _replace(self, page: Page, draws: Draws) -> None:
        """Put repeats, damage and strangers in the place of some events, and keep some for later repeats."""
        repeats, damaged, unknown, kept = self._below
        for place, word in [(place, word) for place, word in enumerate(draws.odd) if word < kept]:
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
                page.sorts[draws.bodies[place].service] -= 1
                page.sorts[sort] += 1

    def _keep(self, key: bytes, value: bytes) -> None:
        if len(self._kept) < KEPT:
            self._kept.append((key, value))
        else:
            self._kept[self._odd.randrange(KEPT)] = key, value


def _random(recipe: Recipe, use: str) -> Random:
    # Hashed from text, since a sum of small seeds would give neighbours much in common.
    return Random(f"{recipe.seed}-{use}")  # noqa: S311 - a sample, not a secret
