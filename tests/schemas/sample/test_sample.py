"""The sample: the same from the same seed, and as much repeated and damaged as it says."""

from collections import Counter
from pathlib import Path

import pytest

from rater.geo.codes import COUNTRIES
from rater.geo.networks import country_of_mcc
from rater.wallet.load import read_wallets
from schemas.decode import UsageError, decoder
from schemas.fates import Fate, Reason
from schemas.sample import CLOCK, RECORDS, TENANT, damaged, generate
from schemas.sample.fleet import luhn_digit
from schemas.sample.networks import ALL, Network
from schemas.usage import Usage
from streams.usage_file import UsageFile

EVENTS = 20_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    generate(folder, seed=1, events=EVENTS)
    return folder


@pytest.fixture(scope="module")
def results(folder: Path) -> list[Usage | UsageError]:
    decode = decoder("auto", TENANT)
    return [result for name in RECORDS for raw in UsageFile(folder / name).records() for result in decode(raw)]


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(folder: Path, tmp_path: Path) -> None:
    generate(tmp_path / "again", seed=1, events=EVENTS)
    generate(tmp_path / "other", seed=2, events=EVENTS)
    for name in (*RECORDS, "wallets.yaml"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()
        assert (tmp_path / "other" / name).read_bytes() != (folder / name).read_bytes()


def test_there_are_as_many_records_as_asked_for(folder: Path) -> None:
    assert sum(len(list(UsageFile(folder / name).records())) for name in RECORDS) == EVENTS


def test_two_percent_are_repeats(folder: Path) -> None:
    repeats = sum(count - 1 for name in RECORDS for count in Counter(UsageFile(folder / name).records()).values())
    # A few more: the same record may be damaged in the same way twice.
    assert EVENTS * 20 // 1000 <= repeats <= EVENTS * 21 // 1000


def test_half_a_percent_is_damaged_in_every_way(results: list[Usage | UsageError]) -> None:
    sims = Counter(result.iccid for result in results if isinstance(result, Usage))
    errors = [result for result in results if isinstance(result, UsageError)]
    future = [result for result in results if isinstance(result, Usage) and result.start_ms > CLOCK.timestamp() * 1000]
    contents: dict[str, set[int]] = {}
    for usage in results:
        if isinstance(usage, Usage):
            contents.setdefault(usage.id, set()).add(usage.quantity)
    conflicts = [id_ for id_, quantities in contents.items() if len(quantities) > 1]
    unknown = [iccid for iccid, count in sims.items() if count == 1 and not _is_iccid(iccid)]
    assert {error.reason for error in errors} == {Reason.MALFORMED, Reason.INVALID}
    assert {error.field for error in errors} >= {
        "operator.country.mcc",
        "sim.iccid",
        "volume.total",
        "volume",
        "row",
        "",
    }
    assert min(len(future), len(conflicts), len(unknown)) > 0
    assert EVENTS * 4 // 1000 <= len(errors) + len(future) + len(conflicts) + len(unknown) <= EVENTS * 5 // 1000


def _is_iccid(iccid: str | None) -> bool:
    return iccid is not None and luhn_digit(iccid[:-1]) == iccid[-1]


def test_it_is_a_month_of_both_platforms_both_services_and_both_directions(results: list[Usage | UsageError]) -> None:
    usages = [result for result in results if isinstance(result, Usage)]
    kinds = {(usage.source, usage.service, usage.direction) for usage in usages}
    assert kinds == {
        (source, service, direction) for source in ("emnify", "1nce")
        for service, direction in (("data", "outgoing"), ("message", "outgoing"), ("message", "incoming"))
    }  # fmt: skip
    assert len({(usage.mcc, usage.mnc) for usage in usages}) > 40
    october = range(1_790_812_800_000, 1_793_491_200_001)
    assert sum(usage.start_ms in october and usage.end_ms in october for usage in usages) > len(usages) * 99 // 100


def test_the_wallets_pay_for_two_thousand_sims_in_two_currencies(
    folder: Path, results: list[Usage | UsageError]
) -> None:
    wallets = read_wallets(folder / "wallets.yaml")
    sims = [sim.iccid for wallet in wallets for sim in wallet.sims]
    assert (len(wallets), len(sims), len(set(sims))) == (340, 2000, 2000)
    assert {wallet.currency for wallet in wallets} == {"EUR", "USD"}
    assert all(_is_iccid(iccid) for iccid in sims)
    used = Counter(result.iccid for result in results if isinstance(result, Usage))
    assert sum(used[iccid] for iccid in sims) > EVENTS * 99 // 100


@pytest.mark.parametrize("network", ALL, ids=lambda network: f"{network.mcc}-{network.mnc}")
def test_the_networks_are_in_the_countries_they_say(network: Network) -> None:
    country = country_of_mcc(network.mcc, network.mnc)
    assert country is not None
    assert COUNTRIES[country].replace("Türkiye", "Turkey") == network.country.replace("_", " ")


def test_every_damaged_record_meets_the_reason_it_promises() -> None:
    decode = decoder("auto", TENANT)
    for record in damaged(seed=1, count=1000):
        assert b"\n" not in record.raw
        (result,) = decode(record.raw)
        if isinstance(result, UsageError):
            assert (Fate.DEAD_LETTERED, result.reason, result.field) == (record.fate, record.reason, record.field), (
                record
            )
        else:
            assert record.reason in (Reason.FUTURE, Reason.TOO_OLD, Reason.UNKNOWN_SUBSCRIBER), record


def test_the_damaged_file_has_the_worst_of_everything() -> None:
    records = damaged(seed=1, count=1000)
    assert len(records) == 1000
    assert max(len(record.raw) for record in records) > 10_000_000
    assert {record.reason for record in records} == {
        Reason.MALFORMED, Reason.INVALID, Reason.TOO_LARGE, Reason.TOO_OLD, Reason.FUTURE, Reason.UNKNOWN_SUBSCRIBER,
    }  # fmt: skip
    assert any(b"\0" in record.raw for record in records)
