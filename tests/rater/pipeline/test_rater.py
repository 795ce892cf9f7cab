"""An event becomes a wallet entry; whatever a SIM does, the others go on."""

from __future__ import annotations

from rater.money import parse_nanos
from rater.wallet.member import COUNTERS_MAX
from schemas.fates import Fate, Reason
from tests.rater.pipeline.conftest import Bench, usage


async def test_a_sim_on_more_networks_than_can_be_counted_is_refused_there_and_stops_nobody(bench: Bench) -> None:
    """Steps carry over by network, so each is a counter."""
    await bench.wallet("w", "1000.00", "sim-1", "sim-2")
    networks = [f"{number:03}" for number in range(1000)]
    networks += [f"{number:02}" for number in range(COUNTERS_MAX + 1 - len(networks))]
    events = [usage(mnc, volume_bytes=30_000, mcc="262", mnc=mnc) for mnc in networks]
    events += [usage("known", volume_bytes=70_000, mcc="262", mnc="007"), usage("other", "sim-2", mcc="262", mnc="00")]
    outputs = await (await bench.pipeline()).process(bench.batch(*events))
    fates = [(verdict.fate, verdict.reason) for verdict in outputs.verdicts]
    refused = fates.pop(COUNTERS_MAX)
    assert refused == (Fate.REFUSED, Reason.AMOUNT_LIMIT)
    assert set(fates) == {(Fate.RATED, Reason.NONE)}
    paid = parse_nanos("1000.00") - await bench.balance_nanos("w")
    assert paid == COUNTERS_MAX * parse_nanos("0.10") + parse_nanos("1.00"), "the known network's step was paid"
