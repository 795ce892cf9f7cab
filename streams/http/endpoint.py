"""An endpoint as a line of a table, and what its handler is told about a call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from rater.accounts.roles import MANAGERS, OPERATOR, ROLES, Actor, refusal
from rater.plans.terms import Role
from rater.subscriber import Assignment
from streams.http.desk import Desk
from streams.http.keys import ApiKey, Scope
from streams.http.paging import Query
from streams.http.problems import Problem

JSON = "application/json"

Form = TypeVar("Form")


class NoForm(msgspec.Struct):
    """A call without a body."""


@dataclass(slots=True)
class Call(Generic[Form]):
    """One request, past every check that does not need the engine."""

    desk: Desk
    key: ApiKey
    tenant: str
    path: Mapping[str, str]
    query: Any
    form: Form
    #: "POST /v1/wallets/acme/top-ups": with tenant, key and form what an Idempotency-Key stands for.
    subject: str = ""
    idempotency_key: str = ""
    #: The bytes, of an endpoint that reads them itself.
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    #: For whom the key acts, which roles the endpoint asks of a person, and for what.
    actor: Actor = OPERATOR
    roles: tuple[Role, ...] = ()
    deed: str = ""

    @property
    def is_bound(self) -> bool:
        """Whether it matters whose something is: the key is of one account, or acts for a person."""
        return bool(self.key.account or self.actor.user)

    async def check_account(self, account: str, what: str, field: str = "") -> None:
        """Refuse what is another account's than those the key reaches, as if it did not exist.

        And what the person it acts for may not do there, saying who may.
        """
        if not await self.desk.reach.covers(self.key, self.tenant, account):
            raise Problem("not-found", f"{self.tenant} has no {what}", field)
        if self.actor.user:
            chain = await self.desk.reach.chain(self.tenant, account)
            refused = refusal(chain, self.actor, self.roles, f"{self.deed} (account {account})")
            if refused:
                raise Problem("not-allowed", refused, field)

    async def check_wallet(self, wallet: str, field: str = "", *, what: str = "") -> None:
        """The same of a wallet, or of `what` is its; one that no account claimed is the account's of its name."""
        if self.is_bound:
            account = await self.desk.reach.account_of(self.tenant, wallet)
            await self.check_account(account, what or f"wallet {wallet}", field)

    async def check_sim(self, assignment: Assignment, what: str, field: str = "") -> None:
        """The same of a SIM with such an assignment."""
        if self.is_bound:
            await self.check_account(await self.account_of(assignment), what, field)

    async def account_of(self, assignment: Assignment) -> str:
        """Whose a SIM is. An account named as the wallet is the wallet's, whoever claimed that since."""
        if assignment.account != assignment.wallet:
            return assignment.account
        return await self.desk.reach.account_of(self.tenant, assignment.wallet)


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A method on a path: who may call it, what it takes, what it answers."""

    method: str
    #: With names in braces: /v1/wallets/{wallet}.
    path: str
    handler: Callable[[Call[Any]], Awaitable[Any]]
    scope: Scope
    summary: str
    #: The struct of the answer, and of the body where there is one.
    answer: Any
    form: Any = NoForm
    query: type[Query] = Query
    status: int = 200
    #: Whether it changes something under an Idempotency-Key, and must have one.
    keyed: bool = False
    #: Whether it takes one if there is one: what it changes is told apart by other means.
    may_be_keyed: bool = False
    #: An endpoint that reads its bytes itself: types of what it takes, by content type.
    raw: Mapping[str, Any] = field(default_factory=dict)
    #: Whether an admin key without a tenant may call it without naming one.
    any_tenant: bool = False
    #: What can go wrong besides what can anywhere (a key, a rate, a parameter).
    problems: tuple[int, ...] = ()
    #: What a person must be in the account that it is about, where that is not said by the scope: `read` asks for any
    #: role, all else for an owner or manager. None at all: it is not for a person, but for the operator's programs.
    roles: tuple[Role, ...] | None = None

    @property
    def asked(self) -> tuple[Role, ...]:
        """The roles it asks of a person, any of them."""
        if self.roles is not None:
            return self.roles
        return ROLES if self.scope == "read" else MANAGERS

    @property
    def deed(self) -> str:
        """What a person does with it, as in "only the owner may ..."."""
        if self.scope == "read":
            return "read this"
        words = self.summary.partition(";")[0]
        return words[0].lower() + words[1:]

    @property
    def media_types(self) -> tuple[str, ...]:
        """The content types of its body, if it has one."""
        if self.raw:
            return tuple(self.raw)
        return () if self.form is NoForm else (JSON,)
