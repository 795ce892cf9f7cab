"""Takes subscriptions from step to step: works a step out, and makes it in the wallet's call.

A step is worked out upon the subscription and the member as they stand, and the call makes it only if they still stand
so. Its id is the subscriber's and the number of the step, so whoever comes first makes it (usage, the timers, another
worker) and for all others it is known. A crash before the call leaves nothing, after it the step is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from rater.catalogue import Catalogue
from rater.errors import PlanError, WalletError
from rater.identity import identity
from rater.money import format_nanos
from rater.pipeline.choosing import Chooser, Subject, before_usage
from rater.pipeline.live import used_of, view_of
from rater.plans.life import Outcome as Future
from rater.plans.life import (
    Saying,
    Step,
    Subscription,
    View,
    balances,
    is_covered,
    pack_subscription,
    read_subscription,
)
from rater.wallet.entry import HOLDS, Decision, Entry, Kind, Outcome, Steps
from rater.wallet.keys import document_key
from rater.wallet.member import Member, head_of, pack_upon
from rater.wallet.news import pack_notice
from rater.wallet.states import WalletState
from rater.wallet.store import WalletStore
from schemas.fates import Fate
from schemas.notice import Notice

SOURCE = "plans"
#: The fingerprint of a step; what else may take the id of one has another.
STEP = bytes(8)
#: Steps of one subscription in one go: a hundred months. Who is further behind goes on in the next.
STEPS_MAX = 300

#: Holds that a member has by its plan or for want of money, its wallet's included.
_BY_MONEY = HOLDS["expired"] | HOLDS["payment"] | HOLDS["parent"]

#: What is charged on top of a fee.
Tax = Callable[[int], int]


class Standing(msgspec.Struct, frozen=True):
    """A subscription as it stands, with the member it was read with and what is available in the wallet."""

    member: Member[object]
    subscription: Subscription | None
    available_nanos: int
    #: Whether it is held, and not for want of money.
    is_held: bool = False


class Round(NamedTuple):
    """What came of a round: who made a step or has changed meanwhile, and of whom none can be worked out, and why."""

    went: list[Subject]
    stuck: dict[bytes, str]


class Stepper:
    """Makes steps; one per process."""

    def __init__(self, store: WalletStore, catalogue: Catalogue) -> None:
        self._store = store
        self._catalogue = catalogue

    async def catch_up(self, subjects: Sequence[Subject], *, now_ms: int) -> dict[bytes, str]:
        """Make every step that usage at `at_ms` waits for; answers of which member none can be made, and why."""
        rest, stuck = list(subjects), dict[bytes, str]()
        for _ in range(STEPS_MAX):
            done = await self.round(rest, before_usage, now_ms=now_ms)
            rest = done.went
            stuck |= done.stuck
            if not rest:
                break
        return stuck

    async def round(self, subjects: Sequence[Subject], choose: Chooser, *, now_ms: int) -> Round:
        """One step of each."""
        steps, stuck = await self._work_out(subjects, choose)
        answers = await self._store.apply([entry for _, entry in steps], now_ms=now_ms) if steps else []
        went = []
        for (subject, entry), answer in zip(steps, answers, strict=True):
            if isinstance(answer, Decision) and answer.fate is Fate.REFUSED:
                stuck[subject.key] = f"{entry.cause} was refused ({answer.reason.label})"
            elif isinstance(answer, Decision) or answer.why in ("counters", "behind"):
                went.append(subject)
        return Round(went, stuck)

    async def remembered(self, tenant: str, wallet: str, entry_id: str) -> Decision | None:
        """What was decided on a step that was asked for under an id."""
        return await self._store.remembered(tenant, wallet, identity(tenant, SOURCE, entry_id))

    async def make(
        self, subject: Subject, choose: Chooser, *, now_ms: int, entry_id: str, tax: Tax | None = None
    ) -> Decision | None:
        """Make a step that is asked for under an id of its own; None where there is none to make.

        Raises:
            WalletError: the subscriber has no such wallet, or is no member of it.
        """
        for _ in range(STEPS_MAX):
            (standing,) = await self.standing([subject])
            view = view_of(self._catalogue, standing.member.counters, standing.available_nanos)
            step = choose(subject, standing.subscription, view)
            if step is None:
                return None
            entry = self._entry(subject, standing, step, view, entry_id)
            if tax is not None:
                entry = msgspec.structs.replace(entry, amount_nanos=step.fee_nanos + tax(step.fee_nanos))
            (answer,) = await self._store.apply([entry], now_ms=now_ms)
            if isinstance(answer, Decision):
                return answer
            if answer.why not in ("counters", "behind"):
                raise WalletError(f"subscriber: {subject.subscriber.id} has no subscription here ({answer.why})")
        raise WalletError(f"subscriber: {subject.subscriber.id} is too busy for a change; try again")

    async def standing(self, subjects: Sequence[Subject]) -> list[Standing]:
        """The subscriptions as they stand. Members are read first, so a document is never older than its member."""
        states = await self._store.member_states([subject.key for subject in subjects])
        documents = await self._store.documents([document_key(subject.key) for subject in subjects])
        wallets = await self._store.wallets(subject.wallet for subject in subjects)
        return [
            Standing(
                Member(subject.key, state),
                read_subscription(document) if document is not None else None,
                wallet.available_nanos if wallet else 0,
                not subject.is_pool and _is_stopped(state, wallet),
            )
            for subject, state, document, wallet in zip(subjects, states, documents, wallets, strict=True)
        ]

    async def _work_out(
        self, subjects: Sequence[Subject], choose: Chooser
    ) -> tuple[list[tuple[Subject, Entry]], dict[bytes, str]]:
        found, stuck = [], {}
        for subject, standing in zip(subjects, await self.standing(subjects), strict=True):
            counters, is_held = standing.member.counters, standing.is_held
            view = view_of(self._catalogue, counters, standing.available_nanos, is_held=is_held)
            try:
                step = choose(subject, standing.subscription, view)
            except PlanError as error:
                stuck[subject.key] = str(error)
                continue
            if step is not None:
                found.append((subject, self._entry(subject, standing, step, view)))
        return found, stuck

    def _entry(self, subject: Subject, standing: Standing, step: Step, view: View, entry_id: str = "") -> Entry:
        tenant, who, wallet = subject.subscriber.tenant, subject.subscriber.id, subject.wallet.name
        n = step.paid.subscription.n
        cause = entry_id or f"step/{wallet}/{who}/{n}"
        member = standing.member

        def outcome(future: Future) -> Outcome:
            return self._outcome(subject, member, step, future, view, cause)

        return Entry(
            kind=Kind.PLAN,
            tenant=tenant,
            wallet=wallet,
            identity=identity(tenant, SOURCE, cause),
            fingerprint=STEP,
            cause=f"{SOURCE}/{cause}",
            amount_nanos=step.fee_nanos,
            subscriber=who,
            note=step.note or step.name,
            steps=Steps(member.upon, outcome(step.paid), outcome(step.unpaid) if step.unpaid else None),
        )

    def _outcome(
        self, subject: Subject, member: Member[object], step: Step, future: Future, view: View, cause: str
    ) -> Outcome:
        subscription = future.subscription
        kept = {grant.id for grant in subscription.grants}
        used = used_of(member.counters)
        counters = {key: value for key, value in member.counters.items() if not key.startswith("~") or key[1:] in kept}
        at_ms = subscription.stepped_ms  # late usage makes a step of before: what was granted since then covers too
        covered = is_covered(subscription, msgspec.structs.replace(view, used=used), at_ms)
        held = sorted(future.holds)
        shared = [balance for balance in balances(subscription, view) if balance.allowance.shared]
        return Outcome(
            upon=pack_upon(subscription.n, covered, counters),
            document=pack_subscription(subscription),
            hold=",".join(held),
            reason=held[0] if held else "payment",
            due_ms=_due_ms(subject, subscription),
            waits=subscription.waits_for_money,
            floor_nanos=step.floor_nanos,
            pools=bool(shared),
            shares=covered and any(one.left_parts > 0 and one.from_ms <= at_ms < one.until_ms for one in shared),
            news=tuple(
                self._notice(subject, step, future, index, saying, cause) for index, saying in enumerate(future.sayings)
            ),
        )

    @staticmethod
    def _notice(subject: Subject, step: Step, future: Future, index: int, saying: Saying, cause: str) -> bytes:
        """`step` in its data is the wallet entry that it came with, whose decision the wallet remembers."""
        who, wallet = subject.subscriber, subject.wallet.name
        return pack_notice(
            Notice(
                id=f"{SOURCE}/{wallet}/{who.id}/{future.subscription.n}/{index}",
                type=saying.type,
                tenant=who.tenant,
                occurred_ms=step.at_ms,
                account=subject.assignment.account,
                wallet=wallet,
                subscriber=who.id,
                data=saying.data | {"charged": format_nanos(step.fee_nanos), "step": cause},
            )
        )


def _due_ms(subject: Subject, subscription: Subscription) -> int | None:
    """When the subscription, or a plan that was assigned for later, is to be looked at."""
    own, since_ms = subject.wallet.name, subscription.assigned_ms
    later = (one.from_ms for one in subject.subscriber.assignments if one.wallet == own and one.from_ms > since_ms)
    return min((at_ms for at_ms in (subscription.due_ms, *later) if at_ms is not None), default=None)


def _is_stopped(state: bytes, wallet: WalletState | None) -> bool:
    """Whether an operator, say, holds a member or its wallet: what its plan and money have no part in."""
    own = head_of(state)[1] & ~_BY_MONEY if state else 0
    return bool(own) or (wallet is not None and any(hold != "balance" for hold in wallet.holds))
