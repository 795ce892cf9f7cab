"""SIMs: added, moved, held and looked at. What a key's first request resolved ("now", which wallet) stays resolved."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from rater.errors import PlanError, UnknownPlanError, WalletError
from rater.subscriber import Assignment, Subscriber
from schemas.checks import unix_ms
from schemas.commands import WalletCommand
from streams.http.endpoint import Call, Endpoint, NoForm
from streams.http.forms import AssignmentOut, Change, Move, NewHold, NewSim, Sim, instant
from streams.http.problems import Problem, of_wallet
from streams.http.wallets import SOURCE, change, find, hold_named

_encode = msgspec.json.Encoder().encode
_subscriber = msgspec.json.Decoder(Subscriber).decode
_assignment = msgspec.json.Decoder(Assignment).decode


async def add(call: Call[NewSim]) -> Sim:
    """Make a SIM known; a repeat finds it there as this very key made it."""
    form, parts = call.form, call.desk.engine.parts
    wallet = await find(call, form.wallet, "wallet")
    account = form.account or await call.desk.reach.account_of(call.tenant, form.wallet)
    if form.account:
        await call.check_account(account, f"account {account}", "account")
    _check_plan(call, form.plan, wallet.currency)
    zone = await _zone(call, account)
    assignment = Assignment(_from_ms(form.from_time, 0), form.wallet, account, form.plan, wallet.currency, zone)
    wanted = Subscriber(call.tenant, form.sim, 1, (assignment,), form.iccid, form.imsi, form.msisdn)
    known = await parts.directory.get(call.tenant, form.sim)
    plan, is_new = await call.desk.claims.claim(call.tenant, call.idempotency_key, call.subject, form, _encode(wanted))
    wanted = _subscriber(plan)
    conflict = Problem("conflict", f"{form.sim} is known; move it to give it another wallet or plan", "sim")
    if known is not None and is_new:
        await call.desk.claims.release(call.tenant, call.idempotency_key)
        raise conflict
    try:
        await parts.directory.add([wanted], now_ms=parts.clock_ms())
    except WalletError as error:
        raise of_wallet(error) from error
    found = await find_sim(call, form.sim)
    if not _is_same(found, wanted):  # somebody else was quicker; who is known stays as it is
        raise conflict
    await _begin(call, found)
    return await _shown(call, found, repeated=known is not None)


async def show(call: Call[NoForm]) -> Sim:
    """A SIM as it stands."""
    return await _shown(call, await find_sim(call, call.path["sim"]))


async def move(call: Call[Move]) -> Sim:
    """Give a SIM another wallet, plan or account. Assignments are only ever added, so a repeat finds its own."""
    form, parts = call.form, call.desk.engine.parts
    found = await find_sim(call, call.path["sim"])
    last = found.assignments[-1]
    wallet = await find(call, form.wallet or last.wallet, "wallet")
    present = await call.account_of(last)
    account, plan = form.account or present, form.plan or last.plan
    if account != present:
        await call.check_account(account, f"account {account}", "account")
    _check_plan(call, plan, wallet.currency)
    zone = last.zone if account == present else await _zone(call, account)
    from_ms = _from_ms(form.from_time, parts.clock_ms())
    wanted = Assignment(from_ms, wallet.wallet, account, plan, wallet.currency, zone)
    claimed, _ = await call.desk.claims.claim(call.tenant, call.idempotency_key, call.subject, form, _encode(wanted))
    wanted = _assignment(claimed)
    repeated = wanted in found.assignments
    try:
        if repeated:  # a crash may have come before the new wallet's shard was told
            moved = await parts.directory.repair(found, now_ms=parts.clock_ms())
        else:
            await call.desk.engine.desks.subscriptions.check_move(found, wanted)
            moved = await parts.directory.move(call.tenant, found.id, wanted, now_ms=parts.clock_ms())
    except WalletError as error:
        raise of_wallet(error) from error
    await _begin(call, moved)
    return await _shown(call, moved, repeated=repeated)


async def _begin(call: Call[Any], sim: Subscriber) -> None:
    """Let the assigned plan begin, now or when it is time."""
    engine = call.desk.engine
    await engine.desks.subscriptions.begin_assigned(sim, engine.parts.timers, now_ms=call.desk.now_ms)
    engine.publisher.wake()


async def put_hold(call: Call[NewHold]) -> Change:
    """Hold a SIM."""
    return await _change_holds(call, "hold", call.form.hold, call.form.note)


async def release(call: Call[NoForm]) -> Change:
    """Take a hold off a SIM."""
    return await _change_holds(call, "release", hold_named(call))


async def _change_holds(call: Call[Any], kind: str, hold: str, note: str = "") -> Change:
    sim = await find_sim(call, call.path["sim"])
    present = sim.assignments[-1].wallet.encode()
    claimed, _ = await call.desk.claims.claim(call.tenant, call.idempotency_key, call.subject, call.form, present)
    content = {
        "tenant": call.tenant, "source": SOURCE, "id": call.idempotency_key, "wallet": claimed.decode(), "kind": kind,
        "hold": hold, "subscriber": sim.id, "note": note,
    }  # fmt: skip
    return await change(call, msgspec.convert(content, WalletCommand))


async def find_sim(call: Call[Any], sim: str) -> Subscriber:
    """The SIM, if the key reaches it; another tenant's, another account's and none at all are the same answer."""
    found = await call.desk.engine.parts.directory.get(call.tenant, sim)
    # The directory's keys are made by joining names; one that is made to look like another tenant's finds nothing.
    if found is None or (found.tenant, found.id) != (call.tenant, sim):
        raise Problem("not-found", f"{call.tenant} has no SIM {sim}")
    await call.check_sim(found.assignments[-1], f"SIM {sim}")
    return found


async def _zone(call: Call[Any], account: str) -> str:
    """The clock of an account's periods; empty where none of that name was made, for the plan's."""
    found = await call.desk.engine.parts.accounts.get(call.tenant, account)
    return found.zone if found else ""


async def _shown(call: Call[Any], found: Subscriber, *, repeated: bool = False) -> Sim:
    member = await call.desk.engine.parts.store.member(found.tenant, found.assignments[-1].wallet, found.id)
    holds = member.holds if member else ()
    assignments = [AssignmentOut(instant(a.from_ms), a.wallet, a.account, a.plan) for a in found.assignments]
    status = "held" if holds else "active"
    identifiers = found.iccid, found.imsi, found.msisdn
    return Sim(found.tenant, found.id, *identifiers, status, holds, assignments, repeated)  # type: ignore[arg-type]


def _is_same(found: Subscriber, wanted: Subscriber) -> bool:
    """Whether the SIM was made so, whatever moves came after."""
    made = msgspec.structs.replace(found, version=1, assignments=found.assignments[:1], moving=None)
    return made == wanted


def _from_ms(time: datetime | None, otherwise_ms: int) -> int:
    return otherwise_ms if time is None else unix_ms(time)


def _check_plan(call: Call[Any], plan: str, currency: str) -> None:
    try:
        call.desk.engine.catalogue.check_assignable(plan, currency, call.desk.now_ms)
    except UnknownPlanError as error:
        raise Problem("not-found", f"{error}; see /v1/plans", error.field) from error
    except PlanError as error:
        raise Problem("conflict", str(error), error.field) from error


_SIM = "/v1/sims/{sim}"
ENDPOINTS = (
    Endpoint(
        method="POST", path="/v1/sims", handler=add, scope="manage", keyed=True, status=201,
        summary="Make a SIM known, with the wallet that pays for it", form=NewSim, answer=Sim, problems=(404,),
    ),
    Endpoint(
        method="GET", path=_SIM, handler=show, scope="read", summary="A SIM as it stands", answer=Sim, problems=(404,),
    ),
    Endpoint(
        method="POST", path=f"{_SIM}/moves", handler=move, scope="manage", keyed=True, status=201,
        summary="Give a SIM another wallet, plan or account", form=Move, answer=Sim, problems=(404,),
    ),
    Endpoint(
        method="POST", path=f"{_SIM}/holds", handler=put_hold, scope="manage", keyed=True, status=201,
        roles=(), summary="Suspend one SIM", form=NewHold, answer=Change, problems=(404,),
    ),
    Endpoint(
        method="DELETE", path=f"{_SIM}/holds/{{hold}}", handler=release, scope="manage", keyed=True,
        roles=(), summary="Take a hold off one SIM", answer=Change, problems=(404,),
    ),
)  # fmt: skip
