"""Which step of a subscription comes next: by time, after a refill, before usage. Pure functions."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import msgspec

from rater.errors import PlanError
from rater.plans.life import Step, Subscription, View, begin, first_usage, needs_step, next_step, wake
from rater.subscriber import Assignment, Subscriber
from rater.wallet.debit import WalletRef


class Subject(msgspec.Struct, frozen=True):
    """Whose subscription it is, and the time up to which it is to be brought: of usage that waits, or now."""

    subscriber: Subscriber
    assignment: Assignment
    wallet: WalletRef
    key: bytes
    at_ms: int
    #: The last moment of usage that waits: what is due while it lasts comes before it too.
    last_ms: int = 0
    #: Whether the plan may begin with it as its first usage, which none is that is refused in any case.
    begins: bool = True
    #: It is the usage of others, which does not depend on what holds this one.
    is_pool: bool = False


#: Works out a step, or None where there is nothing to do.
Chooser = Callable[[Subject, Subscription | None, View], Step | None]


def due_by_time(subject: Subject, subscription: Subscription | None, view: View) -> Step | None:
    """The next step that is due by time alone; where a plan was assigned since, that begins.

    Who was loaded without a date begins with its first usage, not by time.
    """
    assignment = subject.assignment
    if subscription is None:
        begins = assignment.from_ms > 0 and view.plan(assignment.plan, assignment.from_ms).has_life
        return joins(subject, None, view) if begins else None
    if subscription.assigned_ms < assignment.from_ms:
        return joins(subject, subscription, view)
    return next_step(subscription, subject.at_ms, view)


def after_refill(subject: Subject, subscription: Subscription | None, view: View) -> Step | None:
    """The next step now that there is money: what is due by time first, then what waited for it."""
    found = due_by_time(subject, subscription, view)
    if found is not None or subscription is None:
        return found
    return wake(subscription, subject.at_ms, view)


def joins(subject: Subject, subscription: Subscription | None, view: View) -> Step:
    """The step by which the assigned plan begins, or what was due of the one before it until then.

    Who was loaded without a date begins with its first usage.
    """
    assignment = subject.assignment
    since_ms = assignment.from_ms or subject.at_ms
    zone = assignment.zone or view.plan(assignment.plan, since_ms).zone
    came_back = subscription is not None and _was_elsewhere(subject, subscription.assigned_ms)
    if subscription is not None and not came_back:
        with suppress(PlanError):  # its terms are gone, so there is nothing to charge it by; the new plan goes on
            if (earlier := next_step(subscription, since_ms - 1, view)) is not None:
                return earlier
    return begin(subscription, assignment.plan, since_ms, zone, None, view, came_back=came_back)


def _was_elsewhere(subject: Subject, since_ms: int) -> bool:
    """Whether another wallet paid for the subscriber between an instant and its present assignment."""
    until_ms, own = subject.assignment.from_ms, subject.wallet.name
    return any(since_ms < one.from_ms <= until_ms and one.wallet != own for one in subject.subscriber.assignments)


def before_usage(subject: Subject, subscription: Subscription | None, view: View) -> Step | None:
    """The next step that usage waits for: the plan begins, what is due by time, the first usage."""
    assignment, at_ms = subject.assignment, subject.at_ms
    if subscription is None or subscription.assigned_ms < assignment.from_ms:
        return joins(subject, subscription, view)
    if needs_step(subscription, at_ms):
        found = next_step(subscription, at_ms, view)
        if found is not None:
            return found
        if subscription.first_usage_ms is None and subject.begins and not view.is_held:
            return first_usage(subscription, at_ms, view)
    return _while_it_lasts(subject, subscription, view)


def _while_it_lasts(subject: Subject, subscription: Subscription, view: View) -> Step | None:
    """The next step that is due up to the last moment of usage; a pool's may be of another assignment by then."""
    last_ms = subject.last_ms
    if subscription.due_ms is None or subscription.due_ms > last_ms:
        return None
    assignment = subject.subscriber.assignment_at(last_ms) or subject.assignment
    return due_by_time(msgspec.structs.replace(subject, at_ms=last_ms, assignment=assignment), subscription, view)
