"""Wallets and SIMs from a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from rater.directory import Directory
from rater.errors import WalletError
from rater.subscriber import Assignment
from rater.wallet.load import load_wallets, read_wallets
from schemas.usage import Usage
from tests.rater.wallet.building import NOW_MS, Wallets, amount

FILE = """
- {tenant: t, wallet: w, account: acme, currency: EUR, balance: "50.00", floor: "-5", plan: payg, zone: Europe/Berlin,
   sims: [{iccid: "89001", imsi: "26201"}, {subscriber: tracker-7, msisdn: "+4915112345678"}]}
- {tenant: t, wallet: idle, currency: USD, plan: payg}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "wallets.yaml"
    path.write_text(FILE)
    return path


async def test_wallets_and_sims_stand_as_the_file_says(wallets: Wallets, file: Path) -> None:
    directory = Directory(wallets.redis, wallets.store)
    await load_wallets(read_wallets(file), wallets.store, directory, now_ms=NOW_MS)
    state = await wallets.state()
    assert (state.balance_nanos, state.floor_nanos) == (amount("50"), amount("-5"))
    assert (await wallets.state("idle")).currency == "USD"
    by_iccid, by_msisdn = await directory.resolve(
        [Usage("t", "f", "1", "data", 0, 0, imsi="26201"), Usage("t", "f", "2", "data", 0, 0, msisdn="+4915112345678")]
    )
    assert by_iccid is not None
    assert by_msisdn is not None
    assert (by_iccid.id, by_msisdn.id) == ("89001", "tracker-7")
    assert by_iccid.assignments == (Assignment(0, "w", "acme", "payg", "EUR", "Europe/Berlin"),)
    assert [name async for name in wallets.store.members("t", "w")] == ["89001", "tracker-7"]


async def test_loading_again_changes_nothing_not_even_a_sim_that_moved(wallets: Wallets, file: Path) -> None:
    directory = Directory(wallets.redis, wallets.store)
    forms = read_wallets(file)
    await load_wallets(forms, wallets.store, directory, now_ms=NOW_MS)
    await directory.move("t", "tracker-7", Assignment(5, "idle", "idle", "payg", "USD"), now_ms=NOW_MS)
    await wallets.news()
    await load_wallets(forms, wallets.store, directory, now_ms=NOW_MS)
    assert await wallets.news() == []
    found = await directory.get("t", "tracker-7")
    assert found is not None
    assert found.assignments[-1].wallet == "idle"


async def test_two_thousand_sims_take_a_handful_of_calls(wallets: Wallets, tmp_path: Path) -> None:
    path = tmp_path / "many.yaml"
    sims = ", ".join(f'{{iccid: "89{number:05}"}}' for number in range(2000))
    path.write_text(f"- {{tenant: t, wallet: w, currency: EUR, plan: payg, sims: [{sims}]}}")
    directory = Directory(wallets.redis, wallets.store)
    await wallets.redis.config_resetstat()
    await load_wallets(read_wallets(path), wallets.store, directory, now_ms=NOW_MS)
    assert (await wallets.redis.info("commandstats"))["cmdstat_fcall"]["calls"] == 2
    assert len([name async for name in wallets.store.members("t", "w", page=300)]) == 2000


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- {tenant: t, wallet: w, currency: EUR}", "plan"),
        ("- {tenant: t, wallet: w, currency: EUR, plan: p, balance: 5.0}", "balance"),
        ("- {tenant: t, wallet: w, currency: EUR, plan: p, ballance: '5'}", "ballance"),
        ("- {", "many.yaml"),
    ],
)
def test_a_wrong_file_is_refused_by_field(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "many.yaml"
    path.write_text(text)
    with pytest.raises(WalletError, match=says):
        read_wallets(path)
