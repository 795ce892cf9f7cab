"""Random histories through the API conserve money, to the nano, however often each call is repeated."""

from __future__ import annotations

import uuid
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rater.money import format_nanos, parse_nanos
from tests.streams.http.served import Client, Served, event

WALLETS = ("a", "b")
SIMS = ("sim-0", "sim-1", "sim-2")
amounts = st.integers(0, 3_000_000_000).map(format_nanos)
steps = st.one_of(
    st.tuples(st.just("usage"), st.lists(st.tuples(st.sampled_from(SIMS), st.integers(0, 9)), min_size=1, max_size=5)),
    st.tuples(st.just("top-up"), st.sampled_from(WALLETS), amounts),
    st.tuples(st.just("floor"), st.sampled_from(WALLETS), st.sampled_from(["0", "-0.35", "-1"])),
    st.tuples(st.just("hold"), st.sampled_from(WALLETS)),
    st.tuples(st.just("release"), st.sampled_from(WALLETS)),
    st.tuples(st.just("move"), st.sampled_from(SIMS), st.sampled_from(WALLETS)),
)


def take(api: Client, number: int, step: tuple[Any, ...]) -> Any:
    """One step, under a key of its number."""
    kind, *rest = step
    key = {"Idempotency_Key": f"step-{number}"}
    if kind == "usage":
        return api.post("/v1/usage", [event(f"{sim}-{name}", sim=sim) for sim, name in rest[0]])
    if kind == "top-up":
        return api.post(f"/v1/wallets/{rest[0]}/top-ups", {"amount": rest[1]}, **key)
    if kind == "floor":
        return api.call("PUT", f"/v1/wallets/{rest[0]}/floor", {"floor": rest[1]}, **key)
    if kind == "hold":
        return api.post(f"/v1/wallets/{rest[0]}/holds", {"hold": "operator"}, **key)
    if kind == "release":
        return api.call("DELETE", f"/v1/wallets/{rest[0]}/holds/operator", **key)
    return api.post(f"/v1/sims/{rest[0]}/moves", {"wallet": rest[1]}, **key)


@settings(max_examples=60, deadline=None)
@given(history=st.lists(st.tuples(steps, st.integers(1, 2)), max_size=25))
def test_money_is_conserved(served: Served, history: list[tuple[tuple[Any, ...], int]]) -> None:
    """balance = opened with + topped up - charged, by what the API itself answered."""
    api = served.key(f"t-{uuid.uuid4().hex[:8]}")
    for wallet in WALLETS:
        api.wallet(wallet, "1.00")
    for number, sim in enumerate(SIMS):
        form = {"sim": sim, "wallet": WALLETS[number % 2], "plan": "payg"}
        api.post("/v1/sims", form, f"add-{sim}").ok(201)
    charged: dict[tuple[str, str], dict[str, Any]] = {}
    topped = 0
    for number, (step, times) in enumerate(history):
        for _ in range(times):
            answer = take(api, number, step)
            assert answer.status in (200, 201), answer.raw
            if step[0] == "usage":
                for told in answer.body["events"]:
                    first = charged.setdefault((told["source"], told["id"]), told)
                    assert told | {"repeated": True} == first | {"repeated": True}, "the same id, the same verdict"
        if step[0] == "top-up":
            topped += parse_nanos(step[2])
    spent = sum(parse_nanos(told["charged"]) for told in charged.values())
    balances = sum(parse_nanos(api.balance(wallet)) for wallet in WALLETS)
    assert balances == 2 * parse_nanos("1.00") + topped - spent
