"""The inventory of phone numbers: the operator puts numbers in and takes them out, all others look for one to order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from rater.geo.codes import is_country
from rater.geo.numbers import country_of_number
from rater.numbers.book import NumberBook, able
from rater.numbers.model import CAPABILITIES, Capability, PhoneNumber
from streams.http.endpoint import Call, Endpoint, NoForm
from streams.http.forms import instant
from streams.http.forms_numbers import NewNumber, NumberOut, NumberPage, NumberQuery
from streams.http.paging import cursor_of, place_of
from streams.http.problems import Problem
from streams.http.sims import find_sim

#: Changes a number; False if somebody was quicker.
Act = Callable[[PhoneNumber | None], Awaitable[bool]]


async def add(call: Call[NewNumber]) -> NumberOut:
    """Put a number into the inventory, or back where it was withdrawn."""
    _check_operator(call)
    form = call.form
    wanted = PhoneNumber(call.tenant, form.number, _country(form), _sorted(form.capabilities), form.addon, version=0)
    _check_sold(call, form.addon)

    async def act(stands: PhoneNumber | None) -> bool:
        if stands is not None and not stands.withdrawn:
            raise Problem("conflict", f"{form.number} is in the inventory already", "number")
        version = stands.version if stands is not None else 0
        return await book_of(call).put(
            PhoneNumber(wanted.tenant, wanted.number, wanted.country, wanted.capabilities, wanted.addon, version)
        )

    return await _once(call, form.number, act)


async def withdraw(call: Call[NoForm]) -> NumberOut:
    """Take a number out of the inventory."""
    _check_operator(call)
    number = call.path["number"]
    await _find(call, number)

    async def act(stands: PhoneNumber | None) -> bool:
        if stands is None or stands.withdrawn:
            raise Problem("not-found", f"{call.tenant} has no number {number}")
        if stands.holder is not None:
            detail = f"{number} is taken by {stands.holder.sim}; release its add-on {stands.holder.order} first"
            raise Problem("conflict", detail, "number")
        return await book_of(call).withdraw(stands)

    return await _once(call, number, act)


async def find_all(call: Call[NoForm]) -> NumberPage:
    """Numbers by country, capabilities and state; who does not see the whole tenant sees what can be ordered."""
    query, now_ms = call.query, call.desk.now_ms
    after = place_of(query.cursor, str) or ""
    capabilities = frozenset(query.capabilities.split(",")) - {""}
    if query.state == "available":
        wanted = able(capabilities, None, now_ms)
    elif call.is_bound:
        raise Problem("not-allowed", "this key sees numbers that can be ordered", "state")
    else:

        def wanted(one: PhoneNumber) -> bool:
            return query.state in ("any", one.state(now_ms)) and not one.lacks(capabilities)

    only_free = query.state in ("available", "resting")
    found, following = await book_of(call).page(
        call.tenant, query.country, after, query.limit, wanted, only_free=only_free
    )
    return NumberPage([_shown(one, now_ms) for one in found], cursor_of(following) if following else "")


async def show(call: Call[NoForm]) -> NumberOut:
    """A number as it stands."""
    return _shown(await _find(call, call.path["number"]), call.desk.now_ms)


def book_of(call: Call[Any]) -> NumberBook:
    """The inventory."""
    return call.desk.engine.desks.numbers.book


def _check_operator(call: Call[Any]) -> None:
    if call.is_bound:
        raise Problem("not-allowed", "only the operator's own programs change the inventory", "Authorization")


async def _find(call: Call[Any], number: str) -> PhoneNumber:
    """A number that the key may see: what another account's SIM has does not exist for it."""
    found = await book_of(call).get(call.tenant, number)
    if found is not None and call.is_bound and found.holder is not None:
        await find_sim(call, found.holder.sim)
    if found is None or (call.is_bound and found.holder is None and found.state(call.desk.now_ms) != "available"):
        raise Problem("not-found", f"{call.tenant} has no number {number}")
    return found


async def _once(call: Call[Any], number: str, act: Act) -> NumberOut:
    """Change a number once for the Idempotency-Key, which stands for the version that it was to change."""
    stands = await book_of(call).get(call.tenant, number)
    version, claims = stands.version if stands is not None else 0, call.desk.claims
    claimed, is_new = await claims.claim(
        call.tenant, call.idempotency_key, call.subject, call.form, str(version).encode()
    )  # fmt: skip
    if version == int(claimed):
        try:
            is_done = await act(stands)
        except Problem:
            if is_new:
                await claims.release(call.tenant, call.idempotency_key)
            raise
        if not is_done:
            if is_new:
                await claims.release(call.tenant, call.idempotency_key)
            raise Problem("conflict", f"another request changes {number} at this moment; send this one again", "number")
    after = await book_of(call).get(call.tenant, number)
    assert after is not None, "a number is never removed"
    return _shown(after, call.desk.now_ms, repeated=not is_new)


def _country(form: NewNumber) -> str:
    country = form.country or country_of_number(form.number) or ""
    if not is_country(country):
        raise Problem("invalid", f'"{country}" is no ISO 3166-1 alpha-2 country; say where the number is', "country")
    return country


def _check_sold(call: Call[Any], name: str) -> None:
    catalogue, now_ms = call.desk.engine.catalogue, call.desk.now_ms
    plans = (catalogue.plan(plan, now_ms) for plan in catalogue.plans)
    if not any(addon.is_number and addon.name == name for plan in plans if plan for addon in plan.addons):
        raise Problem("conflict", f"no plan sells phone numbers by an add-on {name}; see /v1/plans", "addon")


def _sorted(capabilities: list[Capability]) -> tuple[Capability, ...]:
    return tuple(one for one in CAPABILITIES if one in capabilities)


def _shown(found: PhoneNumber, now_ms: int, *, repeated: bool = False) -> NumberOut:
    holder, state = found.holder, found.state(now_ms)
    return NumberOut(
        number=found.number,
        country=found.country,
        capabilities=list(found.capabilities),
        addon=found.addon,
        state=state,
        sim=holder.sim if holder is not None else "",
        order=holder.order if holder is not None else "",
        available_from=instant(found.free_from_ms) if state == "resting" else None,
        repeated=repeated,
    )


_ONE = "/v1/numbers/{number}"
ENDPOINTS = (
    Endpoint(
        method="POST", path="/v1/numbers", handler=add, scope="manage", keyed=True, status=201, roles=(),
        summary="Put a phone number into the inventory", form=NewNumber, answer=NumberOut,
    ),
    Endpoint(
        method="GET", path="/v1/numbers", handler=find_all, scope="read", query=NumberQuery, answer=NumberPage,
        summary="Phone numbers by country and capabilities",
    ),
    Endpoint(
        method="GET", path=_ONE, handler=show, scope="read", answer=NumberOut, problems=(404,),
        summary="A phone number of the inventory",
    ),
    Endpoint(
        method="DELETE", path=_ONE, handler=withdraw, scope="manage", keyed=True, roles=(), answer=NumberOut,
        problems=(404,), summary="Take a phone number that nobody has out of the inventory",
    ),
)  # fmt: skip
