"""What the generator makes: the same from the same seed, as asked for, and known to the engine or not as it says."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date
from typing import Any

import msgspec
import pytest

from rater.geo import country_of_mcc, country_of_number
from schemas.adapters.usage_json import decode
from schemas.errors import UsageError
from schemas.usage import Usage
from streams.load import Fleet, Page, Recipe, Traffic
from streams.load.fleet import NOBODY

NOW_MS = 1_793_491_200_123
DAY = date(2026, 10, 20)
DAY_MS = 1_792_454_400_000
EVENTS = 30_000
FLEET = Fleet("acme", "trial", wallets=500, sims_per_wallet=3)
GOOD = Recipe(FLEET, seed=7, repeats_ppm=0, damaged_ppm=0, unknown_ppm=0, day=DAY)
MIXED = replace(GOOD, repeats_ppm=20_000, damaged_ppm=10_000, unknown_ppm=10_000)
SIMS = {FLEET.iccid(sim) for sim in range(1500)}


@pytest.fixture(scope="module")
def good() -> list[Usage]:
    """Traffic without repeats, damage and strangers, through the engine's own decoder."""
    return [decode(value) for value in Traffic(GOOD).page(EVENTS, NOW_MS).values]


def share(usages: list[Usage], **fields: Any) -> float:
    alike = sum(all(getattr(usage, name) == value for name, value in fields.items()) for usage in usages)
    return alike / len(usages)


def test_the_same_seed_makes_the_same_events() -> None:
    assert Traffic(MIXED).page(5000, NOW_MS) == Traffic(MIXED).page(5000, NOW_MS)


def test_another_seed_makes_others() -> None:
    pages = [Traffic(replace(GOOD, seed=seed)).page(100, NOW_MS).keys for seed in (7, 8)]
    assert pages[0] != pages[1]


def test_events_do_not_depend_on_how_they_are_paged() -> None:
    """So a rate, which sets the pages, does not change the events."""
    traffic, values, sorts = Traffic(MIXED), [], Counter[str]()
    for events in (1, 999, 3000, 1000):
        page = traffic.page(events, NOW_MS)
        values += page.values
        sorts.update(page.sorts)
    whole = Traffic(MIXED).page(5000, NOW_MS)
    assert values == whole.values
    assert sorts == whole.sorts


def test_without_a_day_only_the_times_and_the_run_differ() -> None:
    def bare(run: str, now_ms: int) -> list[Any]:
        page = Traffic(replace(GOOD, day=None, run=run)).page(500, now_ms)
        return [msgspec.structs.replace(decode(value), id="", start_ms=0, end_ms=0) for value in page.values]

    assert bare("one", NOW_MS) == bare("two", NOW_MS + 86_400_000)


def test_every_undamaged_event_decodes_and_is_of_a_sim_of_the_fleet(good: list[Usage]) -> None:
    assert {usage.tenant for usage in good} == {"acme"}
    assert {usage.iccid for usage in good} <= SIMS
    assert len({usage.id for usage in good}) == EVENTS


def test_services_are_mixed_as_asked(good: list[Usage]) -> None:
    assert share(good, service="data") == pytest.approx(0.85, abs=0.01)
    assert share(good, service="message") == pytest.approx(0.09, abs=0.01)
    assert share(good, service="voice") == pytest.approx(0.06, abs=0.01)


def test_the_page_counts_what_it_holds() -> None:
    page = Traffic(GOOD).page(EVENTS, NOW_MS)
    found = Counter(decode(value).service for value in page.values)
    assert +page.sorts == found


def test_sims_are_in_the_countries_asked_for() -> None:
    recipe = replace(GOOD, skew=0, countries={"DE": 3, "US": 1}, mix={"data": 1})
    usages = [decode(value) for value in Traffic(recipe).page(EVENTS, NOW_MS).values]
    countries = Counter(country_of_mcc(usage.mcc or "", usage.mnc) for usage in usages)
    assert set(countries) == {"DE", "US"}
    assert countries["DE"] / EVENTS == pytest.approx(0.75, abs=0.03)
    assert len({(usage.mcc, usage.mnc) for usage in usages}) > 3


def test_many_numbers_in_many_countries_are_called(good: list[Usage]) -> None:
    called = {usage.called_number for usage in good if usage.service == "voice" and usage.called_number}
    assert len(called) > 500
    assert len({country_of_number(number) for number in called}) >= 8
    assert None not in {country_of_number(number) for number in called}


def test_messages_differ_in_kind_and_destination(good: list[Usage]) -> None:
    messages = [usage for usage in good if usage.service == "message"]
    assert {usage.kind for usage in messages} == {"sms", "whatsapp", "email"}
    assert len({usage.destination_country for usage in messages}) > 5
    assert {usage.direction for usage in messages} == {"incoming", "outgoing"}


def test_some_data_names_a_session_of_its_sim(good: list[Usage]) -> None:
    sessions = [usage for usage in good if usage.session_id]
    assert 0.2 < len(sessions) / EVENTS < 0.3
    assert all(usage.service == "data" and (usage.session_id or "").endswith(usage.iccid or "-") for usage in sessions)


def test_times_lie_within_the_day_to_the_millisecond(good: list[Usage]) -> None:
    assert all(DAY_MS <= usage.start_ms <= usage.end_ms < DAY_MS + 86_400_000 for usage in good)
    assert len({usage.end_ms % 1000 for usage in good}) == 1000
    assert all(usage.end_ms - usage.start_ms == usage.duration_ms for usage in good if usage.service == "voice")


def test_without_a_day_usage_has_just_ended() -> None:
    page = Traffic(replace(GOOD, day=None)).page(1000, NOW_MS)
    assert all(NOW_MS - 5000 < decode(value).end_ms <= NOW_MS for value in page.values)


def wallets_drawn(skew: float) -> list[int]:
    """Events by wallet."""
    recipe = replace(GOOD, fleet=replace(FLEET, sims_per_wallet=1), skew=skew)
    keys = Counter(Traffic(recipe).page(EVENTS, NOW_MS).keys)
    return [keys[FLEET.iccid(wallet).encode()] for wallet in range(FLEET.wallets)]


def test_a_few_wallets_use_most_as_zipf_says() -> None:
    drawn = wallets_drawn(1.05)
    total = sum(rank**-1.05 for rank in range(1, 501))
    for wallet in (0, 1, 9):
        expected = EVENTS * (wallet + 1) ** -1.05 / total
        assert drawn[wallet] == pytest.approx(expected, abs=5 * expected**0.5)


def test_without_skew_all_wallets_are_alike() -> None:
    drawn = wallets_drawn(0.0)
    assert min(drawn) > 20
    assert max(drawn) < 120  # 60 each


def test_all_sims_of_a_wallet_are_used(good: list[Usage]) -> None:
    assert {FLEET.iccid(sim) for sim in range(3)} <= {usage.iccid for usage in good}


@pytest.fixture(scope="module")
def mixed() -> Page:
    return Traffic(MIXED).page(EVENTS, NOW_MS)


def test_what_is_not_plain_is_as_frequent_as_asked(mixed: Page) -> None:
    assert mixed.sorts.total() == EVENTS == len(mixed.values)
    for sort, wanted in {"repeat": 600, "damaged": 300, "unknown": 300}.items():
        assert mixed.sorts[sort] == pytest.approx(wanted, abs=5 * wanted**0.5)


@pytest.mark.parametrize("damage_is_json", [False, True])
def test_damage_is_refused_and_all_else_is_what_it_is_said_to_be(damage_is_json: bool) -> None:
    page = Traffic(replace(MIXED, damage_is_json=damage_is_json)).page(EVENTS, NOW_MS)
    seen: set[str] = set()
    found = Counter[str]()
    for key, value in zip(page.keys, page.values, strict=True):
        if damage_is_json:
            msgspec.json.decode(value)
        try:
            usage = decode(value)
        except (UsageError, ValueError):
            found["damaged"] += 1
            continue
        assert (usage.iccid or "").encode() == key
        sort = "repeat" if usage.id in seen else "unknown" if usage.iccid not in SIMS else usage.service
        found[sort] += 1
        seen.add(usage.id)
    assert found == +page.sorts


def test_a_repeat_is_the_same_bytes_under_the_same_key(mixed: Page) -> None:
    again = Counter(zip(mixed.keys, mixed.values, strict=True))
    assert sum(copies - 1 for copies in again.values()) == mixed.sorts["repeat"]


def test_a_stranger_is_of_no_fleet(mixed: Page) -> None:
    assert sum(key.startswith(NOBODY.encode()) for key in mixed.keys) == mixed.sorts["unknown"]
