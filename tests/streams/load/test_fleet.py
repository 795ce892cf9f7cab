"""The wallets and SIMs that traffic is of."""

from __future__ import annotations

import pytest

from streams.load.fleet import Fleet, Terms


def test_each_wallet_has_its_sims() -> None:
    forms = list(Fleet("acme", "trial", wallets=3, sims_per_wallet=2).forms(Terms()))
    assert [form.wallet for form in forms] == ["trial0000000", "trial0000001", "trial0000002"]
    assert len({sim.iccid for form in forms for sim in form.sims}) == 6


@pytest.mark.parametrize(("ppm", "dry"), [(0, []), (50_000, [19, 39]), (1_000_000, list(range(40)))])
def test_dry_wallets_are_evenly_spread(ppm: int, dry: list[int]) -> None:
    terms = Terms(balance="5.00", dry_balance="0.01")
    forms = list(Fleet(wallets=40, dry_ppm=ppm).forms(terms))
    assert [number for number, form in enumerate(forms) if form.balance == "0.01"] == dry


def test_fleets_of_different_names_share_no_sim() -> None:
    assert Fleet(name="writer").iccid(5) != Fleet(name="no-writer").iccid(5)
