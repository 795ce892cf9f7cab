"""Moves subscribers of one plan to another by the terms of the plan they leave, or says what that would mean.

Each is a step under an id of its own, (old, new, subscriber, its steps so far): who makes it at the same time finds it
made, and who comes later finds the change planned or done. Terms that say "at the end of the month" plan the change
for then. Who cannot be moved is told with the reasons and left alone; from `migrate_from` on the catalogue moves those
too, by itself.

Each is moved at the time at which its turn comes: a run takes hours, and who began a new period meanwhile is not moved
back into the one before, whose fee would be charged beside the new one's.

A dry run reads only. It goes by what stands, and so not by what is due and not done yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import msgspec

from rater.accounts.book import Accounts
from rater.accounts.wallets import AccountWallets
from rater.directory import Directory
from rater.errors import PlanError, WalletError
from rater.money import format_nanos
from rater.pipeline.choosing import Subject
from rater.plans.account import Refusal
from rater.plans.change import ChangePreview, Left, preview_change
from rater.plans.credits import credits_of
from rater.plans.life import Subscription, View, account_of, change, schedule
from rater.plans.life.state import Step
from rater.plans.model import Plan
from rater.subscriptions import Subscriptions
from streams.clickhouse.past_usage import Whose
from streams.estimating import Books, TooMuchUsageError, past_cost
from streams.migration.listing import standing_on

#: Steps under way at a time.
AT_ONCE = 20

Previewer = Callable[[Subscription, View], ChangePreview]
#: `gone`: it has left the plan since it was listed. `planned_already`: by its owner, or an earlier run.
State = Literal["would_change", "changed", "planned", "planned_already", "refused", "not_begun", "gone"]


class LeftRow(msgspec.Struct):
    """What is forfeited of an allowance: bytes, ms, messages or credits."""

    allowance: str
    left: str
    unit: str


class Row(msgspec.Struct, omit_defaults=True):
    """A line of the report. Money is an exact decimal, `when_ms` when the change takes effect."""

    tenant: str
    subscriber: str
    wallet: str
    account: str
    state: State
    plan: str
    to: str
    when_ms: int = 0
    currency: str = ""
    #: Charged at `when_ms`, activation included, less what is given back.
    fee: str = ""
    forfeited: list[LeftRow] = []
    refusals: list[str] = []
    #: The mean month of real usage by the new plan; missing where it was not asked for, or there is too much usage.
    estimate: str = ""


class Migration:
    """One run from a plan to another."""

    def __init__(
        self, directory: Directory, accounts: Accounts, wallets: AccountWallets, subscriptions: Subscriptions,
        old: str, new: Plan, clock_ms: Callable[[], int],
    ) -> None:  # fmt: skip
        self._directory = directory
        self._accounts = accounts
        self._wallets = wallets
        self._subscriptions = subscriptions
        self._old = old
        self._new = new
        self._clock_ms = clock_ms

    async def preview(
        self, page: Iterable[tuple[str, str]], books: Books | None = None, months: int = 0
    ) -> list[Row]:  # fmt: skip
        """What the run would do with these (tenant, subscriber); with books, what their usage would cost a month."""
        rows = []
        for subject, subscription, view in await self._standing(page):
            row = await self._row(subject)
            rows.append(row)
            if subscription is None:
                row.state = "not_begun"
                continue
            found = (await self._previewer(subject))(subscription, view)
            self._fill(row, found, subscription, view)
            row.state = "refused" if row.refusals else "would_change"
            if subscription.planned is not None:
                row.state, row.when_ms = "planned_already", subscription.planned.when_ms
            if books is not None and months:
                row.estimate = await self._estimate(subject, books, months)
        return rows

    async def carry_out(self, page: Iterable[tuple[str, str]]) -> list[Row]:
        """Move them."""
        wanted = list(page)
        found = {(subject.subscriber.tenant, subject.subscriber.id): (subject, subscription)
                 for subject, subscription, _ in await self._standing(wanted)}  # fmt: skip
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(name: tuple[str, str]) -> Row:
            async with turns:
                if name not in found:
                    return Row(*name, "", "", "gone", self._old, self._new.name)
                subject, subscription = found[name]
                return await self._move(msgspec.structs.replace(subject, at_ms=self._clock_ms()), subscription)

        return list(await asyncio.gather(*map(one, dict.fromkeys(wanted))))

    async def _move(self, subject: Subject, subscription: Subscription | None) -> Row:
        row = await self._row(subject)
        if subscription is None:
            row.state = "not_begun"
            return row
        if subscription.planned is not None:
            row.state, row.when_ms = "planned_already", subscription.planned.when_ms
            return row
        previewer = await self._previewer(subject)
        who = f"{subject.wallet.name}/{subject.subscriber.id}"
        cause = f"migrate/{self._old}/{self._new.name}/{who}/{subscription.n}"

        def wanted(present: Subscription, view: View) -> Step:
            if present.plan != self._old:
                row.state = "gone"
                raise PlanError("plan", f"it has plan {present.plan} by now")
            made = previewer(present, view)
            self._fill(row, made, present, view)
            if made.refusals:
                raise PlanError("plan", made.refusals[0].detail)
            if made.when_ms > subject.at_ms:
                row.state = "planned"
                return schedule(present, made, subject.at_ms, view, cause)
            row.state = "changed"
            return change(present, made, view, cause)

        try:
            decision = await self._subscriptions.make(subject, wanted, cause)
        except (PlanError, WalletError) as error:
            if row.state != "gone":
                row.state, row.refusals = "refused", row.refusals or [str(error)]
            return row
        if decision.known:
            row.state = "planned_already"
        return row

    async def _standing(self, page: Iterable[tuple[str, str]]) -> list[tuple[Subject, Subscription | None, View]]:
        found = await self._directory.many(page)
        return await standing_on(self._subscriptions, found, self._old, self._clock_ms())

    async def _row(self, subject: Subject) -> Row:
        who, assignment = subject.subscriber, subject.assignment
        account = assignment.account
        if account == assignment.wallet:
            account = await self._wallets.account_of(who.tenant, assignment.wallet)
        return Row(who.tenant, who.id, assignment.wallet, account, "would_change", self._old, self._new.name)

    async def _previewer(self, subject: Subject) -> Previewer:
        row = await self._row(subject)
        account = await self._accounts.get(row.tenant, row.account)
        owner, has_details = (account.owner, account.has_payment_details) if account is not None else ("", False)

        def previewed(subscription: Subscription, view: View) -> ChangePreview:
            asks = account_of(subscription, view, "owner", owner, has_details, at_ms=subject.at_ms)
            found = preview_change(asks, self._new, subject.at_ms)
            return msgspec.structs.replace(found, refusals=(*found.refusals, *self._other_currency(subject)))

        return previewed

    def _other_currency(self, subject: Subject) -> Iterator[Refusal]:
        """A fee is never taken from a wallet that is kept in another currency."""
        sold_in, kept_in = self._subscriptions.catalogue.currency_of(self._new), subject.assignment.currency
        if sold_in != kept_in:
            detail = f"plan {self._new.name} is sold in {sold_in}, wallet {subject.wallet.name} is kept in {kept_in}"
            yield Refusal("other_currency", detail)

    def _fill(self, row: Row, found: ChangePreview, subscription: Subscription, view: View) -> None:
        row.when_ms, row.currency = found.when_ms, found.new.currency
        row.fee = format_nanos(found.fee_nanos + found.activation_nanos - found.refund_nanos)
        row.refusals = [refusal.detail for refusal in found.refusals]
        row.forfeited = [_left(left, subscription, view) for left in found.forfeited]

    async def _estimate(self, subject: Subject, books: Books, months: int) -> str:
        who = subject.subscriber
        whose = Whose(who.tenant, 0, 0, subscriber=who.id)
        try:
            found = await past_cost(books, whose, self._new, None, months=months, now_ms=subject.at_ms)
        except TooMuchUsageError:
            return ""
        return format_nanos(found.mean_nanos(1))


def _left(left: Left, subscription: Subscription, view: View) -> LeftRow:
    grant = next(grant for grant in subscription.grants if grant.id == left.id)
    plan = view.versions(grant.plan, grant.version)
    allowance = plan.allowance(left.allowance) if plan is not None else None
    if allowance is None:
        return LeftRow(left.allowance, str(left.parts), "parts")
    return LeftRow(left.allowance, str(credits_of(allowance, left.parts)), allowance.unit)
