"""The life of a subscription: what a subscriber has of its plan, and every step that changes it.

All of it is pure. `begin`, `change`, `buy` ... answer a `Step`: a fee, and what comes about if it can be paid or not.
Who has the wallet carries it out in one call, if the subscription and what was used are still what it was worked out
upon. `next_step` answers what time alone has made due; called until it answers None, it catches up in order of time.
"""

from rater.plans.life.addons import auto_pay, buy, capacity_of, pay, release
from rater.plans.life.balances import balances, is_covered, needs_step, plan_at
from rater.plans.life.change import account_of, cancel, change, schedule, unschedule
from rater.plans.life.join import begin
from rater.plans.life.overview import Overview, overview
from rater.plans.life.state import (
    Bought,
    Grant,
    Outcome,
    Planned,
    Saying,
    Status,
    Step,
    Subscription,
    View,
    pack_subscription,
    read_subscription,
)
from rater.plans.life.steps import next_step
from rater.plans.life.usage import first_usage
from rater.plans.life.wake import wake

__all__ = [
    "Bought",
    "Grant",
    "Outcome",
    "Overview",
    "Planned",
    "Saying",
    "Status",
    "Step",
    "Subscription",
    "View",
    "account_of",
    "auto_pay",
    "balances",
    "begin",
    "buy",
    "cancel",
    "capacity_of",
    "change",
    "first_usage",
    "is_covered",
    "needs_step",
    "next_step",
    "overview",
    "pack_subscription",
    "pay",
    "plan_at",
    "read_subscription",
    "release",
    "schedule",
    "unschedule",
    "wake",
]
