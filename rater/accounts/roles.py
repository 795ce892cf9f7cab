"""Who may act. Pure: an account and those above it, who asks, and the roles that the rule asks for.

    rule: owner or manager may change an account
    bob, manager of the organisation acme, asks to change its company north  -> yes
    erin, reader of north, asks the same  -> only the owner (carol) or a manager, or the owner (alice) or a manager of
                                             its organisation acme, may change north

A role in an organisation counts for its companies. A role in a company counts for nothing above or beside it.
A rule that asks for no role at all is for no person: only the operator may.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from rater.accounts.model import Account
from rater.plans.terms import Role

#: The mightiest first.
ROLES: Final[tuple[Role, ...]] = ("owner", "manager", "reader")
MANAGERS: Final[tuple[Role, ...]] = ("owner", "manager")
OWNER: Final[tuple[Role, ...]] = ("owner",)


class Actor(msgspec.Struct, frozen=True):
    """Who asks: a person by name, the operator, or a program with an account's own key.

    Such a program acts as a manager would; where a rule is for no person, the scopes of its key decide.
    """

    user: str = ""
    is_operator: bool = False


OPERATOR: Final = Actor(is_operator=True)


def role_in(account: Account, user: str) -> Role | None:
    """What a person is in one account, whatever they are above it."""
    return "owner" if user == account.owner else account.roles.get(user)


def role_of(chain: Sequence[Account], user: str) -> Role | None:
    """The mightiest role of a person in an account (`chain[0]`) or above it."""
    found = {role_in(account, user) for account in chain}
    return next((role for role in ROLES if role in found), None)


def refusal(chain: Sequence[Account], actor: Actor, asked: Collection[Role], deed: str) -> str:
    """Empty if the actor may do this; else a sentence that says who may.

    `chain` is the account and what is above it, the account first; empty if there is none of that name.
    """
    if actor.is_operator:
        return ""
    if not actor.user:
        return "" if not asked or "manager" in asked else _only(chain, asked, deed)
    if any(role_in(account, actor.user) in asked for account in chain):
        return ""
    return _only(chain, asked, deed)


def _only(chain: Sequence[Account], asked: Collection[Role], deed: str) -> str:
    if not chain or not asked:
        return f"only the operator may {deed}"
    who = _who(chain[0], asked)
    for above in chain[1:]:
        who += f", or {_who(above, asked)} of its organisation {above.name},"
    return f"only {who} may {deed}"


def _who(account: Account, asked: Collection[Role]) -> str:
    """The owner by name, as who may not is told whom to turn to."""
    named = {"owner": f"the owner ({account.owner})", "manager": "a manager", "reader": "a reader"}
    return " or ".join(named[role] for role in ROLES if role in asked)
