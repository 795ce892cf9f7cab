"""An account: an organisation or one of its companies, who owns it, and who else may act for it.

    organisation acme (owner alice; manager bob)
     +- company north (owner carol)
     +- company south (owner dave; reader erin)

An organisation has no parent; a company has an organisation as its parent, for ever. Kind, parent, currency and name
never change, so that what a cache knows of them never goes out of date. An account is never deleted, only closed.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Literal
from zoneinfo import available_timezones

import msgspec

from rater.errors import AccountError
from rater.geo.codes import is_country, is_currency

Kind = Literal["organisation", "company"]
#: What a person can be given; an account has one owner besides.
GivenRole = Literal["manager", "reader"]

NAME = re.compile(r"[^/\x00-\x1f\x7f]{1,128}")
#: Of people: in a header and in a path as they are.
USER = re.compile(r"[!-.0-~]{1,128}")
#: People of one account: the document is read and written as a whole, about 30 bytes each.
ROLES_MAX = 1000
_TENANT = re.compile(r"[^/:\x00-\x1f\x7f]{1,128}")
_DISPLAY_MAX = 256


class Step(msgspec.Struct, frozen=True):
    """The change that made a version of an account: its Idempotency-Key, a digest of what it asked, who, when."""

    id: str
    fingerprint: str
    what: str
    at_ms: int
    #: A user; empty for a key or a command that acts for no person.
    by: str = ""
    #: Of the account that came of it.
    version: int = 1


class Account(msgspec.Struct, frozen=True):
    """An account as it is stored. `zone` is that of its billing periods, `country` that of its VAT."""

    tenant: str
    name: str
    kind: Kind
    owner: str
    currency: str
    country: str
    last: Step
    #: A company's organisation.
    parent: str = ""
    display_name: str = ""
    zone: str = "UTC"
    roles: dict[str, GivenRole] = {}
    has_payment_details: bool = False
    closed: bool = False
    version: int = 1


def check(account: Account) -> Account:
    """The account itself, if nothing in it is wrong.

    Raises:
        AccountError: names the field.
    """
    if not _TENANT.fullmatch(account.tenant):
        raise AccountError("invalid", "tenant", f'"{account.tenant}" must be a name without "/" and ":"')
    if not NAME.fullmatch(account.name):
        raise AccountError("invalid", "account", f'"{account.name}" must be a name without "/"')
    if (account.kind == "company") != bool(account.parent):
        said = "a company has an organisation above it" if account.kind == "company" else "an organisation is the root"
        raise AccountError("invalid", "parent", said)
    if len(account.display_name) > _DISPLAY_MAX:
        raise AccountError("invalid", "display_name", f"has more than {_DISPLAY_MAX} characters")
    if account.zone not in _zones():
        raise AccountError("invalid", "zone", f'"{account.zone}" is no IANA time zone such as Europe/Berlin')
    if not is_country(account.country):
        raise AccountError("invalid", "country", f'"{account.country}" is no ISO 3166 code such as DE')
    if not is_currency(account.currency):
        raise AccountError("invalid", "currency", f'"{account.currency}" is no ISO 4217 code such as EUR')
    for user in (account.owner, *account.roles):
        check_user(user, "owner" if user == account.owner else "user")
    if len(account.roles) > ROLES_MAX:
        raise AccountError("conflict", "user", f"an account has at most {ROLES_MAX} people besides its owner")
    return account


def check_user(user: str, field: str) -> None:
    """Raises AccountError for what is no user's name."""
    if not USER.fullmatch(user):
        raise AccountError("invalid", field, f'"{user}" must be 1 to 128 visible ASCII characters without "/"')


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
