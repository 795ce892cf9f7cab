"""Wallets: opened, topped up, held and looked at. A change is a wallet command; its id is the Idempotency-Key."""

from __future__ import annotations

from typing import Any

import msgspec

from rater.errors import WalletError
from rater.geo.codes import is_currency
from rater.money import parse_nanos
from rater.wallet.command import carry_out
from rater.wallet.entry import Decision
from rater.wallet.states import WalletState
from schemas.commands import WalletCommand
from streams.clickhouse.queries import WalletPlace, change_nanos, wallet_page
from streams.http.endpoint import Call, Endpoint, NoForm
from streams.http.forms import (
    Change,
    Floor,
    History,
    HistoryEntry,
    NewHold,
    NewWallet,
    SimNames,
    TopUp,
    Wallet,
    instant,
    money,
)
from streams.http.paging import PageQuery, cursor_of, place_of
from streams.http.problems import Problem, of_wallet

#: `source` of commands that come in here.
SOURCE = "http"


async def create(call: Call[NewWallet]) -> Change:
    """Open a wallet."""
    form = call.form
    if not await call.desk.reach.covers(call.key, call.tenant, form.wallet):
        raise Problem("not-allowed", f"this key reaches the account {call.key.account} only", "wallet")
    await call.check_wallet(form.wallet)
    if not is_currency(form.currency):
        raise Problem("invalid", f'"{form.currency}" is no ISO 4217 code such as EUR', "currency")
    command = _command(call, form.wallet, "create", currency=form.currency, amount=form.balance, floor=form.floor)
    return await change(call, command)


async def show(call: Call[NoForm]) -> Wallet:
    """A wallet as it stands."""
    return shown(await find(call, call.path["wallet"]))


def shown(state: WalletState) -> Wallet:
    """A wallet as the API writes it."""
    return Wallet(
        tenant=state.tenant,
        wallet=state.wallet,
        currency=state.currency,
        balance=money(state.balance_nanos),
        floor=money(state.floor_nanos),
        available=money(state.balance_nanos - state.floor_nanos),
        status="held" if state.holds else "active",
        holds=state.holds,
    )


async def top_up(call: Call[TopUp]) -> Change:
    """Add money."""
    wallet = (await find(call, call.path["wallet"])).wallet
    return await change(call, _command(call, wallet, "top-up", amount=call.form.amount, note=call.form.note))


async def move_floor(call: Call[Floor]) -> Change:
    """Move the floor."""
    wallet = (await find(call, call.path["wallet"])).wallet
    return await change(call, _command(call, wallet, "floor", amount=call.form.floor))


async def put_hold(call: Call[NewHold]) -> Change:
    """Hold a wallet."""
    wallet = (await find(call, call.path["wallet"])).wallet
    return await change(call, _command(call, wallet, "hold", hold=call.form.hold, note=call.form.note))


async def release(call: Call[NoForm]) -> Change:
    """Take a hold off a wallet."""
    wallet = (await find(call, call.path["wallet"])).wallet
    return await change(call, _command(call, wallet, "release", hold=hold_named(call)))


async def sims(call: Call[NoForm]) -> SimNames:
    """The SIMs a wallet pays for."""
    state = await find(call, call.path["wallet"])
    after, limit = place_of(call.query.cursor, str) or "", call.query.limit
    names: list[str] = []
    async for name in call.desk.engine.parts.store.members(call.tenant, state.wallet, limit + 1, after):
        if len(names) == limit:
            return SimNames(names, cursor_of(names[-1]))
        names.append(name)
    return SimNames(names, "")


async def history(call: Call[NoForm]) -> History:
    """A wallet's changes, newest first."""
    state = await find(call, call.path["wallet"])
    before, limit = place_of(call.query.cursor, WalletPlace), call.query.limit
    rows = await wallet_page(call.desk.engine.clickhouse, call.tenant, state.wallet, limit + 1, before)
    entries = [
        HistoryEntry(
            number=f"{row['epoch']}.{row['n']}",
            kind=row["kind"],
            cause=row["cause"],
            note=row["note"],
            amount=money(change_nanos(row)),
            balance_after=money(int(row["balance_after_nanos"])),
            at=instant(int(row["occurred_ms"])),
        )
        for row in rows[:limit]
    ]
    last = rows[limit - 1] if len(rows) > limit else None
    return History(entries, cursor_of(WalletPlace(int(last["epoch"]), int(last["n"]), last["cause"])) if last else "")


async def find(call: Call[Any], wallet: str, field: str = "") -> WalletState:
    """The wallet, if the key reaches it; another tenant's, another account's and none at all are the same answer."""
    await call.check_wallet(wallet, field)
    # A slash is in no wallet's name, and would make the key of another tenant's.
    state = None if "/" in wallet else await call.desk.engine.parts.store.wallet(call.tenant, wallet)
    if state is None:
        raise Problem("not-found", f"{call.tenant} has no wallet {wallet}", field)
    return state


def hold_named(call: Call[NoForm]) -> str:
    """The hold in the path."""
    hold = call.path["hold"]
    if hold not in ("expired", "payment", "operator", "fraud"):
        raise Problem("not-found", f"there is no hold {hold} that can be released")
    return hold


def _command(call: Call[Any], wallet: str, kind: str, **fields: str) -> WalletCommand:
    content = {"tenant": call.tenant, "source": SOURCE, "id": call.idempotency_key, "wallet": wallet, "kind": kind}
    return msgspec.convert(content | fields, WalletCommand)


async def change(call: Call[Any], command: WalletCommand) -> Change:
    """Carry out a command, once for its Idempotency-Key."""
    parts = call.desk.engine.parts
    await call.desk.claims.claim(call.tenant, call.idempotency_key, call.subject, call.form)
    try:
        decision = await carry_out(parts.store, command, now_ms=parts.clock_ms())
    except WalletError as error:
        raise of_wallet(error) from error
    call.desk.engine.publisher.wake()
    state = await parts.store.wallet(command.tenant, command.wallet)
    assert state is not None, "a wallet that was changed exists"
    return _changed(command, decision, state.currency)


def _changed(command: WalletCommand, decision: Decision, currency: str) -> Change:
    before = decision.balance_before_nanos
    moved = parse_nanos(command.amount) if command.kind in ("create", "top-up") else 0
    return Change(
        id=command.id,
        kind=command.kind,  # type: ignore[arg-type]  # a fee has no endpoint
        wallet=command.wallet,
        currency=currency,
        balance_before=money(before),
        balance_after=money(before + moved),
        at=instant(decision.decided_ms),
        sim=command.subscriber,
        hold=command.hold,
        floor=_floor(command),
        repeated=decision.known,
    )


def _floor(command: WalletCommand) -> str:
    text = {"floor": command.amount, "create": command.floor}.get(command.kind)
    return money(parse_nanos(text)) if text is not None else ""


_WALLET = "/v1/wallets/{wallet}"
ENDPOINTS = (
    Endpoint(
        method="POST", path="/v1/wallets", handler=create, scope="manage", keyed=True, status=201,
        roles=(), summary="Open a wallet with money in it", form=NewWallet, answer=Change,
    ),
    Endpoint(
        method="GET", path=_WALLET, handler=show, scope="read", summary="A wallet as it stands", answer=Wallet,
        problems=(404,),
    ),
    Endpoint(
        method="GET", path=f"{_WALLET}/sims", handler=sims, scope="read", summary="The SIMs a wallet pays for",
        query=PageQuery, answer=SimNames, problems=(404,),
    ),
    Endpoint(
        method="GET", path=f"{_WALLET}/history", handler=history, scope="read", query=PageQuery, answer=History,
        summary="A wallet's changes, newest first; a moment behind, from the ledger", problems=(404,),
    ),
    Endpoint(
        method="POST", path=f"{_WALLET}/top-ups", handler=top_up, scope="manage", keyed=True, status=201,
        roles=(), summary="Add money; SIMs that were held for the balance resume", form=TopUp, answer=Change,
        problems=(404,),
    ),
    Endpoint(
        method="PUT", path=f"{_WALLET}/floor", handler=move_floor, scope="manage", keyed=True,
        roles=(), summary="Say how far the balance may go down", form=Floor, answer=Change, problems=(404,),
    ),
    Endpoint(
        method="POST", path=f"{_WALLET}/holds", handler=put_hold, scope="manage", keyed=True, status=201,
        roles=(), summary="Suspend a wallet and its SIMs; a refill does not lift it", form=NewHold, answer=Change,
        problems=(404,),
    ),
    Endpoint(
        method="DELETE", path=f"{_WALLET}/holds/{{hold}}", handler=release, scope="manage", keyed=True,
        roles=(), summary="Take a hold off a wallet", answer=Change, problems=(404,),
    ),
)  # fmt: skip
