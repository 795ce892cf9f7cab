"""Rules: a notice when usage, or what is left of it, passes a threshold."""

from __future__ import annotations

import secrets
from typing import Any, get_args

from rater.errors import WalletError
from rater.tariff.units import UNITS, parse_quantity
from schemas.usage import Service
from streams.http.endpoint import Call, Endpoint, NoForm
from streams.http.forms import instant
from streams.http.forms_webhooks import Deleted, NewRule, RuleOut, RulePage
from streams.http.paging import PageQuery, cursor_of, place_of
from streams.http.problems import Problem
from streams.http.webhook_reach import check_own, forget, hooks_of, own_account
from streams.webhooks.rules import RULES_MAX, Rule


async def create(call: Call[NewRule]) -> RuleOut:
    """Make a rule; it counts what is rated from now on."""
    wanted = await _rule(call)
    rules = hooks_of(call).rules
    claimed, _ = await call.desk.claims.claim(
        call.tenant, call.idempotency_key, call.subject, call.form, f"{wanted.id} {wanted.created_ms}".encode()
    )
    rule_id, created = claimed.decode().split()
    if (found := await rules.get(call.tenant, rule_id)) is not None:
        check_own(call, found.account, wanted.account)
        return _shown(found, repeated=True)
    if await rules.removed_from(call.tenant, rule_id) is not None:
        raise Problem("not-found", f"{rule_id}, which this key made, was deleted")
    wanted = await _rule(call, rule_id, int(created))
    try:
        return _shown(await rules.add(wanted, most=RULES_MAX))
    except WalletError as error:
        await call.desk.claims.release(call.tenant, call.idempotency_key)
        raise Problem("conflict", str(error).partition(": ")[2], "account") from error


async def list_all(call: Call[NoForm]) -> RulePage:
    """The rules the key reaches."""
    limit, after = call.query.limit, place_of(call.query.cursor, tuple[str, str])
    page: list[Rule] = []
    async for rule in hooks_of(call).rules.list(call.tenant, after, call.key.account):
        if len(page) == limit:
            return RulePage([_shown(one) for one in page], cursor_of((page[-1].account, page[-1].id)))
        page.append(rule)
    return RulePage([_shown(one) for one in page], "")


async def show(call: Call[NoForm]) -> RuleOut:
    """A rule."""
    return _shown(await _find(call))


async def delete(call: Call[NoForm]) -> Deleted:
    """Forget a rule."""
    return await forget(call, hooks_of(call).rules, call.path["rule"], "rule")


async def _find(call: Call[Any]) -> Rule:
    name = call.path["rule"]
    found = None if "/" in name else await hooks_of(call).rules.get(call.tenant, name)
    if found is None or not await call.desk.reach.covers(call.key, call.tenant, found.account):
        raise Problem("not-found", f"{call.tenant} has no rule {name}")
    return found


async def _rule(call: Call[NewRule], rule_id: str = "", created_ms: int = 0) -> Rule:
    form = call.form
    account = await own_account(call, form.account)
    service, threshold = _quantity(form.threshold, "threshold")
    subject, _, kind = form.metric.partition(".")
    limit = None
    if form.limit is not None:
        if form.metric != "sim_card.remaining_usage" or form.allowance:
            raise Problem("invalid", "is only for sim_card.remaining_usage without an allowance", "limit")
        of, limit = _quantity(form.limit, "limit")
        if of != service:
            raise Problem("invalid", f"is {of}, and the threshold {service}", "limit")
    elif form.metric == "sim_card.remaining_usage" and not form.allowance:
        raise Problem("invalid", "of sim_card.remaining_usage is needed, or an allowance", "limit")
    if subject == "pool" and not form.allowance:
        raise Problem("invalid", "names the pool", "allowance")
    if subject == "pool" and form.sim:
        raise Problem("invalid", "a pool is not one SIM's", "sim")
    if form.metric == "sim_card.usage" and form.allowance:
        raise Problem("invalid", "is for allowance.usage", "allowance")
    if kind == "usage" and threshold == 0:
        raise Problem("invalid", "must be positive", "threshold")
    return Rule(
        id=rule_id or f"ru_{secrets.token_hex(12)}",
        tenant=call.tenant,
        account=account,
        metric=form.metric,
        service=service,
        threshold=threshold,
        created_ms=created_ms or call.desk.now_ms,
        limit=limit,
        sim=form.sim,
        allowance=form.allowance,
        note=form.note,
        threshold_text=form.threshold,
        limit_text=form.limit or "",
    )


def _quantity(text: str, field: str) -> tuple[Service, int]:
    """The service that has the unit, and how much of its smallest one."""
    unit = text.lstrip("0123456789.").strip()
    for service in get_args(Service):
        singular = unit.removesuffix("s") if service == "message" else unit
        if singular in UNITS[service]:
            try:
                return service, parse_quantity(text.removesuffix(unit) + singular, service)
            except ValueError as error:
                raise Problem("invalid", str(error), field) from error
    known = ", ".join(unit for units in UNITS.values() for unit in units)
    raise Problem("invalid", f'"{unit}" is no unit; write one of {known}', field)


def _shown(rule: Rule, *, repeated: bool = False) -> RuleOut:
    return RuleOut(
        id=rule.id,
        type=rule.type,
        metric=rule.metric,
        threshold=rule.threshold_text,
        created=instant(rule.created_ms),
        limit=rule.limit_text,
        account=rule.account,
        sim=rule.sim,
        allowance=rule.allowance,
        note=rule.note,
        repeated=repeated,
    )


_RULE = "/v1/rules/{rule}"
ENDPOINTS = (
    Endpoint(
        method="POST", path="/v1/rules", handler=create, scope="manage", keyed=True, status=201, form=NewRule,
        answer=RuleOut, summary="A notice when usage, or what is left, passes a threshold", problems=(404,),
    ),
    Endpoint(
        method="GET", path="/v1/rules", handler=list_all, scope="manage", query=PageQuery, answer=RulePage,
        summary="The rules",
    ),
    Endpoint(method="GET", path=_RULE, handler=show, scope="manage", answer=RuleOut, summary="A rule", problems=(404,)),
    Endpoint(
        method="DELETE", path=_RULE, handler=delete, scope="manage", keyed=True, answer=Deleted,
        summary="Forget a rule", problems=(404,),
    ),
)  # fmt: skip
