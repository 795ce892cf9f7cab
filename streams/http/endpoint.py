"""An endpoint as a line of a table, and what its handler is told about a call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

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

    def check_account(self, account: str, what: str) -> None:
        """Refuse what belongs to another account than the key's, as if it did not exist."""
        if not self.key.covers(account):
            raise Problem("not-found", f"{self.tenant} has no {what}")


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

    @property
    def media_types(self) -> tuple[str, ...]:
        """The content types of its body, if it has one."""
        if self.raw:
            return tuple(self.raw)
        return () if self.form is NoForm else (JSON,)
